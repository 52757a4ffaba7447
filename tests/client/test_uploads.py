"""An upload sends the file that was meant, whole, or the server never has a complete request."""

from __future__ import annotations

import contextlib
import email
import hashlib
import os
import re
import subprocess
import sys
import textwrap
import threading

import pytest

from mmsync.client._multipart import FileForm
from mmsync.client.error import FileChanged, ModelManagerError, TransportError
from mmsync.types import FileKey
from support.clients import client_of
from support.wire import answer, reset

REVIEW = {"valid": True, "imageId": 7}
BIG = 6 << 20
# Below, at and above the sizes at which the body changes its course.
SIZES = [0, 1, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, (4 << 20) - 1, 4 << 20, BIG + 17]


@pytest.fixture
def taker(wire):
    return wire(lambda _: answer(200, REVIEW))


def key_of(path) -> FileKey:
    found = path.stat()
    return FileKey(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def parts_of(request):
    """Take the form apart with a parser that shares nothing with what wrote it."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.body)
    return {part.get_param("name", header="content-disposition"): part for part in message.get_payload()}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pinned", [False, True])
def test_the_server_gets_the_very_bytes(taker, tmp_path, size, pinned):
    path = tmp_path / "model.bin"
    path.write_bytes(os.urandom(size))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    steps = []
    client_of(taker.url).upload_image(
        "ONNX",
        path,
        expected_sha256=digest.upper() if pinned else None,
        unchanged_since=key_of(path),
        on_progress=lambda done, total: steps.append((done, total)),
    )
    boundary = re.search("boundary=(.*)", taker.requests[0].headers["content-type"])[1].encode()
    sent = taker.requests[0].body.split(b"\r\n\r\n", 2)[2].removesuffix(b"\r\n--" + boundary + b"--\r\n")
    assert hashlib.sha256(sent).hexdigest() == digest
    assert steps[-1] == (size, size)
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})


@pytest.mark.parametrize(
    "name", ["m.onnx", "MY MODEL.onnx", 'q"uo\\te.onnx', "ümläut 模型.onnx", "new\r\nline.onnx", "ünïx;=.onnx"]
)
def test_the_form_is_understood_whatever_the_file_is_called(taker, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"data")
    client_of(taker.url).upload_image("CAT BOOST", path)
    parts = parts_of(taker.requests[0])
    assert parts["engine"].get_payload() == "CAT BOOST"
    assert parts["fileName"].get_payload(decode=True) == b"data"
    assert b"\n\r\n" not in taker.requests[0].body.replace(b"\r\n\r\n", b"")


def test_a_file_name_that_is_not_utf_8_can_be_sent(taker, tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.onnx")
    path.write_bytes(b"data")
    client_of(taker.url).upload_image("ONNX", path)
    assert b'filename="%FF.onnx"' in taker.requests[0].body


def test_the_form_can_be_sent_again_from_its_start(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(os.urandom(BIG))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with contextlib.closing(FileForm(path, "ONNX", expected_sha256=digest)) as form:
        half = iter(form)
        next(half)
        half.close()
        first, second = b"".join(form), b"".join(form)
    assert first == second
    assert len(first) == len(form)


def test_a_pass_that_was_broken_off_leaves_no_thread_behind(wire, tmp_path):
    path = tmp_path / "m"
    path.write_bytes(bytes(64 << 20))
    breaks = iter([reset, reset])
    server = wire(lambda _: answer(200, REVIEW), on_head=lambda _: next(breaks, None))
    client_of(server.url).upload_image("ONNX", path, expected_sha256=hashlib.sha256(bytes(64 << 20)).hexdigest())
    client = client_of(wire(lambda _: None, on_head=lambda _: reset).url)
    with pytest.raises(TransportError):
        client.upload_image("ONNX", path, expected_sha256="0" * 64)
    assert [thread for thread in threading.enumerate() if thread.name == "mmsync-sha256"] == []


def grow(path):
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path):
    os.truncate(path, 100)


def replace(path):
    twin = path.with_suffix(".new")
    twin.write_bytes(path.read_bytes())
    twin.replace(path)


def remove(path):
    path.unlink()


def rewrite(path):
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")


# A small file is read before it is rewritten: what is pinned is then what was sent, and right.
@pytest.mark.parametrize(
    ("change", "size", "pinned"),
    [
        (change, size, pinned)
        for change in (grow, shrink, replace, remove, rewrite)
        for size in (1000, BIG)
        for pinned in (False, True)
        if (change, size, pinned) != (rewrite, 1000, True)
    ],
)
def test_a_file_that_changes_while_it_is_sent_is_never_committed(taker, tmp_path, change, size, pinned):
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(size))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    changed = []

    def on_progress(_done, _total):
        if not changed:
            changed.append(change(path))

    client = client_of(taker.url)
    with pytest.raises(FileChanged, match=re.escape(str(path))) as caught:
        client.upload_image("ONNX", path, expected_sha256=digest if pinned else None, on_progress=on_progress)
    assert "nothing was saved" in caught.value.hint
    assert not caught.value.permanent
    assert client.find_detail("other") == REVIEW  # the client is as good as before
    assert not taker.seen("POST")


def test_a_file_only_touched_is_sent_where_its_digest_is_known(taker, tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(1000))
    digest = hashlib.sha256(bytes(1000)).hexdigest()
    client = client_of(taker.url)
    client.upload_image("ONNX", path, expected_sha256=digest, on_progress=lambda *_: os.utime(path, ns=(1, 1)))
    with pytest.raises(FileChanged):
        client.upload_image("ONNX", path, on_progress=lambda *_: os.utime(path, ns=(2, 2)))


def test_other_content_than_expected_is_never_sent_whole(taker, tmp_path):
    for size in (0, 10, BIG):
        path = tmp_path / "model.bin"
        path.write_bytes(bytes(size))
        with pytest.raises(FileChanged, match="its content is") as caught:
            client_of(taker.url).upload_image("ONNX", path, expected_sha256="0" * 64)
        assert "another than expected" in caught.value.hint
        assert "nobody writes" not in caught.value.hint
    assert not taker.seen("POST")


def test_a_file_other_than_the_one_looked_at_sends_nothing(taker, tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(b"old")
    key = key_of(path)
    replace(path)
    with pytest.raises(FileChanged, match="looked at before"):
        client_of(taker.url).upload_image("ONNX", path, unchanged_since=key)
    assert not taker.requests


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt("stop"), BrokenPipeError("of the terminal"), ValueError("v"), TimeoutError("t")]
)
@pytest.mark.parametrize("size", [1000, BIG])
def test_what_the_progress_callback_raises_ends_the_request_and_comes_out_unchanged(taker, tmp_path, error, size):
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(size))

    def on_progress(done, total):
        if done == total:
            raise error

    with pytest.raises(type(error)) as caught:
        client_of(taker.url).upload_image("ONNX", path, on_progress=on_progress)
    assert caught.value is error
    assert not taker.seen("POST")


def test_what_is_no_file_is_an_oserror_before_any_upload(taker, tmp_path):
    client = client_of(taker.url)
    os.mkfifo(tmp_path / "pipe")
    for name, error in (("none", FileNotFoundError), (".", IsADirectoryError), ("pipe", OSError)):
        with pytest.raises(error):
            client.upload_image("ONNX", tmp_path / name)
    assert not taker.requests


def test_an_early_success_is_not_taken_for_a_review(wire, tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(64 << 20))

    def at_once(connection):
        connection.sendall(answer(200, REVIEW))
        connection.close()

    server = wire(lambda _: answer(200, REVIEW), on_head=lambda _: at_once)
    with pytest.raises(ModelManagerError):
        client_of(server.url).upload_image("ONNX", path)


def test_an_early_refusal_is_told_with_its_status(wire, tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(1 << 20))
    server = wire(lambda _: answer(413, {"code": 13, "msg": "too large"}))
    with pytest.raises(ModelManagerError, match="13: too large"):
        client_of(server.url).upload_image("ONNX", path)


@pytest.mark.parametrize("size", [1000, BIG])
def test_a_system_without_posix_calls_sends_the_same(taker, tmp_path, size, monkeypatch):
    for name in ("pread", "readv", "O_CLOEXEC", "O_NONBLOCK"):
        monkeypatch.delattr(os, name)
    path = tmp_path / "model.bin"
    path.write_bytes(os.urandom(size))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    client_of(taker.url).upload_image("ONNX", path, expected_sha256=digest, unchanged_since=key_of(path))
    assert path.read_bytes() in taker.requests[0].body


@pytest.mark.parametrize("what", ["up", "down"])
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc, since ru_maxrss counts the parent's")
def test_memory_does_not_grow_with_the_model(wire, tmp_path, what):
    size = 160 << 20
    path = tmp_path / "model.bin"
    with path.open("wb") as file:
        file.truncate(size)

    def reply(request):
        if "fast=False" not in request.target:
            return answer(200, REVIEW)

        def send(connection):
            head, tail = (
                b'{"image": {"id": 7, "image": "',
                b'", "size": %d}, "id": 1, "name": "m", "engine": "ONNX"}' % size,
            )
            block = b"A" * (4 << 20)
            count, rest = divmod((size + 2) // 3 * 4, len(block))
            last = b"A" * (rest - 2) + b"=="  # 160 MiB is one byte more than a multiple of three
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(head) + len(tail) + count * len(block) + rest)
            )
            for piece in (head, *[block] * count, last, tail):
                connection.sendall(piece)

        return send

    assert size % 3 == 1
    server = wire(reply, keep_body=False)
    script = f"""
        import re
        from mmsync.client import create_client_from_token
        client = create_client_from_token({server.url!r}, "t", download_path={str(tmp_path)!r})
        if {what!r} == "up":
            client.upload_image("ONNX", {str(path)!r}, expected_sha256={hashlib.sha256(bytes(size)).hexdigest()!r})
        else:
            client.get_model("m", download_file=True)
        print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < {"up": 48, "down": 64}[what]
    if what == "down":
        assert (tmp_path / "m.onnx").stat().st_size == size
