"""The same scenarios with the official client and with ours: whoever looks sees no difference.

Each scenario runs on two fresh servers, once with each library, in both generations, and returns what it observed.
Where ours differs on purpose is in test_differences.py.
"""

from __future__ import annotations

import base64
import importlib
import inspect
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mmsync.server import Address, running

# The official client leaves its uploads open for the garbage collector to warn of.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

PACKAGES = ("devo_ml.modelmanager", "mmsync.client")
ERRORS = (
    "ModelManagerError",
    "TokenError",
    "ModelNotFound",
    "ModelAlreadyExists",
    "ProfileError",
    "ProfileValueRequired",
)
MODULES = ("api", "auth", "downloader", "engines", "error", "profile", "validator")


@dataclass
class Kit:
    """One library, on one server, in one folder."""

    package: str
    generation: str
    address: Address
    folder: Path

    def module(self, name: str = "") -> ModuleType:
        return importlib.import_module(f"{self.package}.{name}" if name else self.package)

    def client(
        self, token: str = "", auth: str = "HttpDevoStandAloneTokenAuth", generation: str = "", **settings: Any
    ) -> Any:
        proof = getattr(self.module("auth"), auth)(token or self.address.token)
        if (generation or self.generation) == "legacy":
            return self.module().LegacyClient(self.address.url, "self", proof, **settings)
        return self.module().Client(self.address.url, proof, **settings)

    def file(self, name: str = "model.json", content: object = None) -> str:
        path = self.folder / name
        path.write_text(json.dumps(content or {"model": name}))
        return str(path)

    def seen(self, value: Any) -> Any:
        """Leave out what differs from run to run: dates and folders."""
        if isinstance(value, dict):
            return {key: self.seen(item) for key, item in value.items() if key not in ("creationDate", "updateDate")}
        if isinstance(value, (list, tuple)):
            return [self.seen(item) for item in value]
        return (
            value.replace(str(self.folder), "<folder>").replace(self.address.url, "<url>")
            if isinstance(value, str)
            else value
        )

    def outcome(self, call, *args: Any, **kwargs: Any) -> Any:
        """What a call returns, or the error: its name, its official ancestors, text and code."""
        try:
            return call(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it raises is what is compared
            known = {name for name in ERRORS if isinstance(error, getattr(self.module("error"), name))}
            builtin = [
                kind.__name__
                for kind in type(error).__mro__
                if kind.__module__ == "builtins" and issubclass(kind, (OSError, ValueError, TypeError))
            ]
            return sorted(known) + builtin, str(error), getattr(error, "code", None), getattr(error, "msg", None)


def an_empty_server(kit):
    yield kit.client().get_models()


def adding_and_listing(kit):
    client = kit.client()
    yield client.add_model("plain", "BIGML", kit.file())
    yield client.add_model("described", "WORKFLOWS", kit.file(), "with words")
    yield client.add_model(
        "MY FIRST MODEL ü+&?#%2F", kit.module("engines").BIGML, model_file=kit.file(), description="", force=False
    )
    yield client.get_models()
    for name in ("plain", "described", "MY FIRST MODEL ü+&?#%2F"):
        yield client.get_model(name)


def getting_and_finding(kit):
    client = kit.client()
    client.add_model("there", "BIGML", kit.file())
    for call in (client.get_model, client.find_model):
        for name in ("there", "missing", "", "MISSING two"):
            yield kit.outcome(call, name)
            yield kit.outcome(call, name, True)
            yield kit.outcome(call, name, download_file=False)


def adding_what_exists(kit):
    client = kit.client()
    client.add_model("m", "BIGML", kit.file(), "first")
    yield kit.outcome(client.add_model, "m", "BIGML", kit.file())
    yield kit.outcome(client.add_model, "m", "BIGML", kit.file("no such file".replace(" ", "_")), force=False)
    yield kit.outcome(client.add_model, "m", "BIGML", "/no/such/file")
    yield client.get_models()


def replacing(kit):
    client = kit.client()
    client.add_model("m", "BIGML", kit.file(), "first")
    for engine, name, description in (
        ("BIGML", "b.json", None),
        ("WORKFLOWS", "c.json", "second"),
        ("WORKFLOWS", "c.json", ""),
        ("WORKFLOWS", "c.json", None),
    ):
        yield client.add_model("m", engine, kit.file(name), description, True)
        yield client.get_model("m")
    yield client.get_models()


def downloading(kit):
    folder = kit.folder / "down"
    folder.mkdir()
    client = kit.client(downloader=kit.module("downloader").FileSystemDownloader(folder))
    for engine, name in (("BIGML", "big one"), ("WORKFLOWS", "work.flow_1-ü"), ("MLSTATS", "none")):
        client.add_model(name, engine, kit.file(content={"engine": engine}))
        yield client.get_model(name, download_file=True)
        yield client.find_model(name, True)
    yield sorted((path.name, path.read_text()) for path in folder.iterdir())
    yield kit.outcome(client.get_model, "missing", True)


def a_downloader_of_ones_own(kit):
    heard = []

    def downloader(model):
        heard.append({**model})
        return base64.b64decode(model["image"]["image"]).decode()

    client = kit.client(downloader=downloader)
    client.add_model("m", "BIGML", kit.file())
    yield client.get_model("m", download_file=True)
    yield [sorted(kit.seen(model)) for model in heard]
    yield heard[0]["image"]
    yield client.downloader is downloader


def what_the_server_refuses(kit):
    client = kit.client()
    yield kit.outcome(client.add_model, "m", "NOPE", kit.file())
    (kit.folder / "bad.onnx").write_bytes(b"no model")
    for engine in ("ONNX", "H2O", "CATBOOST"):
        yield kit.outcome(client.add_model, "m", engine, str(kit.folder / "bad.onnx"))
    yield client.get_models()


def tokens(kit):
    for auth in ("HttpDevoStandAloneTokenAuth", "HttpDevoBearerTokenAuth"):
        yield kit.outcome(kit.client(auth=auth).get_models)
        wrong = kit.client("wrong", auth)
        for call in (
            wrong.get_models,
            lambda wrong=wrong: wrong.find_model("m"),
            lambda wrong=wrong: wrong.add_model("m", "BIGML", kit.file()),
        ):
            yield kit.outcome(call)


def files_that_are_none(kit):
    client = kit.client()
    for path in ("/no/such/file", str(kit.folder)):
        kinds, _, code, _ = kit.outcome(client.add_model, "m", "BIGML", path)
        yield kinds, code


def a_file_under_the_home_folder(kit):
    (Path.home() / "mine.json").write_text('{"home": 1}')
    client = kit.client()
    yield client.add_model("m", "BIGML", "~/mine.json")
    yield client.get_model("m")


def factories_and_functions(kit):
    package, url, token = kit.module(), kit.address.url, kit.address.token
    bearer = package.create_client_from_token(
        url + "/", token, auth_type=kit.module("auth").BEARER, download_path="~/models", timeout=45
    )
    yield (
        bearer.url,
        type(bearer).__name__,
        type(bearer.api.auth).__name__,
        bearer.downloader.path,
        bearer.api.timeout,
        bearer.api.auth.token == token,
    )
    plain = package.create_client_from_token(url, token)
    yield type(plain.api.auth).__name__, plain.api.timeout, plain.downloader.path == str(Path.cwd())
    for arguments in (("http://in valid", "t"), (url, "t", "foo")):
        yield kit.outcome(package.create_client_from_token, *arguments)
    if kit.generation == "legacy":
        return
    yield package.add_model(url, token, "m", "BIGML", kit.file(), "d", "bearer", True)
    yield kit.outcome(
        package.add_model,
        url,
        token,
        "m",
        "BIGML",
        kit.file(),
        description="d",
        auth_type="standalone",
        force=None,
        timeout=5,
    )
    yield package.get_models(url, token)
    yield package.get_models(url, token, "bearer", timeout=5)
    for function in (package.get_model, package.find_model):
        for name in ("m", "missing", ""):
            yield kit.outcome(function, url, token, name)
            yield kit.outcome(function, url, token, name, download_path=str(kit.folder), timeout=3)
        yield kit.outcome(function, url, "wrong", "m", "bearer")


def profiles(kit):
    package = kit.module()
    text = (
        f"[dev]\nurl = {kit.address.url}\ntoken: {kit.address.token}\n[full]\nurl: https://localhost/x\ntoken = t\nauth_type = bearer\ndownload_path = ~/down\n"
        "[percent]\nurl = http://localhost\ntoken = a%%b\n[no_url]\ntoken = t\n[no_token]\nurl = http://localhost\ntoken =\n"
        "[bad_url]\nurl = localhost\ntoken = t\n[bad_auth]\nurl = http://localhost\ntoken = t\nauth_type = basic\n"
    )
    (Path.home() / "modelmanager.ini").write_text(text)
    other = kit.folder / "conf"
    other.mkdir()
    (other / "modelmanager.ini").write_text("[only]\nurl = http://localhost\ntoken = from the folder\n")
    (other / "named.ini").write_text("[only]\nurl = http://localhost\ntoken = from the named one\n")
    read = kit.module("profile").read_profile_from_file
    for name in ("dev", "full", "percent", "no_url", "no_token", "bad_url", "bad_auth", "none"):
        found = kit.outcome(read, name)
        yield (
            {**found, "token": found["token"].replace(kit.address.token, "<token>")}
            if isinstance(found, dict)
            else found
        )
    for path in (str(other), str(other / "named.ini"), f"{other}/", str(Path.home())):
        yield kit.outcome(read, "only", path)
    os.chdir(other)
    yield read("only", "named.ini"), read("only")
    os.chdir(Path.home())
    client = package.create_client_from_profile("full", timeout=7)
    yield (
        client.url,
        type(client.api.auth).__name__,
        client.downloader.path.replace(str(Path.home()), "~"),
        client.api.timeout,
    )
    if kit.generation == "latest":
        yield package.create_client_from_profile("dev", path="~").get_models()


def a_server_that_is_down(kit):
    client = kit.client()
    client.endpoints.url = "http://127.0.0.1:9"
    kinds, _, code, _ = kit.outcome(client.get_model, "m")
    yield kinds, code


def errors(kit):
    error = kit.module("error")
    made = [
        error.ModelManagerError(), error.ModelManagerError(3, "m"), error.ModelManagerError(msg="only"), error.ModelManagerError(code=404, msg="HTTP 404 Not Found"),
        error.TokenError(), error.ModelNotFound("a b"), error.ModelAlreadyExists("x"), error.ProfileError("p"), error.ProfileValueRequired("url"),
        error.ModelManagerError.from_code(5), error.ModelManagerError.from_code(6, "six"), error.ModelManagerError.from_code(0, "zero"), error.ModelManagerError.from_code(7),
    ]  # fmt: skip
    for each in made:
        yield type(each).__name__, str(each), each.code, each.msg, each.args
        yield [
            kind.__name__
            for kind in type(each).__mro__
            if kind.__name__ not in ("MmsyncError", "object", "BaseException")
        ]


def authentications(kit):
    auth = kit.module("auth")
    yield auth.BEARER, auth.STANDALONE, auth.get_default_auth_type()
    yield [auth.validate_auth_type(each) for each in ("bearer", "standalone", "Bearer", "", None)]
    yield kit.outcome(auth.create_auth_from_token, "t", "foo")
    for made in (auth.create_auth_from_token("t"), auth.create_auth_from_token("t", "bearer")):
        yield type(made).__name__, made.token, isinstance(made, auth.HttpDevoTokenAuth)


SCENARIOS = [
    an_empty_server, adding_and_listing, getting_and_finding, adding_what_exists, replacing, downloading, a_downloader_of_ones_own, what_the_server_refuses,
    tokens, files_that_are_none, a_file_under_the_home_folder, factories_and_functions, profiles, a_server_that_is_down, errors, authentications,
]  # fmt: skip


def observed(package, generation, scenario, folder, monkeypatch):
    home = folder / "home"
    home.mkdir(parents=True)
    with monkeypatch.context() as patched, running(folder / "server", generation=generation) as address:
        patched.setenv("HOME", str(home))
        patched.chdir(home)
        kit = Kit(package, generation, address, folder)
        return [kit.seen(value) for value in scenario(kit)]


@pytest.mark.parametrize("generation", ["latest", "legacy"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_both_clients_show_the_same(tmp_path, monkeypatch, scenario, generation):
    official, ours = (observed(package, generation, scenario, tmp_path / package, monkeypatch) for package in PACKAGES)
    assert official
    assert ours == official


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize(("served", "used"), [("latest", "legacy"), ("legacy", "latest")])
def test_the_wrong_generation_is_a_404(tmp_path, package, served, used):
    with running(tmp_path, generation=served) as address:
        kit = Kit(package, used, address, tmp_path)
        for call in (kit.client().get_models, lambda: kit.client().get_model("m")):
            assert kit.outcome(call) == (["ModelManagerError"], "404: HTTP 404 Not Found", 404, "HTTP 404 Not Found")


# Names the official modules import for themselves.
TYPING = ("Any", "AuthCallable", "Callable", "List", "Optional", "Sequence")


@pytest.mark.parametrize("module", ["", *MODULES])
def test_every_public_name_and_signature_of_the_official_client_is_there(module):
    official, ours = (importlib.import_module(f"{package}.{module}".rstrip(".")) for package in PACKAGES)
    for name, value in vars(official).items():
        elsewhere = module and getattr(value, "__module__", official.__name__) not in (official.__name__, "typing")
        if (
            name.startswith("_")
            or inspect.ismodule(value)
            or elsewhere
            or name in ("annotations", *(TYPING if module != "auth" else TYPING[:1] + TYPING[2:]))
        ):
            continue
        if name == "valid_methods":
            assert list(ours.valid_methods) == list(value)
        assert hasattr(ours, name), name
        members = vars(value).items() if inspect.isclass(value) else ()
        for attribute, member in [(name, value), *((f"{name}.{part}", at) for part, at in members)]:
            if not inspect.isfunction(member) or (
                attribute.rpartition(".")[2].startswith("_") and "__init__" not in attribute
            ):
                continue
            twin = ours
            for part in attribute.split("."):
                twin = getattr(twin, part)
            compare(attribute, member, twin)


def compare(name, official, ours):
    theirs, mine = (dict(inspect.signature(each).parameters) for each in (official, ours))
    for parameter, value in theirs.items():
        assert parameter in mine, f"{name} lacks {parameter}"
        assert (mine[parameter].kind, mine[parameter].default) == (value.kind, value.default), f"{name}: {parameter}"
    # Whatever is added can only be named, and need not be.
    for parameter in set(mine) - set(theirs):
        assert mine[parameter].kind is inspect.Parameter.KEYWORD_ONLY, f"{name}: {parameter}"
        assert mine[parameter].default is not inspect.Parameter.empty, f"{name}: {parameter}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_client_looks_like_an_object_of_its_class(package, tmp_path):
    kit = Kit(package, "latest", Address("http://localhost", "t"), tmp_path)
    assert repr(kit.client()).startswith(f"<{package}._client.Client object at 0x")
    assert repr(kit.client(generation="legacy")).startswith(f"<{package}._client.LegacyClient object at 0x")
