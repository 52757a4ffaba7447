"""Whoever writes the manifest, a saved plan or a file in the checkout never learns the operator's token.

A sink listens at an address that a stranger put somewhere; the operator's token is given in every way there is. No
connection may reach the sink at all. Beside it stands the operator's own server, which must work as ever.
"""

from __future__ import annotations

import json
import os
import threading

import pytest

from mmsync.cli.settings import AllowedServers, ServerOptions, origin, resolve
from mmsync.errors import SettingsError
from mmsync.manifest import ServerSettings
from mmsync.types import Source
from support.desk import TOKEN
from support.wire import Wire, answer

OTHER = "token-of-the-profile"


@pytest.fixture
def desk(desk, monkeypatch):
    """A desk whose environment brings a token and no URL."""
    monkeypatch.delenv("MMSYNC_URL")
    return desk


@pytest.fixture
def sink():
    """A server of somebody else; notes every request, and every connection without one."""
    with Wire(lambda _: answer(200, [])) as wire:
        yield wire


def url_in_the_manifest(desk, sink):
    desk.manifest(head=f"server: {{url: '{sink.url}'}}\n")


def variable_undefined(desk, sink):
    desk.manifest(head=f"server: {{url: '{sink.url}'}}\n")
    desk.environment.setenv("MMSYNC_URL", "")


def profile_in_the_checkout(desk, sink):
    desk.manifest()
    desk.profile("production", OTHER, url=sink.url, folder=".")
    desk.profile("production", OTHER)
    desk.environment.setenv("MMSYNC_PROFILE", "production")


def profile_in_the_checkout_alone(desk, sink):
    desk.manifest()
    desk.profile("production", OTHER, url=sink.url, folder=".")
    desk.environment.setenv("MMSYNC_PROFILE", "production")


def profile_of_the_manifest(desk, sink):
    desk.manifest(head="server: {profile: production}\n")
    desk.profile("production", OTHER, url=sink.url, folder=".")


def another_profile_of_the_operator(desk, sink):
    desk.manifest(head="server: {profile: testing}\n")
    desk.profile("testing", OTHER, url=sink.url)


def saved_plan(desk, sink):
    desk.manifest()
    desk.environment.setenv("MMSYNC_URL", desk.url)
    assert desk("plan", "--out", "plan.json").code == 0
    desk.environment.delenv("MMSYNC_URL")
    saved = desk.folder / "plan.json"
    document = json.loads(saved.read_text())
    document["server"]["url"] = sink.url
    saved.write_text(json.dumps(document))


def manifest_of_a_saved_plan(desk, sink):
    saved_plan(desk, sink)
    desk.manifest(head=f"server: {{url: '{sink.url}'}}\n", name="theirs/models.yaml")
    saved = desk.folder / "plan.json"
    document = json.loads(saved.read_text())
    document["manifests"] = ["theirs/models.yaml"]
    saved.write_text(json.dumps(document))


PLACES = [
    url_in_the_manifest,
    variable_undefined,
    profile_in_the_checkout,
    profile_in_the_checkout_alone,
    profile_of_the_manifest,
    another_profile_of_the_operator,
    saved_plan,
    manifest_of_a_saved_plan,
]
COMMANDS = [["plan"], ["apply", "-y"], ["watch", "--once", "--settle=0.1"], ["list"], ["pull", "--all"]]
WAYS = ["flag", "environment", "file", "file in the environment"]


def given(desk, way):
    if way == "environment":
        return []
    desk.environment.delenv("MMSYNC_TOKEN")
    desk.file("token", TOKEN.encode()).chmod(0o600)
    if way == "file in the environment":
        desk.environment.setenv("MMSYNC_TOKEN_FILE", "token")
        return []
    return ["--token", TOKEN] if way == "flag" else ["--token-file", "token"]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize("way", WAYS)
def test_no_connection_goes_where_a_stranger_says(place, way, desk, sink):
    place(desk, sink)
    words = given(desk, way)
    commands = [["apply", "-y", "plan.json"]] if (desk.folder / "plan.json").exists() else COMMANDS
    for command in commands:
        if command[0] == "pull" and place in (profile_of_the_manifest, url_in_the_manifest):
            continue  # it reads no manifest
        ran = desk(*command, *words)
        assert ran.code == 1, (command, ran)
        assert TOKEN not in ran.out + ran.err
        assert "Traceback" not in ran.err
    assert sink.connections == 0


