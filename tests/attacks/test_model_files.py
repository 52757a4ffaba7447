"""Model files made to cost: each is bounded in the bytes it has read, not in the time it takes."""

from __future__ import annotations

import os
import struct
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from mmsync.formats import FormatError, detect, inspect, types


@pytest.fixture
def bytes_read(monkeypatch):
    counted = [0]
    pread = os.pread

    def counting(descriptor: int, count: int, at: int) -> bytes:
        data = pread(descriptor, count, at)
        counted[0] += len(data)
        return data

    monkeypatch.setattr(types.os, "pread", counting)
    return counted


def look(path, engine: str) -> FormatError | None:
    with path.open("rb") as file:
        try:
            inspect(file.fileno(), engine)
        except FormatError as error:
            return error
    return None


class Counting(bytes):
    """A text that counts the looks for an end of a comment."""

    looks = 0

    def find(self, *arguments):
        type(self).looks += 1
        return super().find(*arguments)


@pytest.mark.parametrize("comments", [28, 9000])
def test_comments_are_passed_once_each(comments):
    Counting.looks = 0
    assert detect.mistaken_for(b"<!---->" * comments) is None
    detect._without_comments(Counting(b"<!---->" * comments))
    assert Counting.looks == comments
    assert "HTML" in (detect.mistaken_for(b"<!---->" * comments + b"<html>") or "")


@pytest.mark.parametrize("form", ["plain", "zip64"])
def test_a_zip_of_too_many_entries_is_refused_before_its_directory_is_read(tmp_path, bytes_read, monkeypatch, form):
    directory = 1_500_000 * 50
    path = tmp_path / "m.zip"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(4 + directory)
        file.seek(0, 2)
        if form == "zip64":
            at = file.tell()
            file.write(b"PK\x06\x06" + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, *[1_500_000] * 2, directory, 4))
            file.write(b"PK\x06\x07" + struct.pack("<LQL", 0, at, 1))
            file.write(b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))
        else:
            file.write(b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 0xFFFF, 0xFFFF, directory, 4, 0))
    monkeypatch.setattr(zipfile, "ZipFile", None)
    error = look(path, "MUA")
    assert error is not None
    assert "more than" in error.reason
    assert bytes_read[0] < 512 * 1024


@pytest.mark.parametrize("engine", ["MUA", "H2O", "UNICODE"])
def test_a_zip_whose_entries_lie_before_it_is_refused(tmp_path, engine):
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.ini", "[info]\n")
    data = bytearray(path.read_bytes())
    at = len(data) - 22 + 16  # where the end record says that the directory begins
    struct.pack_into("<L", data, at, struct.unpack_from("<L", data, at)[0] + 1000)
    path.write_bytes(data)
    error = look(path, engine)
    assert error is not None
    assert "outside" in error.reason


@given(
    noise=st.binary(max_size=3000), start=st.sampled_from([b"", b"CBM1", b"\x08\x07\x3a", b"PK\x03\x04", b"[", b"<!--"])
)
@settings(
    max_examples=150,
    deadline=None,
    # A busy machine is no fault of what is tried: bytes are counted here, not seconds.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.parametrize("engine", ["ONNX", "CATBOOST", "H2O", "BIGML", "DT", "NEW"])
def test_no_bytes_cost_more_than_their_length_allows(tmp_path, bytes_read, engine, start, noise):
    path = tmp_path / "m"
    path.write_bytes(start + noise)
    bytes_read[0] = 0
    look(path, engine)
    assert bytes_read[0] <= 100 * (len(start + noise) + 100)


@pytest.mark.parametrize(("engine", "content"), [("BIGML", b"[" * 100_000), ("ONNX", b"\x3a\x7f" * 50_000)])
def test_nesting_is_no_way_to_the_end_of_the_stack(tmp_path, engine, content):
    path = tmp_path / "m"
    path.write_bytes(content)
    assert look(path, engine) is not None
