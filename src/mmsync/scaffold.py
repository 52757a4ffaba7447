"""A manifest drawn up: which files of a folder, or models of a server, it lists, what to call them, what to write."""

from __future__ import annotations

import glob
import itertools
import json
import os
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from mmsync.connection import LOCAL, Connection
from mmsync.engines import EXTENSIONS
from mmsync.errors import FileError, SettingsError
from mmsync.files.atomic import write_new
from mmsync.files.inspection import guess_engine, listing_error, mistaken_kind
from mmsync.manifest import SCHEMA_NAME, ServerSettings, schema
from mmsync.manifest.discovery import BACKUP_MARK
from mmsync.manifest.nodes import extension_warning
from mmsync.manifest.writer import Entry, manifest_text, scalar, unlistable
from mmsync.observe import observe
from mmsync.plan import Selection
from mmsync.printable import printable
from mmsync.types import Desired, Diagnostic, Observed

if TYPE_CHECKING:
    from mmsync.download import Download, ModelFile

_EXTENSIONS = frozenset(extension for engine in EXTENSIONS.values() for extension in engine)
# These say nothing by themselves: a folder is full of JSON and zip files that are no models.
_COMMON = frozenset({".json", ".zip"})
# Models in a form that no server runs, and what makes ONNX of them.
_FROM_SKLEARN = "from skl2onnx import to_onnx; to_onnx(model, X[:1]).SerializeToString() is the ONNX file"
_CONVERTERS = {
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), f"a Python pickle runs nowhere but in Python: {_FROM_SKLEARN}"),
    **dict.fromkeys((".pt", ".pth"), 'PyTorch\'s own format: torch.onnx.export(model, (example,), "model.onnx")'),
    **dict.fromkeys((".h5", ".keras"), "Keras' own format: tf2onnx.convert.from_keras(model) makes ONNX of it"),
}
_NOT_OURS = frozenset({"node_modules", "__pycache__", "site-packages"})
_LONGEST_SCOPE = 5
_EXAMPLE = """
# No model files were found here. An entry looks like this; `models: []` above then becomes `models:`.
#
#  - name: fraud_score               # what queries call it; unique
#    engine: ONNX                    # ONNX, CATBOOST, H2O, BIGML, …
#    file: models/fraud_score.onnx   # relative to this file
#    description: Card fraud score   # left out, the server's own is kept
"""


def converter_for(file: str, kind: str | None) -> str:
    """Return how a model in a form that no server runs becomes ONNX; empty where nothing is known."""
    usual = _CONVERTERS[".pkl"] if kind == "a Python pickle" else ""
    return _CONVERTERS.get(PurePosixPath(file).suffix.lower(), usual)


class Model(NamedTuple):
    """A model file: its path relative to the folder, with ``/``, and its engine."""

    file: str
    engine: str


class Found(NamedTuple):
    """The result of a search: models by path, and files that look like models but were not taken, with the reason."""

    models: Sequence[Model]
    left_out: Sequence[tuple[str, str]]


def search(root: Path) -> Found:
    """Search for model files in ``root`` and the folders below it; links to folders are not followed."""
    models: list[Model] = []
    left_out: list[tuple[str, str]] = []
    common: list[tuple[str, str]] = []
    inside = os.path.realpath(root)
    # The shallow ones first: of two files that could have a name, the one nearer to the manifest gets it.
    for file in sorted(_candidates(root), key=lambda file: (file.count("/"), file)):
        path = root / file
        if why := converter_for(file, None):
            left_out.append((file, why))
            continue
        try:
            engine = guess_engine(str(path))
        except FileError as error:
            left_out.append((file, error.reason))
            continue
        if engine is None:
            (common if path.suffix.lower() in _COMMON else left_out).append((file, _why_unknown(str(path))))
        elif not file.isprintable():
            left_out.append((file, "a manifest cannot hold the characters of its path"))
        elif not os.path.realpath(path).startswith(inside.rstrip("/") + "/"):
            left_out.append((file, "it is a link that leaves the folder"))
        else:
            models.append(Model(file, engine))
    # The zip and JSON files last: they are many, and most of them are no models.
    return Found(models, left_out + common)


