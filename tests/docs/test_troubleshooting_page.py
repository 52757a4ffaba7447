"""What the page of troubleshooting quotes is what is said: each symptom is brought about, for real."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from mmsync import help as pages
from mmsync.cli.settings import lock_folder
from mmsync.client.error import FileChanged
from mmsync.lock import server_lock
from mmsync.manifest import read_manifest
from mmsync.types import ServerName
from mmsync.watch.conditions import of_unsettled
from support.desk import TOKEN
from support.model_files import regression_onnx
from support.tls import Authority, in_front_of

SYMPTOMS: dict[str, Callable[..., str]] = {}
TEXT = pages.page("troubleshooting")
_QUOTE = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def quoted():
    """Each heading with what is quoted under it."""
    _, *parts = re.split(r"^### (.+)\n", TEXT, flags=re.MULTILINE)
    found = {heading: _QUOTE.findall(body) for heading, body in zip(parts[::2], parts[1::2], strict=True)}
    return {heading: blocks for heading, blocks in found.items() if blocks}


def symptom(heading):
    def keep(bring_about):
        SYMPTOMS[heading] = bring_about
        return bring_about

    return keep


def told(ran, *, code=1):
    assert ran.code == code, ran
    return ran.out + ran.err


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@symptom("Certificate verify failed")
def _(desk, front, authority):
    shown = told(desk("list", "--url", front))
    assert desk("list", "--url", front, "--cacert", authority.pem).code == 0
    assert "another" in told(desk("list", "--insecure", "--url", "https://models.example.com"))
    return shown


@symptom("The token is refused")
def _(desk):
    desk.environment.setenv("MMSYNC_TOKEN", "another")
    return told(desk("list"))


@symptom("The token is not sent")
def _(desk):
    desk.environment.delenv("MMSYNC_URL")
    desk.file("m", b"1")
    desk.manifest("m MLSTATS m", head='server: {url: "https://models.example.com"}\n')
    return told(desk("plan"))


@symptom("No server is named")
def _(desk):
    desk.environment.delenv("MMSYNC_URL")
    return told(desk("list"))


@symptom("404")
def _(desk):
    return told(desk("list", "--url", f"{desk.url}/mlmodelmanger"))


@symptom("https to a port of http, and the other way")
def _(desk, front):
    first = told(desk("list", "--url", desk.url.replace("http:", "https:")))
    return first + told(desk("list", "--url", front.replace("https:", "http:")))


@symptom("The proxy")
def _(desk):
    desk.environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    return told(desk("list", "--url", "https://models.example.com"))


@symptom("Nobody answers")
def _(desk):
    return told(desk("list", "--url", f"http://127.0.0.1:{closed_port()}"))


@symptom("Too many models")
def _(desk):
    return told(desk("list", "--max-list-bytes", "1"))


@symptom("There is no such manifest")
def _(desk):
    return told(desk("plan"))


@symptom("There is no such file")
def _(desk):
    desk.file("m.ONNX", regression_onnx())
    desk.manifest("m ONNX m.onnx")
    return told(desk("plan"))


@symptom("A half-copied file")
def _(desk):
    desk.file("m.onnx", regression_onnx()[:-20])
    desk.manifest("m ONNX m.onnx\nn MLSTATS m.onnx")
    shown = told(desk("apply"))
    assert desk.view.names() == ["n"]
    return shown


@symptom("A file that still changes")
def _(desk):
    path = desk.file("m.onnx", regression_onnx() * 100_000)
    desk.manifest("m ONNX m.onnx")

    def grow(_done, _total):
        with path.open("ab") as file:
            file.write(b"more")

    with desk.client() as client, pytest.raises(FileChanged) as caught:
        client.upload_image("ONNX", path, on_progress=grow)
    [desired] = read_manifest(["models.yaml"]).models
    [condition] = of_unsettled([desired], {"m"}, {desired.path})
    return f"{condition.message} {caught.value.hint}"


@symptom("A Git LFS pointer")
def _(desk):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    desk.file("m.onnx", pointer.encode())
    desk.manifest("m ONNX m.onnx")
    return told(desk("plan"), code=0)


@symptom("An unknown engine")
def _(desk):
    desk.file("m.onnx", regression_onnx())
    desk.manifest("m ONXX m.onnx")
    refused = told(desk("apply"))
    desk.manifest("m ONXX m.onnx  inspect: false")
    return refused + told(desk("apply"))


@symptom("A secret in the manifest")
def _(desk):
    desk.manifest(head=f"server: {{token: {TOKEN}}}\n")
    return told(desk("plan"))


@symptom("The plan is not the one that was reviewed")
def _(desk):
    desk.file("m", b"1")
    desk.manifest("m MLSTATS m")
    assert desk("plan", "--out", "plan.json").code == 0
    desk.file("m", b"22")
    return told(desk("apply", "plan.json")) + told(desk("apply", "--expect", "0" * 64))


@symptom("--prune deletes nothing")
def _(desk):
    desk.file("m", b"1")
    desk.manifest("m MLSTATS m\nn MLSTATS m")
    assert desk("apply").code == 0
    path = desk.manifest("m MLSTATS m")
    shown = told(desk("plan"), code=0)
    desk.manifest("m MLSTATS m", scope="[m]")
    shown += told(desk("plan", "--prune"), code=0)
    path.write_text(path.read_text().replace("scope: [m]\n", ""))
    return shown + told(desk("plan", "--prune"), code=0)


@symptom("It would delete too much")
def _(desk):
    desk.file("m", b"1")
    desk.manifest("\n".join(f"m{number} MLSTATS m" for number in range(7)))
    assert desk("apply").code == 0
    desk.manifest("m1 MLSTATS m")
    return told(desk("plan", "--prune"))


@symptom("The lock is held")
def _(desk):
    desk.file("m", b"1")
    desk.manifest("m MLSTATS m")
    with server_lock(lock_folder(), ServerName(desk.url, ""), timeout=1, on_wait=print):
        return told(desk("apply", "--lock-timeout", "0.1"))


@symptom("It is slow")
def _(desk, tmp_path):
    applied(desk)
    desk.environment.setenv("MMSYNC_CACHE_DIR", str(tmp_path / "new"))
    return told(desk("plan"), code=0)


@symptom("The disk is full")
def _(desk):
    desk.file("m", b"1")
    desk.manifest("m MLSTATS m")
    return told(desk("plan", "--out", "/dev/full"))


@symptom("The ledger is damaged, or was deleted")
def _(desk, tmp_path):
    applied(desk)
    cache = tmp_path / "cache"
    desk.environment.setenv("MMSYNC_CACHE_DIR", str(cache))
    cache.mkdir()
    (cache / "ledger.sqlite").write_bytes(b"no database" * 1000)
    shown = told(desk("plan"), code=0)
    desk.environment.setenv("MMSYNC_CACHE_DIR", str(desk.folder / "m"))
    return shown + told(desk("plan"), code=0)


@symptom("A model does not come")
def _(desk):
    desk.file("m.onnx", regression_onnx()[:-20])
    desk.manifest("m ONNX m.onnx")
    return told(desk("watch", "--once", "--settle", "0.1"), code=0)


@symptom("No status")
def _(desk):
    return told(desk("status"))


def applied(desk):
    desk.file("m", b"1")
    desk.manifest("m MLSTATS m")
    assert desk("apply").code == 0


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "certificates")


@pytest.fixture
def front(desk, authority):
    """The address of the desk's server behind TLS."""
    with in_front_of(desk.url, authority) as made:
        yield made.url


def pattern(quote):
    """What is quoted as a pattern of the text with every space and line end made one space."""
    return ".*".join(re.escape(" ".join(part.split())) for part in quote.split("…")).replace(".*", " ?.* ?")


@pytest.mark.parametrize("heading", quoted())
def test_what_is_quoted_is_said(heading, request):
    bring_about: Any = SYMPTOMS[heading]
    names = bring_about.__code__.co_varnames[: bring_about.__code__.co_argcount]
    said = " ".join(bring_about(**{name: request.getfixturevalue(name) for name in names}).split())
    for quote in quoted()[heading]:
        assert re.search(pattern(quote), said), f"{quote}\nis not in\n{said}"
    assert TOKEN not in said


def test_no_symptom_is_left_without_its_quote():
    assert set(SYMPTOMS) == set(quoted())
