"""Small real model files of each engine, made from scratch, and what a multipart upload of one looks like."""

from __future__ import annotations

import io
import json
import struct
import zipfile

MULTIPART = {"Content-Type": "multipart/form-data; boundary=edge"}


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def field(number: int, value: int | bytes | str) -> bytes:
    """One Protocol Buffers field."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(name: str, element: int, *shape: int) -> bytes:
    """A ValueInfoProto of a tensor; a dimension of 0 is unknown."""
    dimensions = b"".join(field(1, field(1, size) if size else field(2, "N")) for size in shape)
    return field(1, name) + field(2, field(1, field(1, element) + field(2, dimensions)))


def onnx_model(inputs: list[bytes], outputs: list[bytes], *, extra: bytes = b"", ir_version: int = 9) -> bytes:
    """A ModelProto whose outputs are made by an Identity of the first input each."""
    first = inputs[0].split(b"\x12")[0][2:].decode("latin-1") if inputs else "x"
    nodes = b"".join(
        field(1, field(1, first) + field(2, output[2 : 2 + output[1]]) + field(4, "Identity")) for output in outputs
    )
    graph = nodes + field(2, "g") + extra
    graph += b"".join(field(11, value) for value in inputs) + b"".join(field(12, value) for value in outputs)
    opset = field(8, field(1, "") + field(2, 13))
    return field(1, ir_version) + field(7, graph) + opset


FLOAT, INT32, INT64, STRING, BOOL, DOUBLE = 1, 6, 7, 8, 9, 11


def regression_onnx(weight: bytes = b"\0\0\0\0") -> bytes:
    """A float in, a float out; ``weight`` (4 bytes) is an initializer, so that a byte of it changes nothing else."""
    initializer = field(1, 1) + field(2, FLOAT) + field(8, "w") + field(9, weight)
    return onnx_model([tensor("x", FLOAT, 0, 1)], [tensor("y", FLOAT, 0, 1)], extra=field(5, initializer))


MODEL_INI = """[info]
h2o_version = 3.46.0.1
mojo_version = 1.40
algo = gbm
category = Binomial
supervised = true
n_features = 3
n_classes = 2
n_columns = 4
n_domains = 2

[columns]
amount
country
hour
fraud

[domains]
1: 3 d000.txt
3: 2 d001.txt
"""


def zipped(entries: dict[str, str | bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return file.getvalue()


def mojo(ini: str = MODEL_INI) -> bytes:
    return zipped(
        {"model.ini": ini, "domains/d000.txt": "de\nes\nfr", "domains/d001.txt": "0\n1", "trees/t0": b"\0" * 40}
    )


def catboost() -> bytes:
    """The magic, a length, and a FlatBuffer that says nothing."""
    core = struct.pack("<IHHi", 8, 4, 4, 4)
    return b"CBM1" + struct.pack("<I", len(core)) + core


def bigml() -> bytes:
    fields = {
        "000000": {"name": "sepal", "optype": "numeric"},
        "000001": {"name": "colour", "optype": "categorical"},
        "000002": {
            "name": "species",
            "optype": "categorical",
            "summary": {"categories": [["a", 1], ["b", 2], ["c", 3]]},
        },
    }
    return json.dumps({"code": 200, "object": {"objective_field": "000002", "model": {"fields": fields}}}).encode()


def form(engine: str | None, content: bytes | None, *, part: str = "fileName", file_name: str = "m") -> bytes:
    """The multipart body of an upload; None leaves a part out. The boundary is that of `MULTIPART`."""
    body = b""
    if engine is not None:
        body += b'--edge\r\nContent-Disposition: form-data; name="engine"\r\n\r\n' + engine.encode() + b"\r\n"
    if content is not None:
        head = f'--edge\r\nContent-Disposition: form-data; name="{part}"; filename="{file_name}"\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return body + b"--edge--\r\n"