def _why_unknown(path: str) -> str:
    """Return why a file's engine cannot be told, with what helps where something is known to."""
    if unfit := listing_error(path):
        help_for = converter_for(path, mistaken_kind(path)) or unfit.hint
        return "; ".join(filter(None, [unfit.reason, help_for]))
    return "which engine it is for cannot be told"


def _candidates(root: Path) -> Iterator[str]:
    for folder, below, files in os.walk(root):
        if "pyvenv.cfg" in files or BACKUP_MARK in files:
            below.clear()
            continue
        below[:] = [name for name in below if not name.startswith(".") and name not in _NOT_OURS]
        for name in files:
            extension = os.path.splitext(name)[1].lower()  # noqa: PTH122 - names, by the thousand
            is_candidate = extension in _EXTENSIONS or extension in _CONVERTERS
            if is_candidate and not name.startswith(".") and name != SCHEMA_NAME:
                yield PurePosixPath(os.path.relpath(folder, root), name).as_posix()


def mismatches(models: Iterable[Model | Entry]) -> list[str]:
    """Return a sentence for each file whose name promises another engine than the one its content is for."""
    return [
        f"Look at {printable(model.file, 4096)}: by its content it is for {model.engine}; {warning[1]}"
        for model in models
        if model.engine and (warning := extension_warning(model.engine, model.file))
    ]


def named_entries(models: Sequence[Model], listed: Iterable[Desired] = ()) -> list[Entry]:
    """Return an entry for each file, by name: its stem, made unique by folder and engine, also among those ``listed``."""
    taken = {model.name: model.engine for model in listed}
    entries: list[Entry] = []
    for model in models:
        proposals = (name for name in _proposals(model, taken) if name not in taken)
        name = next(name for name in proposals if not unlistable(name, model.engine))
        taken[name] = model.engine
        entries.append(Entry(name, model.file, model.engine))
    return sorted(entries)


def draft(entries: Sequence[Entry], *, schema_line: bool = False) -> str:
    """Return a first manifest of these entries, with the line by which editors find the schema where asked."""
    usual = Counter(entry.engine for entry in entries).most_common(1)
    # A default that holds for the lesser part would have to be read against every other entry.
    default = usual[0][0] if usual and usual[0][1] * 2 > len(entries) else ""
    text = manifest_text(
        [entry._replace(engine=None) if entry.engine == default else entry for entry in entries],
        heading=[
            *_schema_heading(schema_line=schema_line),
            "The models that `mmsync apply` makes a Model Manager hold.",
            "Which server is said by --url or --profile, or here; never a token:",
            "server: {profile: production}",
        ],
        scope_hint=scope_for([entry.name for entry in entries]),
        default_engine=default or "",
    )
    return text if entries else text + _EXAMPLE


def _schema_heading(*, schema_line: bool) -> list[str]:
    return [f"yaml-language-server: $schema={SCHEMA_NAME}"] if schema_line else []


def write_schema(folder: Path) -> bool:
    """Write the schema beside a manifest, over an older one of mmsync's; return whether it is there now.

    Another file of that name is left alone. Raises an OSError of the disk.
    """
    target, content = folder / SCHEMA_NAME, schema()
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    try:
        write_new(target, text)
    except FileExistsError:
        try:
            there = json.loads(target.read_bytes())
        except (ValueError, RecursionError, OSError):
            return False
        if not (isinstance(there, dict) and there.get("$id") == content["$id"]) or target.is_symlink():
            return False
        write_new(target, text, replace=True)
    return True


def _proposals(model: Model, taken: Mapping[str, str]) -> Iterator[str]:
    path = PurePosixPath(model.file)
    stem = path.stem.strip().strip(".") or "model"
    by_engine = f"{stem}_{model.engine.lower()}"
    by_folder = "_".join([*path.parent.parts, stem])
    yield stem
    # What tells it from its namesake: the engine where that differs, else the folder.
    yield from (by_folder, by_engine) if taken.get(stem) == model.engine else (by_engine, by_folder)
    yield from (f"{by_folder}_{number}" for number in itertools.count(2))


