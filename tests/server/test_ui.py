"""The registry's pages: what they show and to whom, from the wire."""

from __future__ import annotations

import contextlib
import re
import socket
import sqlite3

import pytest
import requests
from starlette.requests import Request

from mmsync.server import running
from mmsync.server.access import Sessions, is_local
from support.html_page import Page
from support.model_files import regression_onnx

CSP = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


def page_of(answer: requests.Response) -> Page:
    return Page(answer.text)


def rows(page: Page) -> list[str]:
    """Return the names in a list, in order: each is a link to the model."""
    return [href for href in page.links() if "model?id=" in href]


@pytest.fixture
def browser(server):
    """A session of one who has given the token."""
    with requests.Session() as session:
        answer = session.post(f"{server.url}/ui/login", data={"token": server.token}, timeout=10)
        assert answer.status_code == 200
        yield session


# --- what it shows ----------------------------------------------------------------------------------------------


def test_a_model_is_shown_with_its_engine_signature_size_and_times(http):
    image = http.upload("ONNX", regression_onnx()).json()
    http.save(
        {"name": "login_risk", "engine": "ONNX", "description": "Risk of a login", "image": {"id": image["imageId"]}}
    )
    page = page_of(http.get("/ui"))
    assert "1 model " in page.text
    for shown in ("login_risk", "Risk of a login", "ONNX", "x float8", image["outputType"]):
        assert shown in page.text
    [updated, created] = page.all("time")
    assert updated["datetime"] == created["datetime"]
    [link] = rows(page)
    whole = page_of(http.get(f"/{link}"))
    assert f"{len(regression_onnx()):,} bytes" in whole.text
    assert "1 input" in whole.text
    assert "Risk of a login" in whole.text


def test_an_empty_registry_says_what_will_stand_there(http):
    assert "No models here yet" in page_of(http.get("/ui")).text


def test_hidden_models_are_shown_as_such(http):
    http.add("m", hidden=True)
    page = page_of(http.get("/ui"))
    assert len(rows(page)) == 1
    assert "hidden" in page.text


def test_a_model_that_is_not_there_is_404(http):
    for query in ("?id=1", "", "?id=x", "?id=-1", "?id=" + "9" * 30, "?id=²"):
        answer = http.get(f"/ui/model{query}")
        assert (answer.status_code, "No such model" in answer.text) == (404, True)


def test_inputs_beyond_a_few_are_counted_and_stand_on_the_models_page(http):
    fields = [{"name": f"input_{n}", "type": "float8", "description": None} for n in range(30)]
    http.add("m", fields=fields, outputType="str")
    page = page_of(http.get("/ui"))
    assert "input_4 float8, 25 more" in page.text
    assert "input_5" not in page.text
    whole = page_of(http.get(f"/{rows(page)[0]}"))
    assert "30 inputs" in whole.text
    assert "input_29" in whole.text


@pytest.mark.parametrize(
    "fields",
    [[{}], [{"name": None, "type": None}], [{"name": 5, "type": True}], [{"name": {"a": [1]}, "type": ["x"]}]],
    ids=str,
)
def test_fields_of_any_form_are_shown_somehow(http, fields):
    http.add("m", fields=fields)
    for path in ("/ui", f"/{rows(page_of(http.get('/ui')))[0]}"):
        assert http.get(path).status_code == 200


def test_fields_that_the_database_cannot_read_are_said_to_be_so(http):
    body = f'{{"name": "m", "engine": "MLSTATS", "image": {{"id": {http.image()}}}, "fields": [{{"name": 1e999}}]}}'
    assert http.ask("POST", "/models", data=body).status_code == 200
    page = page_of(http.get("/ui"))
    assert "inputs that cannot be read" in page.text
    assert "cannot be read" in page_of(http.get(f"/{rows(page)[0]}")).text


# --- ten thousand models ----------------------------------------------------------------------------------------


def fill(folder, count, *, name="model_{:05}", description="{}", domain="self"):
    """Put models into a store without a server, many at once."""
    with sqlite3.connect(folder / "mmsync-server.db") as database:
        for n in range(count):
            engine = ("ONNX", "CATBOOST", "H2O")[n % 3]
            image = database.execute(
                "INSERT INTO images (domain, engine, size, review, created_ms) VALUES (?, ?, ?, '{}', 0)",
                (domain, engine, 1000 + (n * 7919) % 10_007),
            ).lastrowid
            database.execute(
                "INSERT INTO models (domain, name, engine, description, image, fields, clusters, hidden, created_ms,"
                " updated_ms) VALUES (?, ?, ?, ?, ?, '[]', '[]', 0, ?, ?)",
                (domain, name.format(n), engine, description.format(n), image, n, 10_000_000 - n),
            )


