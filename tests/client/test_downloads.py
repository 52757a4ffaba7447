"""A model's bytes come out as they went in, wherever they stand in the answer, and land where they may."""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import io
import json
import os
import re
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from mmsync.client import ImageContent
from mmsync.client._download import ImageSplitter, Malformed
from mmsync.client.downloader import Downloader, FileSystemDownloader, get_default_downloader, get_image_bytes
from mmsync.client.error import ModelNotFound, TransportError, UnexpectedResponse
from support.clients import Clock, client_of
from support.wire import answer, reset, then_close, then_reset


def split(body: bytes, *cuts: int):
    out = bytearray()
    splitter = ImageSplitter(out.extend)
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in pairwise(edges):
        splitter.feed(body[start:end])
    assert not splitter.is_open
    return splitter.finish(), bytes(out) if splitter.found else None


def escaped(text: str, how: int) -> str:
    if how == 1:
        return text.replace("/", "\\/").replace("=", "\\u003d").replace("+", "\\u002B")
    if how == 2:
        return "\\r\\n".join(text[at : at + 76] for at in range(0, len(text), 76)) + "\\n"
    return text


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["image", '"image"', "\\", '{"image": "QQ=="}']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("image"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(
    data=st.binary(max_size=300),
    around=st.dictionaries(st.text(), json_values, max_size=4),
    beside=st.dictionaries(st.text(), json_values, max_size=3),
    order=st.randoms(use_true_random=False),
    how=st.integers(0, 2),
    cuts=st.lists(st.integers(0, 2000), max_size=8),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_the_bytes_are_found_wherever_they_stand(  # noqa: PLR0917 - one for each thing that varies
    data, around, beside, order, how, cuts, indent, ascii_only
):
    image = list({**beside, "image": "@@@"}.items())
    order.shuffle(image)
    detail = list({**around, "image": dict(image)}.items())
    order.shuffle(detail)
    text = json.dumps(dict(detail), indent=indent, ensure_ascii=ascii_only)
    body = (
        text.replace('"@@@"', '"' + escaped(base64.b64encode(data).decode(), how) + '"', 1)
        if text.count('"@@@"') == 1
        else None
    )
    if body is None:
        return
    rest, out = split(body.encode("utf-8", "surrogatepass"), *cuts)
    assert out == data
    expected = json.loads(text)
    expected["image"]["image"] = ""
    assert rest == expected


@settings(max_examples=100, deadline=None)
@given(value=json_values, cuts=st.lists(st.integers(0, 300), max_size=6))
def test_what_has_no_image_is_parsed_as_json(value, cuts):
    if isinstance(value, dict) and isinstance(value.get("image"), dict):
        value["image"].pop("image", None)
    body = json.dumps(value).encode()
    rest, out = split(body, *cuts)
    assert out is None
    assert rest == value


def test_an_image_key_written_with_an_escape_is_one():
    assert split(b'{"im\\u0061ge": {"\\u0069mage": "QUJD"}}', 5, 9)[1] == b"ABC"


@pytest.mark.parametrize(
    "text",
    ["QUJ", "QU=D", "QUJD=", "QQ==QQ==", "QU JD", "QU-_", "Q", "====", "QUJ\\u00e4", 'QU\\"D', "QU\\\\", "QUJD\\u20ac"],
)
@pytest.mark.parametrize("cut", [0, 25, 27, 29])
def test_what_is_not_base64_is_refused(text, cut):
    with pytest.raises(Malformed):
        split(b'{"image": {"image": "' + text.encode() + b'"}}', cut)


# RFC 4648, sections 3.2 to 3.4: groups of four, the last one padded where it lacks something, and no other character.
BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


@settings(max_examples=400, deadline=None)
@given(
    text=st.lists(st.sampled_from([*b"AQgw+/z=", *b"==", *b"-_ .\x00\x80\xff"]), max_size=24).map(bytes)
    | st.binary(max_size=48).map(base64.b64encode),
    spoilt=st.none() | st.tuples(st.integers(0, 64), st.sampled_from([b"=", b"==", b"====", b"A", b"!", b"\xc3\xa9"])),
    cuts=st.lists(st.integers(0, 120), max_size=4),
)
def test_exactly_what_rfc_4648_calls_base64_is_taken(text, spoilt, cuts):
    if spoilt:
        at, extra = spoilt
        text = text[:at] + extra + text[at:]
    body = b'{"image": {"image": "' + text + b'"}}'
    if BASE64.fullmatch(text):
        assert split(body, *cuts)[1] == base64.b64decode(text)
    else:
        with pytest.raises(Malformed):
            split(body, *cuts)


def test_two_images_and_endless_details_are_refused():
    with pytest.raises(Malformed, match="twice"):
        split(b'{"image": {"image": "QUJD"}, "image": {"image": "QUJD"}}')
    with pytest.raises(Malformed, match="bytes besides"):
        split(b'{"name": "' + b"x" * (65 << 20) + b'"}')


DATA = os.urandom(200_000)
DETAIL = {
    "id": 1,
    "name": "m",
    "engine": "ONNX",
    "image": {"id": 7, "size": len(DATA), "image": base64.b64encode(DATA).decode()},
}
CONTENT = ImageContent(hashlib.sha256(DATA).hexdigest(), len(DATA), 7)


@pytest.fixture
def giver(wire):
    return wire(lambda _: answer(200, DETAIL))


def test_the_bytes_are_hashed_counted_and_written(giver, tmp_path):
    client = client_of(giver.url)
    steps = []
    with (tmp_path / "out").open("wb", buffering=0) as file:
        file.write(b"before")
        assert client.download_image("m", file, on_progress=lambda done, total: steps.append((done, total))) == CONTENT
    assert (tmp_path / "out").read_bytes() == b"before" + DATA
    assert client.download_image("m") == CONTENT
    assert steps[-1][0] == len(DATA)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_no_file_to_write_to(giver, tmp_path, kind):
    with pytest.raises(TypeError, match=r"binary file open for writing, .*, not (str|PosixPath)$"):
        client_of(giver.url).download_image("m", kind(tmp_path / "out"))
    assert not giver.requests
    assert not list(tmp_path.iterdir())


def test_a_compressed_answer_is_decoded(wire):
    server = wire(
        lambda _: answer(200, raw=gzip.compress(json.dumps(DETAIL).encode()), headers={"Content-Encoding": "gzip"})
    )
    assert client_of(server.url).download_image("m") == CONTENT


BODY = answer(200, DETAIL)


@pytest.mark.parametrize(
    "fault",
    [
        reset,
        then_close(BODY[:1000]),
        then_close(BODY[:-3]),
        then_close(BODY[:-3].replace(b"Content-Length", b"X-Length")),
        answer(503),
    ],
)
def test_a_download_that_breaks_off_is_begun_again(wire, tmp_path, fault):
    replies = iter([fault, fault, answer(200, DETAIL)])
    server = wire(lambda _: next(replies))
    out = io.BytesIO(b"before")
    out.seek(6)
    assert client_of(server.url).download_image("m", out) == CONTENT
    assert out.getvalue() == b"before" + DATA


def test_a_download_that_keeps_breaking_off_leaves_no_file(wire, tmp_path):
    server = wire(lambda _: then_close(BODY[:150_000]))
    with pytest.raises(TransportError):
        client_of(server.url, downloader=FileSystemDownloader(tmp_path)).get_model("m", download_file=True)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_rewound_gets_no_byte_twice(wire):
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader, os.fdopen(write, "wb", buffering=0) as writer:
        taken = []
        thread = threading.Thread(target=lambda: taken.append(reader.read()))
        thread.start()
        replies = iter([reset, then_close(BODY[:-3]), BODY])
        server = wire(lambda _: next(replies))
        with pytest.raises(UnexpectedResponse, match="cannot be rewound"):
            client_of(server.url).download_image("m", writer)
        writer.close()
        thread.join()
    assert taken[0]
    assert DATA.startswith(taken[0])


def test_sizes_must_agree(wire, tmp_path):
    wrong = {**DETAIL, "image": {**DETAIL["image"], "size": 5}}
    client = client_of(wire(lambda _: answer(200, wrong)).url, downloader=FileSystemDownloader(tmp_path))
    with pytest.raises(UnexpectedResponse, match="more than 5 bytes of an image it says has 5"):
        client.get_model("m", download_file=True)
    assert list(tmp_path.iterdir()) == []


def test_invalid_base64_and_missing_bytes_are_errors(wire):
    for image, error in (("QU!D", UnexpectedResponse), (None, UnexpectedResponse)):
        server = wire(lambda _, image=image: answer(200, {"id": 1, "name": "m", "image": {"id": 1, "image": image}}))
        with pytest.raises(error):
            client_of(server.url).download_image("m")
    with pytest.raises(ModelNotFound):
        client_of(wire(lambda _: answer(204)).url).download_image("m")


def test_a_full_disk_is_an_oserror_not_the_networks_fault(giver):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        client_of(giver.url).download_image("m", full)
    assert len(giver.requests) == 1


LARGE = os.urandom((6 << 20) + 1)  # hashed by a second thread
LARGE_TEXT = base64.b64encode(LARGE)
LARGE_CONTENT = ImageContent(hashlib.sha256(LARGE).hexdigest(), len(LARGE), 7)


def large_answer(text: bytes = LARGE_TEXT, size: int = len(LARGE)) -> bytes:
    head = b'{"id": 1, "name": "m", "engine": "ONNX", "image": {"id": 7, "size": %d, "image": "' % size
    return answer(200, raw=head + text + b'"}}')


def hashing_threads():
    return [thread for thread in threading.enumerate() if thread.name == "mmsync-sha256"]


@pytest.mark.parametrize("threads", [True, False])
def test_a_large_model_comes_whole_and_begins_again_where_it_broke_off(wire, tmp_path, request, threads):
    if not threads:
        request.getfixturevalue("no_threads")
    whole = large_answer()
    replies = iter([then_close(whole[:-3]), then_reset(whole[: 6 << 20]), whole])
    server = wire(lambda _: next(replies))
    seen = []
    with (tmp_path / "out").open("wb") as file:
        content = client_of(server.url).download_image(
            "m", file, on_progress=lambda *_: seen.append(len(hashing_threads()))
        )
    assert content == LARGE_CONTENT
    assert (tmp_path / "out").read_bytes() == LARGE
    assert set(seen) == ({0, 1} if threads else {0})  # never two: the one of a pass that broke off is gone
    assert not hashing_threads()


class NoRoom(io.BytesIO):
    def write(self, data):
        if self.tell() > 5 << 20:
            raise OSError(28, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize(
    ("text", "size", "error"),
    [
        (LARGE_TEXT[:-8] + b"!" + LARGE_TEXT[-7:], len(LARGE), "not base64"),
        (LARGE_TEXT + b"====", len(LARGE), "not base64"),
        (LARGE_TEXT[:-4], len(LARGE), "bytes of an image it says has"),
        (LARGE_TEXT, 5 << 20, "more than 5242880 bytes"),
        (LARGE_TEXT + b'", "image": "' + LARGE_TEXT, len(LARGE), "twice"),
        (LARGE_TEXT + b'"}}, {"a": {"b": "', len(LARGE), "not JSON"),
    ],
)
def test_what_is_wrong_with_a_large_model_is_said_and_no_thread_stays(wire, tmp_path, text, size, error):
    client = client_of(wire(lambda _: large_answer(text, size)).url, downloader=FileSystemDownloader(tmp_path))
    with pytest.raises(UnexpectedResponse, match=error):
        client.get_model("m", download_file=True)
    assert not list(tmp_path.iterdir())
    assert not hashing_threads()


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt("stop"), BrokenPipeError("of the terminal"), ValueError("v"), binascii.Error("mine")]
)
def test_what_the_caller_raises_comes_out_unchanged_and_no_thread_stays(wire, error):
    server = wire(lambda _: large_answer())
    client = client_of(server.url)

    def on_progress(done, _total):
        if done > 5 << 20:
            assert hashing_threads()
            raise error

    with pytest.raises(type(error)) as caught:
        client.download_image("m", on_progress=on_progress)
    assert caught.value is error
    assert not hashing_threads()
    with pytest.raises(OSError, match="No space left"):
        client.download_image("m", NoRoom())
    assert not hashing_threads()
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("m", "m.onnx"), ("MY FIRST MODEL", "MY FIRST MODEL.onnx"), ("ü-模型_1.2", "ü-模型_1.2.onnx"), ("50% off", "50% off.onnx"),
        ("../escaped", "%2E.%2Fescaped.onnx"), ("/etc/passwd", "%2Fetc%2Fpasswd.onnx"), ("..", "%2E..onnx"), (".hidden", "%2Ehidden.onnx"),
        ("a\x00b\nc\x1b", "a%00b%0Ac%1B.onnx"), ("a%2Fb", "a%252Fb.onnx"), ("~", "~.onnx"), ("a\\b", "a\\b.onnx"), ("\ud800", "%ED%A0%80.onnx"),
    ],
)  # fmt: skip
def test_any_name_becomes_a_file_inside_the_folder(wire, tmp_path, name, file):
    folder = tmp_path / "models"
    folder.mkdir()
    downloader = FileSystemDownloader(folder)
    if name in ("..", "\ud800"):  # no address asks for these
        assert downloader({**DETAIL, "name": name}) == str(folder / file)
    else:
        server = wire(lambda _: answer(200, {**DETAIL, "name": name}))
        model = client_of(server.url, downloader=downloader).get_model(name, download_file=True)
        assert model == {"id": 1, "name": name, "engine": "ONNX", "file": str(folder / file)}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [file]
    assert (folder / file).read_bytes() == DATA


