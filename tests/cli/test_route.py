"""Certificates and proxy of the command line: by flag, environment and profile, and who may not decide them."""

from __future__ import annotations

import pytest

from support.desk import TOKEN
from support.tls import Authority, ConnectProxy, in_front_of


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "certificates")


@pytest.fixture
def front(desk, authority):
    """The desk's server, behind TLS with a certificate of the authority."""
    with in_front_of(desk.url, authority) as made:
        desk.environment.setenv("MMSYNC_URL", made.url)
        yield made


@pytest.fixture
def of_profile(desk, front):
    """Writes the profile ``p`` of the server behind TLS, which nothing but the profile then names."""
    desk.environment.delenv("MMSYNC_URL")
    desk.environment.delenv("MMSYNC_TOKEN")
    return lambda *more, **where: desk.profile("p", TOKEN, *more, url=front.url, **where)


def test_a_private_authority_is_refused_until_an_option_gives_it(desk, front, authority):
    ran = desk("list")
    assert ran.code == 1
    assert "its certificate is from an authority that is not in" in ran.err
    assert "--cacert FILE (MMSYNC_CACERT" in ran.err
    assert desk("list", "--cacert", authority.pem).code == 0
    desk.environment.setenv("MMSYNC_CACERT", str(authority.pem))
    assert desk("list").code == 0


def test_a_flag_wins_over_the_environment_and_is_named(desk, front, authority):
    desk.environment.setenv("MMSYNC_CACERT", str(authority.pem))
    ran = desk("list", "--cacert", "gone.pem")
    assert (
        "the certificates gone.pem (--cacert) cannot be read: No such file or directory\n  correct --cacert" in ran.err
    )
    desk.environment.setenv("MMSYNC_CACERT", "missing.pem")
    assert "(MMSYNC_CACERT)" in desk("list").err


def test_an_apply_goes_through_with_a_private_authority(desk, front, authority):
    desk.file("m", b"model")
    desk.manifest("m MLSTATS m")
    assert desk("apply", "--yes", "--cacert", authority.pem).code == 0
    assert [model["name"] for model in desk.client().get_models()] == ["m"]


def test_a_profile_gives_the_authority_relative_to_its_file(desk, of_profile, authority):
    home = of_profile("cacert = ca.pem").parent
    (home / "ca.pem").write_bytes(authority.pem.read_bytes())
    assert desk("list", "--profile", "p").code == 0
    ran = desk("list", "--profile", "p", "--cacert", "gone.pem")
    assert "(--cacert)" in ran.err
    (home / "ca.pem").unlink()
    assert "(cacert in ~/modelmanager.ini [p])" in desk("list", "--profile", "p").err


@pytest.mark.parametrize(
    "key", ["cacert = certificates/ca.pem", "proxy = http://127.0.0.1:1", "insecure = yes", "client_cert = me.pem"]
)
def test_a_profile_of_the_working_folder_does_not_decide_whom_to_trust(desk, of_profile, front, key):
    of_profile(key, folder="conf")
    ran = desk("list", "--profile", "p", "--profiles-path", "conf")
    assert ran.code == 1
    assert f"conf/modelmanager.ini [p]: {key.split()[0]} in a profile of the working folder" in ran.err
    assert not front.handshakes


def test_a_profile_of_another_folder_that_is_named_does(desk, of_profile, authority, tmp_path):
    of_profile(f"cacert = {authority.pem}", folder=str(tmp_path / "elsewhere"))
    assert desk("list", "--profile", "p", "--profiles-path", tmp_path / "elsewhere").code == 0


def test_a_manifest_does_not_decide_whom_to_trust(desk, front, authority):
    for key in ("cacert", "client_cert", "proxy", "insecure"):
        desk.manifest(head=f"server: {{{key}: x}}\n")
        ran = desk("plan", "--cacert", authority.pem)
        assert ran.code == 1
        assert key in ran.err