@pytest.fixture
def ten_thousand(http, folder):
    fill(folder, 10_000)
    return http


def test_ten_thousand_models_come_in_pages_that_cover_them_all(ten_thousand):
    answer = ten_thousand.get("/ui")
    assert len(answer.content) < 300_000
    first = page_of(answer)
    assert "10,000 models" in first.text
    assert "Page 1 of 200" in first.text
    names = [re.findall(r"model_\d{5}", ten_thousand.get(f"/ui?page={page}").text) for page in (1, 2, 200, 201, 10**17)]
    assert names[0] == [f"model_{n:05}" for n in range(50)]
    assert names[1] == [f"model_{n:05}" for n in range(50, 100)]
    assert names[2] == names[3] == names[4] == [f"model_{n:05}" for n in range(9950, 10_000)]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("", "model_00000"),
        ("sort=-name", "model_09999"),
        ("sort=-created", "model_09999"),
        ("sort=updated", "model_09999"),
        ("sort=engine", "model_00001"),
        ("sort=-engine", "model_00000"),
        ("sort=--name", "model_00000"),
        ("sort=size", "model_00000"),
        ("sort=nonsense; DROP TABLE models&page=x", "model_00000"),
        ("engine=H2O", "model_00002"),
        ("q=MODEL_0777", "model_07770"),
        ("q=0777&engine=ONNX", "model_00777"),
    ],
)
def test_it_is_sorted_and_filtered_on_the_server(ten_thousand, query, first):
    page = page_of(ten_thousand.get(f"/ui?{query}"))
    assert re.search(r"model_\d{5}", page.text)[0] == first


def test_filter_and_order_go_on_from_page_to_page(ten_thousand):
    page = page_of(ten_thousand.get("/ui?q=model_0&engine=ONNX&sort=-size"))
    [following] = [each["href"] for each in page.all("a") if each.get("rel") == "next"]
    second = page_of(ten_thousand.get(f"/ui{following}"))
    assert "Page 2 of 67" in second.text
    assert [each.get("aria-sort") for each in second.all("th") if "aria-sort" in each] == ["descending"]
    assert [each["value"] for each in second.all("option") if "selected" in each] == ["ONNX", "-size"]
    assert [each["value"] for each in second.all("input")] == ["model_0"]


def test_what_matches_nothing_leads_back(ten_thousand):
    page = page_of(ten_thousand.get("/ui?q=%25&engine=ONNX"))
    assert "No model matches" in page.text
    assert not rows(page)
    back = [href for href in page.links() if href == "?"]
    assert back


# --- domains ----------------------------------------------------------------------------------------------------


def test_each_domain_has_its_page(http, legacy):
    http.add("of_self")
    legacy.base = "/domains/acme%20%26%20co"
    legacy.add("of_acme")
    page = page_of(http.get("/ui"))
    assert "of_self" in page.text
    assert "of_acme" not in page.text
    [link] = [href for href in page.links() if "acme" in href]
    other = page_of(http.get(f"/ui{link}"))
    assert "of_acme" in other.text
    assert "of_self" not in other.text
    assert "acme & co" in other.text


def test_a_server_of_the_latest_generation_shows_its_own_domain_alone(http, legacy, folder):
    legacy.base = "/domains/other"
    other = legacy.add("of_other")
    with running(folder, token="t", generation="latest") as address:
        headers = {"standAloneToken": "t"}
        for path in ("/ui", "/ui?domain=other", f"/ui/model?id={other['id']}"):
            assert "of_other" not in requests.get(address.url + path, headers=headers, timeout=10).text


def test_a_server_of_the_legacy_generation_begins_with_a_domain_that_it_has(legacy, folder):
    legacy.base = "/domains/other"
    legacy.add("of_other")
    with running(folder, token="t", generation="legacy") as address:
        page = requests.get(address.url + "/ui", headers={"standAloneToken": "t"}, timeout=10)
        assert "of_other" in page.text


