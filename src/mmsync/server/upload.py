"""``POST …/models/images/upload``: a body of any size to disk, reviewed and kept, in constant memory.

What the socket brought is written by a worker thread while the next block arrives. The answer is sent only when the
bytes, the file's name and its row are all on disk; anything that goes wrong before leaves nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from mmsync.server.form_parser import UploadForm
from mmsync.server.review import require_engine, review
from mmsync.server.schemas import review_reply
from mmsync.server.store import Store

_BLOCK = 1 << 20  # bytes collected before a worker thread writes them
_BUFFERS_A_WRITE = 512  # below IOV_MAX, 1024 on Linux


class IncomingFile:
    """A temporary file, locked while it is written so that no start-up clears it away.

    Its methods block; all may raise `OSError`. ``size`` is the bytes written so far.
    """

    def __init__(self, folder: Path) -> None:
        self.size = 0
        while True:
            self.path = folder / f"{secrets.token_hex(12)}.part"
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(self._descriptor).st_nlink:
                    return
            # A server starting up took it for a leftover before it was locked; the next name will do.
            os.close(self._descriptor)

    def write(self, buffers: list[memoryview]) -> None:
        """Append all of ``buffers``."""
        for start in range(0, len(buffers), _BUFFERS_A_WRITE):
            some = buffers[start : start + _BUFFERS_A_WRITE]
            while some:
                written = os.writev(self._descriptor, some)
                self.size += written
                while some and written >= len(some[0]):
                    written -= len(some.pop(0))
                if written:
                    some[0] = some[0][written:]

    def sync(self) -> None:
        """Return once every byte is on disk."""
        os.fsync(self._descriptor)

    def rename(self, path: Path) -> None:
        """Give it its own name; durable once the folder is synced too."""
        self.path.rename(path)
        self.path = path

    def close(self) -> None:
        """Let go of it under whatever name it has."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """Leave nothing behind; does nothing once closed: what then has its name may be another's."""
        if self._descriptor >= 0:
            self.path.unlink(missing_ok=True)
            self.close()


async def receive_upload(content_type: str, body: AsyncIterator[bytes], store: Store, domain: str) -> dict[str, Any]:
    """Take in the whole body; return the *ModelReview*.

    Raises `ApiError` 400 for a broken body or a missing part, 500 for an unknown engine; `OSError` for the disk's.
    """
    form = UploadForm(content_type)
    work = _Work(store, domain)
    loop = asyncio.get_running_loop()
    writing: asyncio.Future[Any] | None = None  # shielded: a thread goes on when the request is cancelled
    try:
        async for chunk in body:
            form.feed(chunk)
            if form.engine is not None:
                require_engine(form.engine)
            if form.waiting_size >= _BLOCK:
                if writing is not None:
                    await asyncio.shield(writing)
                writing = loop.run_in_executor(None, work.write, form.take())
        engine = form.finish()
        require_engine(engine)
        if writing is not None:
            await asyncio.shield(writing)
        writing = loop.run_in_executor(None, work.finish, form.take(), engine, form.file_name)
        return await asyncio.shield(writing)
    finally:
        if writing is not None:  # its outcome no longer matters, but it must be over before the file goes
            if not writing.done():
                await asyncio.wait([writing])
            writing.exception()
        if work.file is not None:
            await loop.run_in_executor(None, work.file.discard)


class _Work:
    """The part of an upload that blocks; one method runs at a time, in a worker thread."""

    def __init__(self, store: Store, domain: str) -> None:
        self._store = store
        self._domain = domain
        self.file: IncomingFile | None = None  # made with the first bytes

    def write(self, buffers: list[memoryview]) -> None:
        """Append to the file."""
        if self.file is None:
            self.file = IncomingFile(self._store.incoming)
        self.file.write(buffers)

    def finish(self, buffers: list[memoryview], engine: str, file_name: str) -> dict[str, Any]:
        """Write the rest, review the file and keep it if it is valid."""
        self.write(buffers)
        assert self.file is not None
        found = review(self.file.path, engine)
        image = None
        if found.valid:
            self.file.sync()
            image = self._store.add_image(self._domain, engine, self.file, found)
            self.file.close()  # from here on there is nothing to discard
        return review_reply(found, image, file_name, self.file.size)