@pytest.mark.parametrize("way", WAYS)
def test_the_refusal_says_the_line_that_allows_it_and_that_line_does(way, desk, sink):
    url_in_the_manifest(desk, sink)
    words = given(desk, way)
    told = desk("plan", *words).err
    assert "models.yaml:2:9 names it" in " ".join(told.split())
    line = f"--allow-server {sink.url}"
    assert line in " ".join(told.split())
    assert desk("plan", *words, *line.split()).code == 0
    desk.environment.setenv("MMSYNC_ALLOWED_SERVERS", f"https://models.example.com {sink.url}")
    assert desk("plan", *words).code == 0
    desk.environment.setenv("MMSYNC_ALLOWED_SERVERS", "https://models.example.com")
    assert desk("plan", *words).code == 1


def test_an_empty_url_is_an_error_that_names_the_variable(desk, sink):
    variable_undefined(desk, sink)
    assert "MMSYNC_URL is set, but to nothing" in desk("plan").err
    assert desk("plan", "--url", desk.url).code == 0


def test_the_profiles_own_token_goes_to_the_profiles_own_server(desk, sink):
    desk.environment.delenv("MMSYNC_TOKEN")
    desk.profile("production", TOKEN)
    desk.manifest(head="server: {profile: production}\n")
    assert desk("plan").code == 0
    desk.manifest(head=f"server: {{url: '{sink.url}'}}\n")
    assert desk("plan", "--profile", "production").code == 0
    assert sink.connections == 0


def test_a_folder_that_was_named_is_the_only_one_looked_in(desk, sink):
    desk.environment.delenv("MMSYNC_TOKEN")
    desk.manifest()
    desk.profile("production", OTHER, url=sink.url, folder=".")
    (desk.folder / "empty").mkdir()
    ran = desk("plan", "--profile", "production", "--profiles-path", "empty")
    assert "no profile file empty/modelmanager.ini" in ran.err
    assert sink.connections == 0


@pytest.mark.parametrize(
    ("said", "words"),
    [("domain: other", ["--domain", "self"]), ("auth_type: bearer", ["--auth-type", "standalone"])],
)
def test_the_manifest_picks_no_tenant_on_the_operators_server(said, words, desk):
    desk.manifest(head=f"server: {{{said}}}\n")
    ran = desk("plan", "--url", desk.url)
    assert ran.code == 1
    assert "is not what flags and environment say" in " ".join(ran.err.split())
    assert desk("plan", "--url", desk.url, *words).code == 0  # what the operator says is what holds
    assert "not what" not in desk("plan", "--url", desk.url, "--allow-server", desk.url).err


@pytest.mark.parametrize("folder", ["/tmp/elsewhere", "..", "../desk2", "a/../../b", "link/srv", "~/srv"])
def test_a_server_folder_of_the_manifest_is_inside_the_manifests_own(folder, desk, tmp_path):
    (tmp_path / "outside").mkdir()
    (desk.folder / "link").symlink_to(tmp_path / "outside")
    desk.manifest(head=f"server: {{url: 'local:{folder}'}}\n")
    ran = desk("apply", "-y")
    assert ran.code == 1
    said = "`~` is not expanded" if folder.startswith("~") else "outside the folder of models.yaml"
    assert said in " ".join(ran.err.split())
    assert not (desk.folder / "~").exists()
    assert not list((tmp_path / "outside").iterdir())


def test_a_server_folder_inside_is_found_from_the_manifest_not_from_here(desk):
    desk.manifest(head="server: {url: 'local:held'}\n", name="team/models.yaml")
    assert desk("apply", "-y", "-f", "team/models.yaml").code == 0
    assert (desk.folder / "team/held").is_dir()
    assert not (desk.folder / "held").exists()


