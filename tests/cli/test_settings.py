"""Which server and which token: every way to say it, and every way to say it wrongly."""

from __future__ import annotations

import pytest

from mmsync.cli.settings import ServerOptions, cache_folder, resolve
from mmsync.errors import SettingsError
from mmsync.server import running
from support.desk import TOKEN, Desk
from support.wire import Wire, answer

DEAD = "http://127.0.0.1:1"


def nowhere(desk):
    desk.environment.delenv("MMSYNC_URL")
    desk.environment.delenv("MMSYNC_TOKEN")


def no_server(desk):
    nowhere(desk)
    return ["plan"]


def no_token(desk):
    desk.environment.delenv("MMSYNC_TOKEN")
    return ["plan"]


def bad_token(desk):
    return ["plan", "--token", "wrong"]


def token_with_a_line_end_inside(desk):
    return ["plan", "--token", "two\nlines"]


def token_file_missing(desk):
    return ["plan", "--token-file", "nope"]


def token_file_empty(desk):
    desk.file("token", b"\n").chmod(0o600)
    return ["plan", "--token-file", "token"]


def token_file_is_a_folder(desk):
    return ["plan", "--token-file", "."]


def token_file_not_text(desk):
    desk.file("token", b"\xff\xfet\0")
    return ["plan", "--token-file", "token"]


def token_given_twice(desk):
    return ["plan", "--token", "a", "--token-file", "b"]


def dead_port(desk):
    return ["plan", "--url", DEAD]


def not_a_url(desk):
    return ["plan", "--url", "127.0.0.1:8080"]


def not_a_url_at_all(desk):
    desk.environment.delenv("MMSYNC_TOKEN")
    return ["plan", "--url", "http://[::1"]


def url_and_profile(desk):
    return ["plan", "--url", DEAD, "--profile", "production"]


def local_without_a_folder(desk):
    return ["plan", "--url", "local:"]


def local_in_a_file(desk):
    return ["plan", "--url", "local:models.yaml"]


def wrong_path(desk):
    return ["plan", "--url", f"{desk.url}/somewhere"]


def profile_file_missing(desk):
    nowhere(desk)
    desk.environment.setenv("HOME", "home")
    return ["plan", "--profile", "production"]


def profile_missing(desk):
    nowhere(desk)
    desk.environment.setenv("HOME", str(desk.folder / "home"))
    desk.profile("testing", "x")
    return ["plan", "--profile", "production"]


def profile_of_the_manifest_misspelt(desk):
    nowhere(desk)
    desk.environment.setenv("HOME", str(desk.folder / "home"))
    desk.profile("production", "x")
    desk.manifest(head="server: {profile: prodution}\n")
    return ["plan"]


def profile_with_quotes_and_a_misspelt_key(desk):
    nowhere(desk)
    desk.environment.setenv("HOME", str(desk.folder / "home"))
    desk.profile("production", "x", "cacrt = a.pem", 'client_cert = "~/me.pem"')
    return ["plan", "--profile", "production"]


def url_and_profile_in_the_environment(desk):
    nowhere(desk)
    desk.environment.setenv("MMSYNC_URL", DEAD)
    desk.environment.setenv("MMSYNC_PROFILE", "production")
    return ["plan"]


def url_without_a_scheme(desk):
    return ["plan", "--url", "models.example.com/mlmodelmanager"]


def profile_without_token(desk):
    nowhere(desk)
    desk.environment.setenv("HOME", str(desk.folder / "home"))
    desk.profile("production", "")
    return ["plan", "--profile", "production"]


def profile_malformed(desk):
    nowhere(desk)
    desk.file("mine.ini", b"token = x\n").chmod(0o600)
    return ["plan", "--profile", "production", "--profiles-path", "mine.ini"]


def profiles_path_missing(desk):
    nowhere(desk)
    desk.file("modelmanager.ini", b"[production]\nurl = http://127.0.0.1:1\ntoken = x\n")
    return ["plan", "--profile", "production", "--profiles-path", "elsewhere/mine.ini"]


def secret_in_the_manifest(desk):
    desk.manifest(head="server: {url: http://h, token: abc}\n")
    return ["plan"]


def variable_malformed(desk):
    desk.environment.setenv("MMSYNC_JOBS", "many")
    return ["plan"]


CASES = [value for name, value in list(globals().items()) if getattr(value, "__code__", None) and name != "nowhere"]
CASES = [case for case in CASES if case.__module__ == __name__]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_server_that_cannot_be_used_is_explained(case, desk, is_golden):
    desk.manifest()
    text = desk.transcript(*case(desk))
    assert text.endswith("--- exit 1\n")
    assert "Traceback" not in text
    is_golden(f"settings/{case.__name__}", text)