def test_long_names_are_cut_and_stay_apart(tmp_path):
    downloader = FileSystemDownloader(tmp_path)
    files = {downloader({"name": "ü" * 200 + end, "engine": "ONNX", "image": {"image": "QUJD"}}) for end in "ab"}
    assert len(files) == 2
    assert all(file.endswith(".onnx") and Path(file).read_bytes() == b"ABC" for file in files)


def test_a_file_is_replaced_whole_links_are_not_followed_and_the_umask_holds(giver, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "m.onnx").symlink_to(outside)
    before = os.umask(0o027)
    try:
        client_of(giver.url, downloader=FileSystemDownloader(folder)).get_model("m", download_file=True)
    finally:
        os.umask(before)
    assert outside.read_text() == "precious"
    assert (folder / "m.onnx").read_bytes() == DATA
    assert (folder / "m.onnx").lstat().st_mode & 0o777 == 0o640


def test_a_missing_folder_is_an_oserror_but_a_missing_model_comes_first(wire, giver, tmp_path):
    downloader = FileSystemDownloader(tmp_path / "none")
    with pytest.raises(FileNotFoundError) as caught:
        client_of(giver.url, downloader=downloader).get_model("m", download_file=True)
    assert caught.value.filename == str(tmp_path / "none")
    assert ".part" not in str(caught.value)
    with pytest.raises(ModelNotFound):
        client_of(wire(lambda _: answer(204)).url, downloader=downloader).get_model("m", download_file=True)