def test_unchecked_certificates_are_for_this_machine_alone(desk, front):
    assert desk("list", "--insecure").code == 0
    ran = desk("list", "--insecure", "--url", "https://models.invalid")
    assert ran.code == 1
    assert "--insecure: certificates go unchecked on this machine alone" in ran.err
    assert "--cacert FILE" in ran.err
    desk.environment.setenv("MMSYNC_INSECURE", "1")
    assert desk("list").code == 0
    assert "MMSYNC_INSECURE: " in desk("list", "--url", "https://127.0.0.1.models.invalid").err


def test_a_profile_leaves_certificates_unchecked_on_this_machine_alone(desk, of_profile):
    of_profile("insecure = yes")
    assert desk("list", "--profile", "p").code == 0
    desk.profile("p", TOKEN, "insecure = yes", url="https://models.invalid")
    assert "insecure in ~/modelmanager.ini [p]: certificates go unchecked" in desk("list", "--profile", "p").err


def test_unchecked_certificates_and_a_proxy_contradict_each_other(desk, front):
    ran = desk("list", "--insecure", "--proxy", "http://127.0.0.1:1")
    assert ran.code == 1
    assert "--insecure and --proxy contradict each other" in ran.err
    desk.environment.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert desk("list", "--insecure").code == 0  # straight to this machine


def test_a_client_certificate_comes_by_flag_and_by_profile(desk, authority):
    me = authority.issue("me", "me@example.com")
    with in_front_of(desk.url, authority, clients=authority.pem) as front:
        words = ["list", "--url", front.url, "--cacert", authority.pem]
        ran = desk(*words)
        assert "the server wants a client certificate" in ran.err
        assert "--client-cert FILE" in ran.err
        assert desk(*words, "--client-cert", me).code == 0
        assert desk(*words, "--client-cert", me, "--client-key", me).code == 0
        assert "--client-key: a key without its certificate" in desk(*words, "--client-key", me).err
        desk.environment.delenv("MMSYNC_TOKEN")
        desk.environment.delenv("MMSYNC_URL")
        desk.profile("p", TOKEN, f"cacert = {authority.pem}", f"client_cert = {me}", url=front.url)
        assert desk("list", "--profile", "p").code == 0


def test_a_proxy_comes_by_flag_and_a_failing_one_is_named(desk, front, authority):
    words = ["list", "--cacert", authority.pem]
    with ConnectProxy() as proxy:
        assert desk(*words, "--proxy", proxy.url).code == 0
        assert proxy.asked
    dead = "http://me:s3cr3t@127.0.0.1:1"
    for source, more in {"--proxy": ["--proxy", dead], "MMSYNC_PROXY": [], "HTTPS_PROXY": []}.items():
        if not more:
            desk.environment.setenv(source, dead)
        ran = desk(*words, *more)
        assert f"The proxy http://***@127.0.0.1:1 ({source}) to {front.url} failed" in ran.err
        assert "s3cr3t" not in ran.err
        desk.environment.delenv(source, raising=False)


def test_an_embedded_server_is_never_asked_for_through_a_proxy(desk):
    desk.environment.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    (desk.folder / "srv").mkdir()
    assert desk("list", "--url", "local:srv").code == 0


@pytest.mark.parametrize("option", ["--cacert", "--client-cert", "--client-key", "--proxy"])
def test_an_option_that_is_empty_is_refused(desk, option):
    assert f"{option} is empty" in desk("list", option, "").err


def test_no_proxy_is_one_too(desk, monkeypatch):
    """``none`` wins over a profile's and over the environment's, both dead here."""
    desk.manifest()
    desk.profile("production", TOKEN, "proxy = http://127.0.0.1:1")
    monkeypatch.delenv("MMSYNC_URL")
    monkeypatch.delenv("MMSYNC_TOKEN")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:2")
    ran = desk("list", "--profile", "production")
    assert ran.code == 1
    assert "--proxy none" in " ".join(ran.err.split())
    assert desk("list", "--profile", "production", "--proxy", "none").code == 0
    monkeypatch.setenv("MMSYNC_PROXY", "none")
    assert desk("list", "--profile", "production").code == 0
