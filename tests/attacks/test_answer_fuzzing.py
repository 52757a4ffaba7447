"""Answers spoilt at random under plan, list, pull, import and apply: no traceback, no hang, no wrong write.

Each answer of a good server is left alone or spoilt in one way. What it is depends on the seed, the request and how
often that was made, so that a failure can be made again: ``FUZZ_SEED`` runs one seed alone.
"""

from __future__ import annotations

import base64
import functools
import gzip
import json
import os
import random
import threading
from urllib.parse import unquote

import pytest

import mmsync.client.api
from mmsync.client import RetryPolicy
from support.commands import Shell
from support.wire import Wire, answer, reset, then_close

pytestmark = pytest.mark.timeout(3600)

ANSWERS = 80  # spoilt ones at least, for each of the five commands, times the scale
OURS = {name: name.encode() * 200 + b"new" for name in ("same", "changed", "missing", "described")}
HELD = {**OURS, "changed": b"old bytes", "theirs": b"none of our business"}
del HELD["missing"]
MANIFEST = "version: 1\nscope: ['*']\nmodels:\n" + "".join(
    f"  - {{name: {name}, engine: MLSTATS, file: {name}.bin, description: text of {name}}}\n" for name in OURS
)
ODD = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**30,
    "",
    "x",
    "\x1b[31m\n::error::",
    "../../up",
    "a" * 5000,
    "\ud800",
    [],
    {},
    [[]],
    [None],
]
COMMANDS = {
    "plan": ["plan"],
    "list": ["list", "--format", "json"],
    "pull": ["pull", "--all", "--force", "--to", "out"],
    "import": ["import", "--force", "--to", "out"],
    "apply": ["apply", "--yes"],
}  # fmt: skip