def test_a_downloader_of_ones_own_gets_the_model_with_its_bytes_in_base64(giver):
    class Own(FileSystemDownloader):
        def __call__(self, model):
            return hashlib.sha256(get_image_bytes(model["image"])).hexdigest()

    for downloader in (Own("."), Own(".").__call__):
        model = client_of(giver.url, downloader=downloader).get_model("m", download_file=True)
        assert model == {"id": 1, "name": "m", "engine": "ONNX", "file": CONTENT.sha256}


@pytest.mark.parametrize("missing", ["name", "engine", "image"])
def test_a_model_that_cannot_be_stored_is_a_value_error(wire, tmp_path, missing):
    model = {key: value for key, value in DETAIL.items() if key != missing}
    with pytest.raises(ValueError, match="Invalid"):
        FileSystemDownloader(tmp_path)(model)
    with pytest.raises(ValueError, match="Invalid"):
        client_of(wire(lambda _: answer(200, model)).url, downloader=FileSystemDownloader(tmp_path)).get_model(
            "m", download_file=True
        )
    assert list(tmp_path.iterdir()) == []


def test_the_default_downloader_writes_where_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    downloader = get_default_downloader()
    assert isinstance(downloader, Downloader)
    assert downloader.path == str(tmp_path)
    assert FileSystemDownloader("~/models").path == str(Path.home() / "models")


def test_what_on_progress_raises_ends_the_download(giver, tmp_path):
    clock = Clock()

    def stop(_done, _total):
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        client_of(giver.url, retry=clock.policy()).download_image("m", on_progress=stop)
    assert clock.slept == []
