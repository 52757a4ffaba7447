"""The body of an upload: a multipart form with one file, streamed, rewindable, compared with what was expected."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from mmsync.client._hashing import Sha256
from mmsync.client.error import FileChanged
from mmsync.types import FileKey, file_key

# Large enough that system calls and turns of the loop cost next to nothing, small enough to stay in the cache between
# being read, hashed and sent.
_PIECE = 1 << 18


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
        self._file = open(self.path, "rb", buffering=0, opener=_opened)  # noqa: SIM115 - closed by `close`
        try:
            self._stamp = _checked(self._file.fileno(), self.path, unchanged_since)
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
        with Sha256() if self._expected else contextlib.nullcontext() as digest:
            for piece in self._pieces():
                if digest:
                    digest.update(piece)
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

    def _pieces(self) -> Iterator[bytes]:
        self._file.seek(0)
        done = 0
        while done < self.size:
            piece = self._file.read(min(_PIECE, self.size - done))
            if not piece:
                raise FileChanged(self.path, f"it shrank to {done} of {self.size} bytes while it was sent")
            done += len(piece)
            yield piece

    def _tell(self, done: int) -> None:
        if self._on_progress is not None:
            self._on_progress(done, self.size)

    def _prove(self, sha256: str | None) -> None:
        """Raise FileChanged unless what was read is the file that was asked for."""
        stamp = file_key(os.fstat(self._file.fileno()))
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
        self._file.close()


def _opened(path: str, flags: int) -> int:
    """Open a file for reading. A pipe is not waited on, so that it can be refused; Windows has none among its files."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _checked(file: int, path: str, unchanged_since: tuple[int, ...] | None) -> FileKey:
    """Return the stamp of an open file, which must be a regular one and have, or begin with, the one expected."""
    found = os.fstat(file)
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