class Server:
    """A good Model Manager in memory, and the spoiling of what it says."""

    def __init__(self):
        self.lock = threading.Lock()
        self.spoilt = 0
        self.begin(None)

    def begin(self, seed):
        """Hold the first models again; spoil by ``seed``, or nothing."""
        self.seed, self.asked = seed, {}
        self.images = dict(enumerate(HELD.values(), 1))
        self.models = {
            name: {
                "id": at,
                "name": name,
                "engine": "MLSTATS",
                "description": "another text" if name == "described" else f"text of {name}",
                "creationDate": 1,
                "updateDate": 1,
                "image": at,
            }
            for at, name in enumerate(HELD, 1)
        }
        self.forbidden = []

    def content(self):
        return {name: self.images[model["image"]] for name, model in self.models.items()}

    def __call__(self, request):
        with self.lock:
            status, body = self.good(request)
            if self.seed is None:
                return answer(status, body)
            key = (request.method, request.target)
            self.asked[key] = self.asked.get(key, 0) + 1
            # A string, since the hash of a tuple of strings differs from process to process.
            dice = random.Random(f"{self.seed} {key} {self.asked[key]}")
            if dice.random() < 0.5:
                return answer(status, body)
            self.spoilt += 1
            return spoil(dice, status, body)

    def good(self, request):
        path, _, query = request.target.partition("?")
        path = path.removeprefix("/domains/self")
        if path == "/models/images/upload":
            content = request.body.split(b"octet-stream\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]
            self.images[len(self.images) + 1] = content
            return 200, {"valid": True, "imageId": len(self.images), "size": len(content), "fields": [], "clusters": []}
        if request.method == "POST":
            try:
                return self.save(request.json())
            except ValueError:  # an upload that was redirected here
                return 400, None
        if request.method != "GET":
            self.forbidden.append(request.method)
            return 405, None
        if path == "/models":
            return 200, [
                {key: value for key, value in model.items() if key != "image"} | {"imageId": model["image"]}
                for model in self.models.values()
            ]
        name, _, part = path.removeprefix("/models/").partition("/")
        model = self.models.get(unquote(name))
        if model is None:
            return 204, None
        content = self.images[model["image"]]
        image = {"id": model["image"], "size": len(content)}
        if "true" not in query.lower() and part != "fast":
            image["image"] = base64.b64encode(content).decode()
        return 200, {**model, "image": image, "fields": [], "clusters": [], "hidden": False}

    def save(self, body):
        name, image = body.get("name"), (body.get("image") or {}).get("id")
        there = self.models.get(name)
        if (
            type(image) is not int
            or image not in self.images
            or (there is None) is not (body.get("id") is None)
            or name is None
        ):
            return 400, {"code": 1, "msg": "no such model or image"}
        if there is not None and body["id"] != there["id"]:
            return 400, {"code": 1, "msg": "another id"}
        before = there or {"id": 100 + len(self.models), "creationDate": 2, "updateDate": 1}
        kept = {key: body.get(key) for key in ("name", "engine", "description")}
        self.models[name] = {**before, **kept, "image": image, "updateDate": before["updateDate"] + 1}
        return 200, None


def spoil(dice, status, body):
    """Return what is sent in place of a good answer."""
    way = dice.choice([structure] * 5 + [lies, head, head, bytes_of, bytes_of, other])
    return way(dice, status, body)


def structure(dice, status, body):
    """Change one value or key of the JSON."""
    body = json.loads(json.dumps(body))
    places = list(_places([body]))
    around, key = dice.choice(places)
    match dice.randrange(4):
        case 0 if around is not None and isinstance(around, dict):
            del around[key]
        case 1 if isinstance(around, dict):
            around[key + dice.choice(["", "x", "\u200b"])] = around.pop(key)
        case 2 if isinstance(around, list) and around:
            around.insert(key, dice.choice(ODD))
        case _:
            around[key] = dice.choice(ODD)
    # The list around it all stands for the body; a second value in it is as good as none.
    return answer(status, places[0][0][0] if places[0][0] else None)


def _places(value):
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _places(value[key])


def lies(dice, status, body):
    """Say something well-formed that is not so."""
    return answer(
        *dice.choice(
            [
                (200, []),
                (200, None),
                (204, None),
                (
                    200,
                    {"id": 5, "name": "stranger", "engine": "MLSTATS", "image": {"id": 5, "size": 3, "image": "QUJD"}},
                ),
                (200, {"valid": True, "imageId": dice.randrange(10**6, 10**9), "size": 3}),
                (200, {"valid": False, "errorDetail": dice.choice(ODD)}),
                (206, body),
                (dice.choice([400, 401, 403, 404, 405, 409, 429, 500, 502, 503, 504]), body),
                (403, {"code": 5, "msg": "expired"}),
                (500, {"code": dice.choice(ODD), "msg": dice.choice(ODD), "cid": dice.choice(ODD)}),
                (status, [body, body]),
            ]
        )
    )


def head(dice, status, body):
    """Change the status line or the headers."""
    content = json.dumps(body).encode() if body is not None else b""
    length = b"Content-Length: %d" % len(content)
    line = b"HTTP/1.1 %d OK" % status
    match dice.randrange(9):
        case 0:
            line = dice.choice(
                [b"", b"HTTP/9.9 200", b"HTTP/1.1 99999 OK", b"HTTP/1.1 -1", b"\x15\x03\x01\x00\x02", b"ICY 200 OK"]
            )
        case 1:
            length = b"Content-Length: " + dice.choice(
                [b"-1", b"1e3", b"", b"9" * 30, b"%d" % (len(content) + 1), b"%d" % (len(content) // 2)]
            )
        case 2:
            length = b"Transfer-Encoding: chunked"
            content = dice.choice(
                [content, b"%x\r\n" % (len(content) + 5) + content, b"-1\r\n", b"ffffffffffffffffffff\r\n" + content]
            )
        case 3:
            length += b"\r\nContent-Encoding: " + dice.choice([b"gzip", b"deflate", b"br", b"gzip, gzip", b"nonsense"])
        case 4:
            content = gzip.compress(content)[: -dice.randrange(4)]
            length = b"Content-Encoding: gzip"
        case 5:
            line = b"HTTP/1.1 %d X" % dice.choice([301, 302, 303, 307, 308])
            length += b"\r\nLocation: " + dice.choice(
                [b"/models", b"//elsewhere.invalid/", b"ftp://x", b"http://[", b"\xff", b"?"]
            )
        case 6:
            line = dice.choice([b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 40]) + line
        case 7:
            length += b"\r\n" + dice.choice(
                [
                    b"X" * 70_000,
                    b"A: b\r\n" * 200,
                    b": no name",
                    b"Set-Cookie: a=b",
                    b"Retry-After: \xff",
                    b"Content-Type: \xff",
                ]
            )
        case _:
            length = b""
    return then_close(line + b"\r\n" + length + b"\r\n\r\n" + content)  # fmt: skip


def bytes_of(dice, status, body):
    """Cut, double, or spoil the bytes of the answer; those of an image as well, but none into another letter."""
    raw = bytearray(answer(status, body))
    at = dice.randrange(len(raw))
    match dice.randrange(4):
        case 0:
            del raw[at:]
        case 1:
            raw[at:at] = raw[at : at + dice.randrange(1, 200)]
        case 2:
            del raw[at : at + dice.randrange(1, 50)]
        case _:
            raw[at] = dice.choice(b'\x00\xff"\\{}[],:\n')
    return then_close(bytes(raw))


def other(dice, _status, _body):
    """Answer with something that is no answer of a Model Manager at all."""
    return dice.choice(
        [
            None,
            reset,
            answer(200, raw=b"<html>log in</html>", headers={"Content-Type": "text/html"}),
            answer(200, raw=b"\xff\xfe"),
            answer(200, raw=b"[" * 50_000),
            answer(200, raw=b'{"a":' * 5_000),
            answer(200, raw=b"9" * 6_000),
            answer(200, raw=b"NaN"),
            answer(200, raw=b"\xef\xbb\xbf[]"),
        ]
    )


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch):
    """A folder with the manifest, and no time spent on waiting before a request is repeated."""
    patient = functools.partial(RetryPolicy, first_wait=0.0, longest_wait=0.0, longest_retry_after=0.0)
    monkeypatch.setattr(mmsync.client.api, "RetryPolicy", patient)
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "models.yaml").write_text(MANIFEST)
    for name, content in OURS.items():
        (folder / f"{name}.bin").write_bytes(content)
    return Shell(folder, capsys, monkeypatch)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_spoilt_answer_does_harm(command, scale, shell, tmp_path):
    server = Server()
    seeds = iter([os.environ["FUZZ_SEED"]] if "FUZZ_SEED" in os.environ else range(10**9))
    own = files(shell.folder)
    with Wire(server) as wire:
        options = ["--url", wire.url, "--token", "t", "--timeout", "5"]
        while server.spoilt < ANSWERS * scale and (seed := next(seeds, None)) is not None:
            generation = ["--domain", "self"] if seed and int(seed) % 3 == 0 else []
            server.begin(seed)
            ran = shell(*COMMANDS[command], *options, *generation)
            told = f"FUZZ_SEED={seed}\n{ran.out}\n{ran.err}"
            assert ran.code in (0, 1), told
            assert not any(word in ran.err for word in ("Traceback", "of its own", "internal")), told
            assert "\x1b" not in ran.out + ran.err.replace("\x1b[2K", ""), told
            check_server(server, command, told)
            check_files(shell, own, command, told)
            if command == "apply":
                server.seed = None
                ran = shell("apply", "--yes", *options, *generation)
                assert ran.code == 0, told + ran.err
                assert server.content() == {**HELD, **OURS}, told
            wire.requests.clear()
    assert [entry.name for entry in tmp_path.iterdir()] == ["work"]
    print(f"{server.spoilt} spoilt answers")  # noqa: T201 - the figure of a long run, seen with -s


def check_server(server, command, told):
    """Nothing but what the command is for was written, and all of it is whole."""
    assert not server.forbidden, told
    content = server.content()
    if command != "apply":
        assert content == HELD, told
    for name, held in content.items():
        assert held in (HELD.get(name), OURS.get(name)), told
    assert content["theirs"] == HELD["theirs"], told
    assert set(content) <= {*HELD, *OURS}, told


def check_files(shell, own, command, told):
    """What was there is as it was, and what came is a model's bytes as the server holds them, in its place."""
    found = files(shell.folder)
    assert {name: found.pop(name) for name in own} == own, told
    for name, content in found.items():
        assert command in ("pull", "import"), told
        assert name.startswith("out/"), told
        assert name in ("out/models.yaml", "out/models.schema.json") or content in HELD.values(), (name, content, told)
    for name in found:
        (shell.folder / name).unlink()