# --- hostile text -----------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>", "</title></style><img src=x onerror=alert(1)>", '" onmouseover="alert(1)', "' x='",
    "javascript:alert(1)", "\u202egnp.exe\u2066", "a\x00b\x1b[31mc\x7f\x9b", "{{ 7 * 7 }}{% raw %}", "&lt;b&gt;", "]]>", "<!--",
    "x" * 1024, "💥" * 1024, "\u200b", " ",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_inert(http, legacy, text):
    legacy.base = "/domains/" + requests.utils.quote(text, safe="")
    field = {"name": text, "type": text, "description": text}
    legacy.add(text, description=text * 10, fields=[field], outputType=text[:256], category=text[:256])
    http.add("plain")
    calm = {tag for path in ("/ui", "/ui/model?id=2") for tag, _ in page_of(http.get(path)).elements}
    quoted = requests.utils.quote(text, safe="")
    for path in ("/ui", f"/ui?domain={quoted}", f"/ui?q={quoted}&engine={quoted}", "/ui/model?id=1"):
        answer = http.get(path)
        assert answer.status_code == 200
        page = page_of(answer)
        assert {tag for tag, _ in page.elements} <= calm | {"nav", "ul", "li", "code"}
        attributes = {name for _, each in page.elements for name in each}
        assert not {name for name in attributes if name.startswith("on") or name in ("style", "src", "srcdoc")}
        assert not [href for href in page.links() if not re.match(r"(\?|model\?|ui/model\?|\.\./ui|ui$)", href)]
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", page.text)
        assert len(answer.content) < 300_000


def test_a_page_of_the_worst_text_stays_small(http, folder):
    for n in range(30):
        fill(folder, 2, name="\U0001f4a5" * 1018 + "{:05}", description="&<" * 500_000, domain=f"{n:02}" + "&💥" * 63)
    fill(folder, 60, name="'" * 1018 + "{:05}", description='"\x01' * 5000, domain="worst" * 25)
    with sqlite3.connect(folder / "mmsync-server.db") as database:
        field = '{"name": "' + "&" * 1000 + '", "type": "' + "'" * 1000 + '"}'
        database.execute("UPDATE models SET fields = ?, output_type = ?", (f"[{','.join([field] * 500)}]", "<" * 256))
    answer = http.get("/ui", params={"domain": "worst" * 25, "q": "'" * 100, "sort": "-name"})
    assert len(rows(page_of(answer))) == 50
    assert len(answer.content) < 300_000


# --- who may look -----------------------------------------------------------------------------------------------


def shows_nothing(answer: requests.Response, status: int) -> bool:
    return (
        answer.status_code == status
        and "secret_model" not in answer.text
        and "set-cookie" not in answer.headers
        and answer.headers["content-security-policy"] == CSP
        and answer.headers["cache-control"] == "no-store"
    )


def asks_for_the_token(answer: requests.Response) -> bool:
    return [each["type"] for each in page_of(answer).all("input")] == ["password"]


@pytest.fixture
def url(http):
    http.add("secret_model", description="secret_model")
    return http.address.url


