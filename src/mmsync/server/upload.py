"""``POST …/models/images/upload``: a body of any size to disk, reviewed and kept, in constant memory.

What the socket brought is written by a worker thread while the next block arrives. The answer is sent only when the
bytes, the file's name and its row are all on disk; anything that goes wrong before leaves nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mmsync.server.incoming import IncomingFile
from mmsync.server.multipart import UploadForm
from mmsync.server.refusal import from_os_error
from mmsync.server.review import require_engine, review
from mmsync.server.shapes import review_reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from concurrent.futures import Executor

    from mmsync.server.store import Store

__all__ = ["receive_upload"]

_BLOCK = 1 << 20  # bytes collected before a worker thread writes them


async def receive_upload(
    content_type: str, body: AsyncIterator[bytes], store: Store, domain: str, pool: Executor
) -> dict[str, Any]:
    """Take in the whole body; return the *ModelReview*.

    Raises:
        Refusal: 400 for a broken body or a missing part, 500 for an unknown engine, 507 or 500 for a fault of the disk.
    """
    form = UploadForm(content_type)
    work = _Work(store, domain)
    loop = asyncio.get_running_loop()
    writing: asyncio.Future[None] | None = None
    try:
        async for chunk in body:
            form.feed(chunk)
            if form.engine is not None:
                require_engine(form.engine)
            if form.waiting_size >= _BLOCK:
                if writing is not None:
                    await writing
                writing = loop.run_in_executor(pool, work.write, form.take())
        engine = form.finish()
        require_engine(engine)
        if writing is not None:
            await writing
        writing = None
        return await loop.run_in_executor(pool, work.finish, form.take(), engine, form.file_name)
    finally:
        if writing is not None:  # its outcome no longer matters, but it must be over before the file goes
            await asyncio.wait([writing])
            writing.exception()
        if work.file is not None:
            await loop.run_in_executor(pool, work.close)


class _Work:
    """The part of an upload that blocks; one method runs at a time, in a worker thread."""

    def __init__(self, store: Store, domain: str) -> None:
        self._store = store
        self._domain = domain
        self._kept = False
        self.file: IncomingFile | None = None

    def write(self, buffers: list[memoryview]) -> None:
        """Append to the file, made with the first bytes."""
        try:
            if self.file is None:
                self.file = IncomingFile(self._store.incoming)
            self.file.write(buffers)
        except OSError as error:
            raise from_os_error(error) from error

    def finish(self, buffers: list[memoryview], engine: str, file_name: str) -> dict[str, Any]:
        """Write the rest, review the file and keep it if it is valid."""
        self.write(buffers)
        assert self.file is not None
        try:
            found = review(self.file.path, engine)
            if not found.valid:
                return review_reply(found, None, file_name, self.file.size)
            self.file.sync()
            image = self._store.add_image(self._domain, engine, self.file, found)
        except OSError as error:
            raise from_os_error(error) from error
        self._kept = True
        return review_reply(found, image, file_name, self.file.size)

    def close(self) -> None:
        """Discard the file unless it was kept."""
        assert self.file is not None
        if self._kept:
            self.file.close()
        else:
            self.file.discard()