def scope_for(names: Sequence[str]) -> list[str]:
    """Return globs to suggest as the scope; an example where a few would not do.

    They are the names' first words (``fraud_*``) where names have several, and whole names otherwise.
    """
    split = [(name, *name.partition("_")) for name in names]
    globs = sorted(
        {f"{glob.escape(first)}_*" if first and rest else glob.escape(name) for name, first, _, rest in split}
    )
    return globs if 0 < len(globs) <= _LONGEST_SCOPE else ["fraud_*"]


_FOLDER = "models"


class ServerManifest(NamedTuple):
    """A manifest to be."""

    models: Sequence[Observed]  # the models it lists, by name
    entries: Sequence[Entry]  # as it lists them
    files: Mapping[str, str]  # the file of each, relative to the folder of model files
    text: str  # the manifest
    left_out: Sequence[Diagnostic]  # what is on the server and cannot be listed, or not as it is there
    names_server: bool  # whether the manifest says which server; none of a folder of this machine does

    def only(self, names: Container[str]) -> ServerManifest:
        """Return the same with these models alone; the text stays that of all of them."""
        models = [model for model in self.models if model.name in names]
        return self._replace(models=models, entries=[entry for entry in self.entries if entry.name in names])

    def files_in(self, folder: Path) -> list[ModelFile]:
        """Return the downloads for a manifest in ``folder``, and make the folder they go to.

        Raises `SettingsError` where that folder is a link to somewhere else, and `OSError` where it cannot be made.
        """
        from mmsync.download import ModelFile  # noqa: PLC0415 - 45 ms for HTTP, and init draws up manifests without it

        place = folder / _FOLDER
        place.mkdir(exist_ok=True)
        if not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder)):
            raise SettingsError(f"{place} is a link that leaves {folder}", "remove it, or import --to another folder")
        return [ModelFile(model, place / self.files[model.name]) for model in self.models]


def read_server(
    connection: Connection, selection: Selection, given: ServerSettings, *, schema_line: bool = False
) -> ServerManifest:
    """Return a manifest of the selected models of the server's list; `ModelManagerError` where it cannot be read."""
    from mmsync.download import file_names  # noqa: PLC0415 - HTTP again, for import alone

    listed, left_out = observe(connection.client)
    models: list[Observed] = []
    entries: list[Entry] = []
    selection = selection.among(listed)
    chosen = {name: found for name, found in sorted(listed.items()) if name in selection}
    files = file_names(found[0] for found in chosen.values() if found[0].name)
    for name, found in chosen.items():
        several = f"the server lists {len(found)} models of this name" if len(found) > 1 else ""
        if why := several or unlistable(name, found[0].engine):
            left_out.append(_diagnostic("import/left-out", name, f"{why}; left out", "the plan counts it as unmanaged"))
            continue
        description = found[0].description
        try:
            scalar(description or "")
        except ValueError as error:
            left_out.append(_diagnostic("import/description", name, f"its description is left out: {error}", ""))
            description = None
        models.append(found[0])
        entries.append(Entry(name, f"{_FOLDER}/{files[name]}", found[0].engine, description))
    url, domain = connection.server
    where = {"profile": given.profile} if given.profile and not given.url else {"url": url}
    server = {**where, "auth_type": given.auth_type, "domain": domain}
    # Never a token, nor a folder of this machine.
    settings = {key: value for key, value in server.items() if value and not url.startswith(LOCAL)}
    text = manifest_text(
        entries,
        heading=[
            *_schema_heading(schema_line=schema_line),
            "Written by `mmsync import` from what the server held. Edit it, and `mmsync apply` it.",
        ],
        server=settings,
        scope_hint=scope_for([model.name for model in models]),
    )
    return ServerManifest(models, entries, files, text, left_out, bool(settings))


def replaced_meanwhile(done: Download) -> str:
    """Say so where the bytes downloaded are not those of the row that the manifest was drawn up from."""
    there, listed = done.image_id, done.file.observed.image_id
    is_same = None in (there, listed) or str(there) == str(listed)
    return "" if is_same else "it was replaced on the server meanwhile; run the import again"


def _diagnostic(code: str, name: str, why: str, hint: str) -> Diagnostic:
    shown = printable(name) or '""'
    return Diagnostic("warning", code, f"{shown}: {why}", hint, None, shown)