@pytest.mark.parametrize("path", ["/ui", "/ui?q=secret", "/ui?domain=self", "/ui/model?id=1", "/ui/model?id=2"])
def test_without_the_token_there_is_a_form_and_nothing_else(url, path):
    answer = requests.get(url + path, timeout=10)
    assert shows_nothing(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert asks_for_the_token(answer)
    head = requests.head(url + path, timeout=10)
    assert (head.status_code, head.content) == (401, b"")
    assert head.headers["content-length"] == str(len(answer.content))


def test_the_form_leads_to_the_registry_for_as_long_as_the_session(url, server, browser):
    answer = browser.get(f"{url}/ui", timeout=10)
    assert answer.status_code == 200
    assert "secret_model" in answer.text
    assert browser.head(f"{url}/ui", timeout=10).status_code == 200
    [cookie] = browser.cookies
    assert cookie.path == "/ui"
    assert cookie.expires is None
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite").lower() == "strict"
    assert server.token not in cookie.value
    assert server.token not in answer.text
    assert browser.get(f"{url}/models", timeout=10).status_code == 403  # the API takes no cookie
    before = dict(browser.cookies)
    answer = browser.post(f"{url}/ui/logout", timeout=10)
    assert answer.status_code == 401
    assert not browser.cookies
    assert shows_nothing(requests.get(f"{url}/ui", cookies=before, timeout=10), 401)


def test_the_form_of_a_page_below_leads_to_the_registry_too(url, server):
    with requests.Session() as session:
        form = page_of(session.get(f"{url}/ui/model?id=1", timeout=10)).all("form")[0]
        assert form["action"] == "login"
        answer = session.post(f"{url}/ui/{form['action']}", data={"token": f" {server.token}\r\n"}, timeout=10)
        assert "secret_model" in answer.text
        assert session.get(f"{url}/ui/login", timeout=10).url == f"{url}/ui"


@pytest.mark.parametrize(
    "sent", [{"token": "wrong"}, {"token": ""}, {}, {"token": "\xff"}, {"token": "x" * 5000}, "\x00", "&" * 100]
)
def test_a_wrong_token_is_the_same_page_with_a_plain_message(url, sent):
    answer = requests.post(f"{url}/ui/login", data=sent, timeout=10)
    assert answer.status_code in (400, 403)
    if answer.status_code == 403:
        assert shows_nothing(answer, 403)
        assert asks_for_the_token(answer)
        assert "That is not the token of this server." in page_of(answer).text
        assert "wrong" not in answer.text


def test_a_form_of_any_size_is_not_read(url):
    answer = requests.post(f"{url}/ui/login", data=b"token=" + b"x" * 1_000_000, timeout=10)
    assert answer.status_code == 413


def test_a_stranger_cannot_keep_it_reading(url):
    host, port = url.removeprefix("http://").split(":")
    sent = 0
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"POST /ui/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n")
        with contextlib.suppress(OSError):
            while sent < 500_000_000:
                sent += connection.send(b"x" * 1_000_000)
    assert sent < 200_000_000


@pytest.mark.parametrize("header", [{"standAloneToken": "{}"}, {"Authorization": "Bearer {}"}])
def test_the_token_in_a_header_works_everywhere_and_gives_no_cookie(url, server, header):
    right = {name: value.format(server.token) for name, value in header.items()}
    for more in ({}, {"Host": "models.example.com"}, {"X-Forwarded-For": "192.0.2.1"}, {"Origin": "http://e.vil"}):
        answer = requests.get(f"{url}/ui", headers=right | more, timeout=10)
        assert (answer.status_code, "set-cookie" in answer.headers) == (200, False)
        assert "secret_model" in answer.text
        assert "Sign out" not in answer.text
    wrong = {name: value.format("wrong") for name, value in header.items()}
    answer = requests.get(f"{url}/ui", headers=wrong, timeout=10)
    assert shows_nothing(answer, 403)
    assert "not this server" in answer.text


FOREIGN = [
    {"Host": "e.vil"},
    {"Host": "e.vil:8765"},
    {"Host": "127.0.0.1.e.vil"},
    {"Host": "localhost.e.vil"},
    {"Host": "e.vil@127.0.0.1"},
    {"Host": "192.0.2.7"},
    {"Host": "0.0.0.0"},
    {"Host": "e.vil:1@127.0.0.1"},
    {"Host": ""},
    {"X-Forwarded-For": "192.0.2.1"},
    {"Forwarded": "for=192.0.2.1"},
    {"X-Real-IP": "192.0.2.1"},
    {"Via": "1.1 proxy"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_from_elsewhere_or_by_another_name_no_cookie_is_given_or_taken(url, server, browser, headers):
    """By another name is how a page of another site would reach it, having its own name point here."""
    for answer in (
        requests.get(f"{url}/ui", headers=headers, timeout=10),
        browser.get(f"{url}/ui", headers=headers, timeout=10),
    ):
        assert shows_nothing(answer, 401)
        assert not asks_for_the_token(answer)
        assert "curl --header" in answer.text
    answer = requests.post(f"{url}/ui/login", headers=headers, data={"token": server.token}, timeout=10)
    assert shows_nothing(answer, 403)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1", "127.0.0.1", "127.1.2.3:9", "[::1]", "[::1]:9", "LOCALHOST"]
)
def test_every_name_of_this_machine_is_taken(url, host):
    assert asks_for_the_token(requests.get(f"{url}/ui", headers={"Host": host}, timeout=10))


@pytest.mark.parametrize(
    ("client", "local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("", False),
    ],
)
def test_a_client_of_another_machine_is_not_local_whatever_it_says(client, local):
    scope = {"type": "http", "headers": [(b"host", b"127.0.0.1:8765")], "client": (client, 5)}
    assert is_local(Request(scope)) is local
    assert not is_local(Request({**scope, "client": None}))
    for host in (b"[::", b"[]", b"[::1", b"::1", b"127.0.0.1/", b"\xff", b"127.0.0.1, e.vil", b""):
        assert not is_local(Request({**scope, "headers": [(b"host", host)]}))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://e.vil"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": ""},
    ],
    ids=str,
)
def test_a_form_of_another_site_does_nothing(url, server, browser, headers):
    answer = requests.post(f"{url}/ui/login", headers=headers, data={"token": server.token}, timeout=10)
    assert shows_nothing(answer, 403)
    assert "another site" in answer.text
    assert browser.post(f"{url}/ui/logout", headers=headers, timeout=10).status_code == 403
    assert browser.get(f"{url}/ui", timeout=10).status_code == 200  # still signed in


