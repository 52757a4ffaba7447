"""The file that was checked is the file that is read and sent, whatever is put in its place meanwhile.

A stranger who may write in the models' folder swaps a file, or a folder on the way to it, for a link to a file outside,
as fast as it goes, or just when it matters. No byte of the outside file may reach the server.
"""

# ruff: noqa: PTH104 - bare calls, so that there is hardly a moment without a file
from __future__ import annotations

import contextlib
import os
import threading

import pytest

import mmsync.files.digest
from mmsync.errors import ManifestError
from mmsync.files.allowed_paths import AllowedPaths
from mmsync.files.digest import digest_file
from mmsync.manifest import read_manifest
from support.fault_proxy import FaultProxy

INSIDE = b"what belongs to the team " * 20_000
OUTSIDE = b"top secret, never to be sent " * 20_000
RUNS = 12


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "m.bin").write_bytes(OUTSIDE)
    return folder


class Swapper:
    """Puts a link in the place of ``path`` and back, by rename, so that there always is one of the two."""

    def __init__(self, path, target):
        self._path, self._other = path, path.with_name("other")
        self._other.symlink_to(target)
        self._stop = threading.Event()
        self.swaps = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        spare = self._path.with_name("spare")
        while not self._stop.is_set():
            with contextlib.suppress(OSError):
                os.rename(self._path, spare)
                os.rename(self._other, self._path)
                os.rename(self._path, self._other)
                os.rename(spare, self._path)
                self.swaps += 1


def to_swap(what, desk, outside):
    """List a model, and return the path that a link is put in place of and where that leads."""
    desk.file("models/m.bin", INSIDE)
    desk.manifest("m MLSTATS models/m.bin")
    return (desk.folder / "models/m.bin", outside / "m.bin") if what == "file" else (desk.folder / "models", outside)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_swaps_at_full_speed_send_nothing_of_what_lies_outside(what, desk, outside, scale):
    path, target = to_swap(what, desk, outside)
    with FaultProxy(desk.url) as proxy, Swapper(path, target) as swapper:
        for _ in range(RUNS * scale):
            desk("apply", "-y", "--url", proxy.url)
            with contextlib.suppress(Exception):
                desk.view.delete("m")
        while not swapper.swaps:
            pass
        for exchange in proxy.exchanges:
            assert OUTSIDE[:64] not in exchange.body
    print(f"{RUNS * scale} applies, {swapper.swaps} swaps")  # noqa: T201 - the figure of a long run, seen with -s


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_is_swapped_between_the_look_and_the_reading_is_refused(what, desk, outside, monkeypatch):
    path, target = to_swap(what, desk, outside)
    real = mmsync.files.digest.opened

    def swap(asked):
        path.rename(path.with_name("gone"))
        path.symlink_to(target)
        return real(asked)

    monkeypatch.setattr(mmsync.files.digest, "opened", swap)
    with FaultProxy(desk.url) as proxy:
        ran = desk("apply", "-y", "--url", proxy.url)
        assert ran.code == 1
        assert "was replaced after it was looked at" in " ".join((ran.out + ran.err).split())
        assert proxy.count("upload") == 0


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_is_swapped_between_the_plan_and_the_sending_is_refused(what, desk, outside):
    path, target = to_swap(what, desk, outside)
    swapped = []

    def swap(exchange):
        if not swapped:
            swapped.append(1)
            path.rename(path.with_name("gone"))
            path.symlink_to(target)
        exchange.answer(exchange.forward())

    with FaultProxy(desk.url) as proxy:
        proxy.on("list", swap)
        ran = desk("apply", "-y", "--url", proxy.url)
        assert swapped
        assert ran.code == 1
        assert all(OUTSIDE[:64] not in exchange.body for exchange in proxy.exchanges)
        assert desk.view.names() == []


def test_a_folder_is_asked_where_it_is_and_not_where_its_path_was(tmp_path, outside, monkeypatch):
    """Between the look at the folder and the look at the file in it, the folder becomes a link."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "m.bin").write_bytes(INSIDE)
    places = AllowedPaths((str(tmp_path / "models"),), {})
    admits = AllowedPaths.admits

    def swap(self, real):
        answer = admits(self, real)
        if not models.is_symlink():
            models.rename(tmp_path / "gone")
            models.symlink_to(outside)
        return answer

    monkeypatch.setattr(AllowedPaths, "admits", swap)
    assert places.check(str(models / "m.bin")) is None
    assert places.stats[str(models / "m.bin")].st_ino == (tmp_path / "gone/m.bin").stat().st_ino
    with pytest.raises(Exception, match="was replaced"):
        digest_file(str(models / "m.bin"), same_as=places.stats[str(models / "m.bin")])


def test_hard_links_and_named_folders_that_are_links_are_admitted(tmp_path, outside):
    """A hard link is a file in the folder; a --models-dir was named by the operator, wherever it leads."""
    team = tmp_path / "team"
    team.mkdir()
    os.link(outside / "m.bin", team / "hard.bin")
    (tmp_path / "drop").symlink_to(outside)
    (team / "models.yaml").write_text(
        "version: 1\nmodels:\n  - {name: a, engine: MLSTATS, file: hard.bin}\n"
        f"  - {{name: b, engine: MLSTATS, file: {tmp_path}/drop/m.bin}}\n"
    )
    found = read_manifest([str(team / "models.yaml")], models_dirs=[str(tmp_path / "drop")])
    assert [model.name for model in found.models] == ["a", "b"]


@pytest.mark.parametrize("link", ["the manifest", "its folder", "a folder of manifests"])
@pytest.mark.parametrize("command", ["validate", "plan", "list", "apply"])
@pytest.mark.parametrize("variable", [("CI", "true"), ("GITHUB_ACTIONS", "true")])
def test_in_ci_a_manifest_that_links_outside_is_refused_and_nothing_of_it_is_said(
    link, command, variable, desk, tmp_path
):
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "models.yaml").write_text("password: hunter2\n- hunter2: [\n")
    name = "models.yaml"
    if link == "the manifest":
        (desk.folder / name).symlink_to(secrets / name)
    else:
        (desk.folder / "team").symlink_to(secrets)
        name = "team/models.yaml" if link == "its folder" else "team"
    desk.environment.setenv(*variable)
    ran = desk(command, "-f", name, *(["-y"] if command == "apply" else []))
    assert ran.code == 1
    assert "hunter2" not in ran.out + ran.err
    assert "the manifest is a link that leads out of its folder" in " ".join(ran.err.split())


def test_links_inside_the_folder_are_followed_in_ci_as_well(desk):
    desk.manifest(name="versions/2/models.yaml")
    (desk.folder / "models.yaml").symlink_to("versions/2/models.yaml")
    desk.environment.setenv("CI", "true")
    assert desk("plan").code == 0
    assert desk("plan", "-f", str(desk.folder / "versions/2/models.yaml")).code == 0
    with pytest.raises(ManifestError, match="leads out"):
        read_manifest([_linked(desk.folder)], confined=True)


def _linked(folder):
    (folder / "sub").mkdir()
    (folder / "sub/models.yaml").symlink_to(folder / "versions/2/models.yaml")
    return str(folder / "sub/models.yaml")