@pytest.mark.parametrize(
    ("generation", "words"), [("legacy", []), ("latest", ["--domain", "self"])], ids=["legacy", "latest"]
)
def test_a_server_of_the_other_generation_is_recognised(generation, words, tmp_path, capsys, monkeypatch, is_golden):
    with running(tmp_path / "srv", token=TOKEN, generation=generation, patience=0.2) as address:
        desk = Desk(tmp_path / "desk", address.url, capsys, monkeypatch)
        desk.manifest()
        is_golden(f"settings/other_generation_{generation}", desk.transcript("plan", *words))


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("login_page", answer(raw=b"<html>Sign in</html>", headers={"Content-Type": "text/html"})),
        ("not_a_list", answer(body={"models": []})),
        ("nothing", answer(204)),
        ("server_fault", answer(500, {"code": 9000, "msg": "NullPointerException", "cid": "17ab"})),
        ("forbidden", answer(403, {"code": 7, "msg": "No permission"})),
        ("redirect", answer(302, headers={"Location": "http://elsewhere.example/models"})),
    ],
)
def test_an_answer_that_is_no_list_of_models_is_explained(name, reply, desk, is_golden):
    desk.manifest()
    with Wire(lambda _: reply) as server:
        is_golden(f"settings/answer_{name}", desk.transcript("plan", "--url", server.url, shown="plan"))


def test_a_flag_wins_over_the_environment_and_that_over_the_manifest(desk, monkeypatch):
    desk.manifest(head=f"server: {{url: '{DEAD}'}}\n")
    assert desk("plan").code == 0  # MMSYNC_URL
    monkeypatch.setenv("MMSYNC_URL", DEAD)
    assert desk("plan").code == 1
    assert desk("plan", "--url", desk.url).code == 0
    monkeypatch.delenv("MMSYNC_URL")
    desk.manifest(head=f"server: {{url: '{desk.url}'}}\n")
    assert desk("plan", "--allow-server", desk.url).code == 0


def test_a_flag_wins_over_the_variable_of_the_other_way_to_say_it(desk, monkeypatch):
    desk.manifest()
    desk.file("token", TOKEN.encode())
    monkeypatch.setenv("MMSYNC_TOKEN", "wrong")
    assert desk("plan", "--token-file", "token").code == 0
    monkeypatch.delenv("MMSYNC_TOKEN")
    monkeypatch.setenv("MMSYNC_TOKEN_FILE", "nope")
    assert desk("plan", "--token", TOKEN).code == 0
    monkeypatch.setenv("MMSYNC_PROFILE", "nope")
    assert desk("plan", "--url", desk.url, "--token", TOKEN).code == 0


@pytest.mark.parametrize("text", [f"{TOKEN}\n", f"  {TOKEN}\r\n\n", f"\ufeff{TOKEN}"], ids=["lf", "crlf", "bom"])
def test_a_token_file_may_be_written_with_any_editor(text, desk):
    desk.manifest()
    path = desk.file("token", text.encode())
    assert desk("plan", "--token-file", path).code == 0


def test_a_profile_gives_server_and_token_and_flags_still_win(desk, monkeypatch):
    nowhere(desk)
    desk.manifest(head="server: {profile: production}\n")
    desk.profile("production", TOKEN, "auth_type = bearer")
    assert desk("plan").code == 0
    assert desk("plan", "--profile", "production").code == 0
    assert "unset MMSYNC_TOKEN" in desk("plan", "--token", "wrong").err
    assert "Token invalid" in desk("plan", "--token", "wrong", "--allow-server", desk.url).err
    desk.profile("production", TOKEN, folder="kept")
    assert desk("plan", "--profile", "production", "--profiles-path", "kept").code == 0


def test_both_ways_to_send_the_token_work(desk):
    desk.manifest()
    assert desk("plan", "--auth-type", "bearer").code == 0
    assert desk("plan", "--auth-type", "standalone").code == 0
    assert desk("plan", "--domain", "self").code == 0


def test_a_token_over_plain_http_to_another_machine_is_warned_about(desk):
    desk.manifest()
    assert "plain http" not in desk("plan").err
    ran = desk("plan", "--url", "http://nowhere.invalid")
    assert ran.code == 1
    assert "Warning: the token travels over plain http to another machine" in ran.err


def test_a_resolved_server_does_not_show_its_token():
    target = resolve(ServerOptions(url="http://h", token=TOKEN), None)
    assert target.token == TOKEN
    assert TOKEN not in repr(target)
    assert TOKEN not in repr(ServerOptions(token=TOKEN))


def test_user_and_password_of_an_address_are_not_repeated(desk):
    desk.manifest()
    ran = desk("plan", "--url", "http://me:s3cret@127.0.0.1:1")
    assert ran.code == 1
    assert "s3cret" not in ran.out + ran.err
    with pytest.raises(SettingsError) as caught:
        resolve(ServerOptions(url="http://me:s3cret@h:1/x?key=s3cret"), None)
    assert str(caught.value) == "no token for http://***@h:1/x?***"


def test_the_cache_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("MMSYNC_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("MMSYNC_CACHE_DIR")
    assert cache_folder().name == "mmsync"


def test_the_variable_of_the_manifests_takes_a_path_with_a_space_and_several_paths(desk, monkeypatch):
    for name in ("a b.yaml", "c.yaml", "d.yaml"):
        desk.manifest(name=name)
    for value, count in (
        ("a b.yaml", 1),
        ("c.yaml d.yaml", 2),
        ("a b.yaml\nc.yaml\n", 2),
        (str(desk.folder / "a b.yaml"), 1),
    ):
        monkeypatch.setenv("MMSYNC_FILE", value)
        ran = desk("validate")
        assert ran.code == 0, (value, ran.err)
        assert f"in {count} manifest" in ran.out
    monkeypatch.setenv("MMSYNC_FILE", "not there.yaml")
    assert "not there.yaml:1:1: there is no such manifest" in desk("validate").err
