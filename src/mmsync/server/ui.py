"""The registry's pages for a browser, at ``/ui``. They only show; nothing of the API depends on them.

Nobody sees anything but a form that asks for the token, or how to send it: with each request in a header of the API, or
on the server's own machine once, for a cookie. The cookie holds a session's random name, never the token: over plain
http it must not leave the machine. No page has a script, or anything of another site.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from starlette.responses import RedirectResponse, Response

from mmsync._version import __version__
from mmsync.server.access import Sessions, Token, is_local, is_of_own_page
from mmsync.server.registry import SORTS, Listing, Query, Registry

if TYPE_CHECKING:
    from starlette.requests import Request

    from mmsync.server.responses import Body
    from mmsync.server.schemas import Settings
    from mmsync.server.store import Store

_FORM_LIMIT = 16 << 10  # bytes of the form with the token
_LARGEST_NUMBER = 18  # digits of a page or an id: what the database can count to
_HEADERS = {
    "cache-control": "no-store",
    # A page of another site may neither frame this one nor have a form sent here.
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Not "no-referrer": browsers would send our own form with the origin "null".
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class Ui:
    """The pages of one server."""

    def __init__(self, store: Store, settings: Settings, token: Token) -> None:
        self._registry = Registry(store)
        self._settings = settings
        self._token = token
        self._sessions = Sessions()

    async def registry(self, request: Request, _: Body) -> Response:
        """``GET /ui``: a page of the models of a domain."""
        if self._is_admitted(request):
            return await asyncio.to_thread(self._listing, request)
        return self._challenge(request)

    async def model(self, request: Request, _: Body) -> Response:
        """``GET /ui/model?id=``: one model whole."""
        if self._is_admitted(request):
            return await asyncio.to_thread(self._one, request)
        return self._challenge(request)

    async def stylesheet(self, _: Request, __: Body) -> Response:
        """``GET /ui/look.css``: how every page looks, the one that asks for the token as well."""
        from mmsync.html.environment import stylesheet  # noqa: PLC0415 - as for the pages

        return Response(stylesheet("registry.css"), headers=_HEADERS, media_type="text/css")

    async def login(self, request: Request, body: Body) -> Response:
        """``POST /ui/login``: the token once, for a session and the cookie that names it."""
        sent = await body.read(_FORM_LIMIT)
        if not is_local(request):
            return self._door(request, 403)
        if not is_of_own_page(request):
            return self._door(request, 403, "That form was sent from a page of another site. Use this one.")
        form = dict(parse_qsl(sent.decode("utf-8", "replace")))
        if not self._token.is_bytes(form.get("token", "").strip().encode("utf-8")):
            return self._door(request, 403, "That is not the token of this server.")
        answer = RedirectResponse(_root(request), 303, _HEADERS)
        answer.set_cookie(
            _cookie(request), self._sessions.begin(), path=_root(request), httponly=True, samesite="strict"
        )
        return answer

    async def back(self, request: Request, _: Body) -> Response:
        """``GET /ui/login``, where one is who reloads or bookmarks the page of a token that was wrong."""
        return RedirectResponse(_root(request), 303, _HEADERS)

    async def logout(self, request: Request, _: Body) -> Response:
        """``POST /ui/logout``: end the session."""
        if not is_of_own_page(request):
            return self._door(request, 403, "That form was sent from a page of another site. Use this one.")
        self._sessions.end(request.cookies.get(_cookie(request), ""))
        answer = RedirectResponse(_root(request), 303, _HEADERS)
        answer.delete_cookie(_cookie(request), path=_root(request), httponly=True, samesite="strict")
        return answer

    def _is_admitted(self, request: Request) -> bool:
        return self._token.is_sent_with(request) or self._has_session(request)

    def _challenge(self, request: Request) -> Response:
        """Return the page for one that may not look."""
        if {"authorization", "standalonetoken"} & {*request.headers.keys()}:
            return self._door(request, 403, "The token sent with the request is not this server's.")
        return self._door(request, 401)

    def _has_session(self, request: Request) -> bool:
        return is_local(request) and self._sessions.is_open(request.cookies.get(_cookie(request), ""))

    def _door(self, request: Request, status: int, message: str = "") -> Response:
        """Return the page that shows nothing: it asks for the token, or says how to send it."""
        answer = self._page(
            request,
            "registry_sign_in.html",
            status,
            message=message,
            is_local=is_local(request),
            root=_root(request),
            port=request.scope["server"][1],
        )
        if status == 401:  # noqa: PLR2004 - browsers ask nothing by themselves for this scheme
            answer.headers["www-authenticate"] = 'Bearer realm="mmsync"'
        return answer

    def _listing(self, request: Request) -> Response:
        given = request.query_params
        domains, more = self._domains()
        default = self._settings.domain
        if self._settings.generation == "legacy" and domains and default not in dict(domains):
            default = domains[0][0]
        asked = given.get("domain", default) if self._settings.generation != "latest" else default
        listing = self._registry.page(
            Query(
                asked,
                given.get("q", ""),
                given.get("engine", ""),
                *_order(given.get("sort", "")),
                _number(given.get("page", "")) or 1,
            )
        )

        def link(**changes: object) -> str:
            return _link(listing, default, changes)

        return self._page(
            request, "registry.html", listing=listing, domains=domains, more_domains=more, default=default, link=link
        )

    def _one(self, request: Request) -> Response:
        identifier = _number(request.query_params.get("id", ""))
        found = None if identifier is None else self._registry.model(identifier)
        if found is None or (self._settings.generation == "latest" and found[0] != self._settings.domain):
            return self._page(request, "registry_model.html", 404, model=None, domain=self._settings.domain)
        return self._page(request, "registry_model.html", model=found[1], domain=found[0])

    def _domains(self) -> tuple[list[tuple[str, int]], int]:
        """Return the domains this server answers for, and how many more there are than listed."""
        if self._settings.generation == "latest":
            return [], 0
        return self._registry.domains()

    def _page(self, request: Request, template: str, status: int = 200, **values: object) -> Response:
        """Return one page; its links are relative, so that they hold behind any prefix."""
        # 50 ms for Jinja, which a server that nobody looks at does without.
        from mmsync.html.environment import render  # noqa: PLC0415 - see above

        base = "ui/" if request.scope["path"] == "/ui" else ""
        text = render(template, base=base, has_session=self._has_session(request), version=__version__, **values)
        return Response(text, status, _HEADERS, "text/html")


def _link(listing: Listing, default: str, changes: dict[str, object]) -> str:
    """Return the address, relative to its own, of the same list with some of what it asks for changed."""
    query = listing.query
    asked = {
        "domain": "" if query.domain == default else query.domain,
        "q": query.search,
        "engine": query.engine,
        "sort": "" if query.order == "name" else query.order,
        "page": "",
    }
    return "?" + urlencode({key: value for key, value in {**asked, **changes}.items() if value})


def _order(asked: str) -> tuple[str, bool]:
    """Return what to sort by and whether from the end, of ``KEY`` or ``-KEY``."""
    key = asked.removeprefix("-")
    return (key, asked != key) if key in SORTS else ("name", False)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LARGEST_NUMBER else None


def _root(request: Request) -> str:
    """Return the path of the registry as the browser knows it, whichever of its pages was asked for."""
    path: str = request.scope["raw_path"].decode("latin-1")
    return path[: path.rindex("/ui") + len("/ui")]


def _cookie(request: Request) -> str:
    """Return the cookie's name. Browsers keep cookies by host, not by port: each server's needs a name of its own."""
    return f"mmsync_ui_{request.scope['server'][1]}"
