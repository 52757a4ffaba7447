"""The body of an upload: a multipart form with one file, streamed, rewindable, compared with what was expected."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import TypeVar

from mmsync.client.error import FileChanged
from mmsync.parallel import start
from mmsync.types import FileKey, file_key

_Item = TypeVar("_Item")
_END = object()
# Large enough that system calls and turns of the loop cost next to nothing, small enough to stay in the cache between
# being read, hashed and sent.
_PIECE = 1 << 18
# From this size on a file is read and hashed by a second thread while the first one sends: neither waits for the other.
_WORTH_A_THREAD = 4 << 20


def prefetched(items: Iterable[_Item], count: int = 4) -> Iterator[_Item]:
    """Yield ``items``, made in another thread while this one is busy with those before, at most ``count`` ahead.

    What making them raises is raised here, in its turn. The thread has ended when this generator has, also when it
    is closed before its end.
    """
    made: Queue[object] = Queue(maxsize=count)
    given_up = threading.Event()

    def make() -> None:
        try:
            for item in items:
                made.put(item)
                if given_up.is_set():
                    return
            made.put(_END)
        except BaseException as error:  # noqa: BLE001 - handed over whole, to be raised where it can be dealt with
            made.put(error)

    thread = threading.Thread(target=make, name="mmsync-ahead", daemon=True)
    if not start([thread]):
        yield from items
        return
    try:
        while (item := made.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item  # type: ignore[misc]  # what else is in the queue came from the items
    finally:
        given_up.set()
        while thread.is_alive():
            try:
                made.get(timeout=0.01)
            except Empty:
                thread.join(0.01)


class FormAborted(Exception):
    """Ends a request in the middle of its body. Never an OSError: urllib3 takes those for the connection's."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause  # what to raise to the caller


class FileForm:
    """A multipart/form-data body with the field ``engine``, left out where it is None, and the file part ``fileName``.

    Each iteration sends the file anew from its start. The last bytes are held back until the file has proved to be
    the one expected, so a server never sees a complete request with another: to have the digest ``expected_sha256``,
    where one is given, and before anything is sent the stamp ``unchanged_since``, or its beginning. ``on_progress`` is
    called with (bytes done, bytes in all) of the file before each chunk is sent, the last included.

    Raises `OSError` if the file cannot be opened or is not a regular one (``~`` is not expanded here), `FileChanged`
    if it is not the one of ``unchanged_since``.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        engine: str | None,
        *,
        expected_sha256: str | None = None,
        unchanged_since: tuple[int, ...] | None = None,
        on_progress: Callable[[int, int], object] | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self.started = False  # whether the last iteration began; a stand-in for a server may answer without reading
        self.complete = False  # whether the last iteration handed out its last bytes
        self._sending: Generator[bytes, None, None] | None = None
        self._expected = expected_sha256.lower() if expected_sha256 else None
        self._on_progress = on_progress
        # O_NONBLOCK: a pipe must be refused, not waited on.
        self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._stamp = _checked(self._file, self.path, unchanged_since)
        except BaseException:
            self.close()
            raise
        self.size = self._stamp.size
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        part = f"--{boundary}\r\nContent-Disposition: form-data; name="
        head = "" if engine is None else f'{part}"engine"\r\n\r\n{engine}\r\n'
        head += f'{part}"fileName"; filename="{_quoted(self.path)}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        self._head = head.encode("utf-8", "backslashreplace")
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self._head) + self.size + len(self._tail)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[bytes]:
        self._stop()
        self._sending = self._sent()
        return self._sending

    def _stop(self) -> None:
        """End a pass that a broken connection left unfinished, and the thread that reads ahead for it."""
        if self._sending is not None:
            self._sending.close()
            self._sending = None

    def _sent(self) -> Generator[bytes, None, None]:
        self.started, self.complete = True, False
        try:
            yield from self._chunks()
        except (FormAborted, GeneratorExit):
            raise
        except BaseException as cause:
            raise FormAborted(cause) from cause

    def _chunks(self) -> Iterator[bytes]:
        held, done = self._head, 0
        # Without a digest to compare with, one would be made for nobody.
        digest = hashlib.sha256() if self._expected else None
        pieces = self._pieces(digest)
        for piece in prefetched(pieces) if digest and self.size >= _WORTH_A_THREAD else pieces:
            done += len(piece)
            self._tell(done)
            if done < self.size:
                if held:
                    yield held
                    held = b""
                yield piece
            else:
                held += piece
        if not self.size:
            self._tell(0)
        self._prove(digest.hexdigest() if digest else None)
        self.complete = True
        yield held + self._tail

    def _pieces(self, digest: hashlib._Hash | None) -> Iterator[bytes]:
        done = 0
        while done < self.size:
            piece = os.pread(self._file, min(_PIECE, self.size - done), done)
            if not piece:
                raise FileChanged(self.path, f"it shrank to {done} of {self.size} bytes while it was sent")
            if digest:
                digest.update(piece)
            done += len(piece)
            yield piece

    def _tell(self, done: int) -> None:
        if self._on_progress is not None:
            self._on_progress(done, self.size)

    def _prove(self, sha256: str | None) -> None:
        """Raise FileChanged unless what was read is the file that was asked for."""
        stamp = file_key(os.fstat(self._file))
        if stamp.size != self.size:
            verb = "grew" if stamp.size > self.size else "shrank"
            raise FileChanged(self.path, f"it {verb} from {self.size} to {stamp.size} bytes while it was sent")
        if self._expected is not None and sha256 != self._expected:
            raise FileChanged(
                self.path,
                f"its content is {str(sha256)[:12]}…, not {self._expected[:12]}… as expected",
                "nothing was saved; the file is another than expected: restore that one, or plan anew with this one",
            )
        # A matching digest is proof enough where the file was only touched; without one every write must show.
        if self._expected is None and stamp != self._stamp:
            raise FileChanged(self.path, "it was written while it was sent")
        try:
            now = Path(self.path).stat()
        except OSError:
            raise FileChanged(self.path, "it was removed while it was sent") from None
        if (now.st_dev, now.st_ino) != stamp[:2]:
            raise FileChanged(self.path, "it was replaced by another file while it was sent")

    def close(self) -> None:
        """Close the file. Closing again does nothing."""
        self._stop()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _checked(file: int, path: str, unchanged_since: tuple[int, ...] | None) -> FileKey:
    """Return the stamp of an open file, which must be a regular one and have, or begin with, the one expected."""
    found = os.fstat(file)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", path)
    stamp = file_key(found)
    if unchanged_since is not None and tuple(unchanged_since) != stamp[: len(unchanged_since)]:
        raise FileChanged(path, "it is not the file that was looked at before")
    return stamp


def _quoted(path: str) -> str:
    r"""Return the file's name for a quoted parameter.

    As browsers send it (WHATWG HTML, multipart/form-data): UTF-8, with ``"`` and line ends percent-encoded. A
    backslash is encoded too, since some parsers take it for an escape, and so is a byte that is not UTF-8.
    """
    return re.sub(
        '[\x00-\x1f\x7f"\\\\\ud800-\udfff]',
        lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape")),
        Path(path).name,
    )
