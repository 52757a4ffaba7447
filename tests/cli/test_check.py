"""``mmsync check``: what it tells of a server, and that it tells no token and writes nothing."""

from __future__ import annotations

import json

import pytest

from support.desk import TOKEN
from support.tls import Authority, in_front_of
from support.wire import Wire, answer


def document(desk, *words):
    ran = desk("check", "--format", "json", *words)
    assert TOKEN not in ran.out + ran.err
    return ran.code, json.loads(ran.out)


def test_a_server_that_works_is_described(desk):
    desk.file("m", b"model")
    desk.manifest("m MLSTATS m")
    assert desk("apply", "--yes").code == 0
    before = desk.client().get_models()
    code, found = document(desk)
    assert (code, found["ok"], found["token"], found["models"], found["error"]) == (0, True, "accepted", 1, None)
    assert found["server"] == {"url": desk.url, "domain": None}
    assert found["origins"] == {"url": "MMSYNC_URL", "token": "MMSYNC_TOKEN"}
    assert found["may_write"] == "probably"
    assert found["ledger"]["models"] == 1
    assert desk.client().get_models() == before
    ran = desk("check")
    assert ran.code == 0
    assert f"Server       {desk.url} (from MMSYNC_URL)\n" in ran.out
    assert "Token        accepted (from MMSYNC_TOKEN)\n" in ran.out
    assert "knows 1 model of this server" in " ".join(ran.out.split())
    assert TOKEN not in ran.out + ran.err


def test_it_fits_sixty_columns(desk):
    desk.environment.setenv("COLUMNS", "60")
    assert max(map(len, desk("check").out.splitlines())) <= 60


def test_it_makes_no_ledger(desk):
    code, found = document(desk)
    assert (code, found["ledger"]) == (0, None)
    assert not (desk.folder.parent / "cache").exists()
    assert "none yet" in desk("check").out


def test_a_token_that_is_refused_fails(desk):
    desk.environment.setenv("MMSYNC_TOKEN", "another")
    code, found = document(desk)
    assert (code, found["ok"], found["token"]) == (1, False, "refused")
    ran = desk("check")
    assert ran.code == 1
    assert "Token        refused (from MMSYNC_TOKEN)" in ran.out
    assert "Token invalid or expired" in ran.err
    assert "another" not in ran.out + ran.err


def test_the_source_of_each_setting_is_said(desk):
    desk.environment.delenv("MMSYNC_URL")
    desk.environment.delenv("MMSYNC_TOKEN")
    desk.profile("p", TOKEN, "auth_type = standalone")
    whose = "~/modelmanager.ini [p]"
    _, found = document(desk, "--profile", "p")
    assert found["origins"] == {"profile": "--profile", "url": whose, "token": whose, "auth_type": whose}
    desk.manifest(head="server: {profile: p}\n")
    _, found = document(desk, "--timeout", "5")
    assert found["origins"]["url"] == whose
    assert found["origins"]["profile"].startswith("models.yaml:2:")
    assert found["origins"]["timeout"] == "--timeout"
    desk.manifest(head=f"server: {{url: '{desk.url}'}}\n")
    desk.file("token", TOKEN.encode())
    _, found = document(desk, "--token-file", "token", "--allow-server", desk.url)
    assert found["origins"]["url"].startswith("models.yaml:2:")
    assert found["origins"]["token"] == "--token-file"


def test_a_domain_selects_the_older_generation(desk):
    code, found = document(desk, "--domain", "self")
    assert (code, found["generation"], found["server"]["domain"]) == (0, "older than 2.4.0 (LegacyClient)", "self")
    assert found["origins"]["domain"] == "--domain"


def test_a_domain_given_to_a_newer_server_is_said_to_be_the_matter(desk):
    def reply(request):
        return (
            answer(404)
            if "/domains/" in request.target
            else answer(200, [])
            if request.method == "GET"
            else answer(400)
        )

    with Wire(reply) as server:
        ran = desk("check", "--url", server.url, "--domain", "self")
    assert ran.code == 1
    assert "leave out --domain" in ran.err


@pytest.mark.parametrize(
    ("status", "may_write", "code"),
    [(403, "no", 1), (401, "no", 1), (400, "probably", 0), (500, "not known", 0), (200, "not known", 0)],
)
def test_whether_it_may_write_is_asked_without_writing(desk, status, may_write, code):
    with Wire(lambda request: answer(200, []) if request.method == "GET" else answer(status)) as server:
        seen, found = document(desk, "--url", server.url)
    assert (seen, found["may_write"]) == (code, may_write)
    [asked] = server.seen("POST")
    assert asked.target == "/models/images/upload"
    assert asked.body == b"--mmsync--\r\n"


def test_the_certificate_is_described(desk, tmp_path):
    authority = Authority(tmp_path / "certificates")
    with in_front_of(desk.url, authority) as front:
        code, found = document(desk, "--url", front.url, "--cacert", authority.pem)
        assert code == 0
        assert "trustme" in found["certificate"]["issuer"]
        assert found["certificate"]["expires"].endswith("Z")
        assert found["trust"] == f"the certificates in {authority.pem} (--cacert)"
        assert found["origins"]["cacert"] == "--cacert"
        shown = " ".join(desk("check", "--url", front.url, "--cacert", authority.pem).out.split())
        assert "Certificate issued by" in shown
        assert "valid until" in shown
        code, found = document(desk, "--url", front.url)
        assert (code, found["certificate"], found["token"]) == (1, None, "not known")
        assert "authority" in found["error"]["message"]


def test_a_proxy_is_said_without_its_password(desk):
    desk.environment.setenv("HTTP_PROXY", "http://me:s3cr3t@127.0.0.1:1")
    code, found = document(desk, "--url", "http://models.invalid")
    assert code == 1
    assert found["proxy"] == "http://***@127.0.0.1:1 (HTTP_PROXY)"
    assert "s3cr3t" not in json.dumps(found)