@pytest.mark.parametrize(
    ("pattern", "admitted", "refused"),
    [
        (
            "https://models.example.com",
            ["https://models.example.com", "https://MODELS.example.com:443/mm", "https://models.example.com/"],
            [
                "http://models.example.com",
                "https://models.example.com:8443",
                "https://models.example.com.evil.example",
                "https://evil.example/models.example.com",
                "https://models.example.com@evil.example/",
                "https://evil.example\\@models.example.com/",
                "https://models.example.com\\@evil.example/",
                "https://models.example.com#@evil.example/",
                "https://models.example.com\n.evil.example/",
                "https://models.example.com:443:80/",
                "//models.example.com",
                "https:models.example.com",
            ],
        ),
        ("models.example.com", ["https://models.example.com/x"], ["http://models.example.com"]),
        (
            "*.example.com",
            ["https://a.example.com", "https://a.b.example.com"],
            ["https://example.com", "https://evilexample.com", "https://.example.com", "https://a.example.com:8443"],
        ),
        ("http://127.0.0.1:*", ["http://127.0.0.1:8080", "http://127.0.0.1"], ["http://127.0.0.10", "https://127.0.0.1"]),
        ("http://[::1]:8080", ["http://[::1]:8080/mm"], ["http://[::1]", "http://[::2]:8080"]),
    ],
)  # fmt: skip
def test_patterns_admit_hosts_and_nothing_that_only_looks_like_them(pattern, admitted, refused):
    allowed = AllowedServers([f"https://other.example, {pattern}"])
    assert [url for url in admitted if url not in allowed] == []
    assert [url for url in refused if url in allowed] == []


@pytest.mark.parametrize(
    "pattern", ["*", "https://*", "ftp://h", "https://h/path", "h:port", "*.*", "a b@c", "https://"]
)
def test_a_pattern_that_is_no_origin_is_refused(pattern):
    with pytest.raises(SettingsError, match="not the origin of a server"):
        AllowedServers([pattern])


@pytest.mark.parametrize(
    "url", ["https://tünn.example", "https://h\\@evil", "https://", "https://h:1:2", "https://a b"]
)
def test_an_address_that_two_readers_may_read_differently_has_no_origin(url):
    assert origin(url) is None
    with pytest.raises(SettingsError, match="not a plain address"):
        resolve(ServerOptions(token=TOKEN), ServerSettings(url, source=Source("models.yaml", 1, 1)))


@pytest.mark.parametrize(
    "command", [["plan"], ["apply", "-y"], ["watch", "--once", "--settle=0.1"], ["list"], ["import", "--to", "out"]]
)
def test_a_token_that_comes_through_a_pipe_is_read_once(command, desk):
    desk.environment.delenv("MMSYNC_TOKEN")
    desk.environment.setenv("MMSYNC_URL", desk.url)
    desk.manifest("a MLSTATS a.bin")
    desk.file("a.bin", b"content of a")
    pipe = desk.folder / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(TOKEN,))
    writer.start()
    try:
        ran = desk(*command, "--token-file", "pipe")
    finally:
        writer.join()
    assert ran.code == 0, ran
    read, write = os.pipe()
    os.write(write, TOKEN.encode())
    os.close(write)
    try:
        assert (
            desk(
                *command, "--force" if command[0] == "import" else "--timeout=9", "--token-file", f"/dev/fd/{read}"
            ).code
            == 0
        )
    finally:
        os.close(read)


@pytest.mark.parametrize(
    "words",
    [
        ["--token-file", "~nosuchuser/token"],
        ["--url", "local:~nosuchuser/srv"],
        ["--profile", "p", "--profiles-path", "~nosuchuser/x.ini"],
    ],
)
def test_the_home_of_nobody_is_said_to_be_unknown(words, desk):
    desk.manifest()
    desk.environment.delenv("MMSYNC_TOKEN") if "--token-file" in words else None
    ran = desk("plan", *words)
    assert ran.code == 1
    assert "no home folder is known for ~nosuchuser" in ran.err


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o600])
def test_a_file_with_a_token_that_all_may_read_is_warned_of_once(mode, desk):
    desk.environment.delenv("MMSYNC_TOKEN")
    desk.manifest()
    desk.file("token", TOKEN.encode()).chmod(mode)
    told = desk("plan", "--url", desk.url, "--token-file", desk.folder / "token").err
    assert told.count("can be read by every user") == (mode == 0o644)
    desk.profile("production", TOKEN).chmod(mode)
    told = desk("plan", "--profile", "production").err
    assert told.count("can be read by every user") == (mode == 0o644)