def test_the_own_form_says_where_it_is_from(url, server):
    headers = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
    answer = requests.post(
        f"{url}/ui/login", headers=headers, data={"token": server.token}, timeout=10, allow_redirects=False
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui")


def test_sessions_are_few_random_and_end():
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    names = [sessions.begin() for _ in range(100)]
    assert len(set(names)) == 100
    assert min(map(len, names)) >= 40
    assert [sessions.is_open(name) for name in names] == [False] * 36 + [True] * 64
    sessions.end(names[-1])
    sessions.end("nonsense")
    assert not sessions.is_open(names[-1])
    assert not sessions.is_open("")
    assert not sessions.is_open("\ud800")
    now[0] = 12 * 3600.0
    assert not any(map(sessions.is_open, names))


def test_two_servers_of_one_machine_do_not_sign_each_other_out(server, browser, tmp_path):
    with running(tmp_path / "other") as other:
        assert browser.post(f"{other.url}/ui/login", data={"token": other.token}, timeout=10).status_code == 200
        for address in (server, other):
            assert browser.get(f"{address.url}/ui", timeout=10).status_code == 200


# --- beside the API ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["/mm", "/ui", "/a/ui/b"])
def test_it_stands_behind_any_prefix(folder, prefix):
    with running(folder, prefix=prefix, token="t") as address, requests.Session() as session:
        base = address.url
        page = page_of(session.get(f"{base}/ui", timeout=10))
        assert page.all("link")[0]["href"] == "ui/look.css"
        assert session.get(f"{base}/ui/look.css", timeout=10).status_code == 200
        answer = session.post(f"{base}/ui/login", data={"token": "t"}, timeout=10)
        assert (answer.status_code, answer.url) == (200, f"{base}/ui")
        [cookie] = session.cookies
        assert cookie.path == f"{prefix}/ui"
        assert session.get(f"{base}/models", headers={"standAloneToken": "t"}, timeout=10).json() == []
        assert session.get(f"{base}/ui/model?id=1", timeout=10).status_code == 404


def test_a_model_or_a_domain_called_ui_is_still_the_apis(http, legacy):
    http.add("ui")
    assert http.model("ui")["name"] == "ui"
    legacy.base = "/domains/ui"
    assert legacy.get("/models").json() == []


def test_other_methods_and_addresses_are_the_contracts_errors(http):
    for method, path, status in (
        ("POST", "/ui", 405), ("DELETE", "/ui/model", 405), ("GET", "/ui/logout", 405), ("GET", "/ui/x", 404), ("GET", "/ui/", 404),
    ):  # fmt: skip
        answer = http.ask(method, path)
        assert (answer.status_code, set(answer.json())) == (status, {"code", "msg", "cid"})


def test_the_look_is_there_for_everyone_and_the_pages_have_nothing_of_another_site(url):
    look = requests.get(f"{url}/ui/look.css", timeout=10)
    assert look.headers["content-type"] == "text/css; charset=utf-8"
    assert "url(" not in look.text
    assert "@import" not in look.text
    page = page_of(requests.get(f"{url}/ui", timeout=10))
    assert [each["href"] for each in page.all("link")] == ["ui/look.css"]
    assert not page.all("script") + page.all("style") + page.all("img") + page.all("iframe")
