"""The endpoints' answers. Both generations share them; a ``domain`` in the path makes a request a legacy one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.responses import Response

from mmsync.server.download import ImageAnswer
from mmsync.server.responses import Body, json_answer, json_text, path_text, truth
from mmsync.server.save import SaveRequest
from mmsync.server.schemas import ABSENT_DETAIL, ABSENT_IMAGE, model_detail
from mmsync.server.store import Store
from mmsync.server.upload import receive_upload

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request

_SAVE_LIMIT = 16 << 20  # bytes of a save's body


def _in_thread(
    endpoint: Callable[[Endpoints, Request], Response],
) -> Callable[[Endpoints, Request, Body], Awaitable[Response]]:
    """Run an endpoint that blocks, and needs no body, in a worker thread."""

    async def answer(self: Endpoints, request: Request, _: Body) -> Response:
        return await asyncio.get_running_loop().run_in_executor(None, endpoint, self, request)

    return answer


class Endpoints:
    """The endpoints of one server; ``domain`` is the latest generation's, which a real one infers from the token."""

    def __init__(self, store: Store, domain: str) -> None:
        self._store = store
        self._domain = domain

    @_in_thread
    def list_models(self, request: Request) -> Response:
        """``GET /models``."""
        return json_text(self._store.models(self._domain_of(request)))

    @_in_thread
    def one_model(self, request: Request) -> Response:
        """``GET /models/{name}``, without the image's bytes if ``fast``; ``GET /models/filtered?name=&engine=``."""
        fast = truth(request, "fast")
        if fast is None and path_text(request, "name") == "filtered":  # with ``fast`` it is a model named so
            query = request.query_params
            filters = query.get("name", ""), query.get("engine", "")
            return json_text(self._store.models(self._domain_of(request), *filters))
        row = self._model(request)
        if row is None:
            # 1.6.1's LegacyClient takes any object for a model, so a server that answers it at all answers 204 where
            # ``fast`` is asked for; the legacy description, which has no ``fast``, has an object whose id is null.
            return _absent(request, ABSENT_DETAIL) if fast is None else Response(status_code=204)
        detail = model_detail(row)
        if fast:
            return json_answer(detail)
        return ImageAnswer(self._store.image_path(row["image"]), row["image_size"], detail)

    @_in_thread
    def fast_model(self, request: Request) -> Response:
        """``GET /models/{name}/fast``."""
        row = self._model(request)
        return _absent(request, ABSENT_DETAIL) if row is None else json_answer(model_detail(row))

    @_in_thread
    def image(self, request: Request) -> Response:
        """``GET /models/{name}/image``."""
        row = self._model(request)
        if row is None:
            return _absent(request, ABSENT_IMAGE)
        return ImageAnswer(self._store.image_path(row["image"]), row["image_size"], model_detail(row)["image"])

    @_in_thread
    def children(self, request: Request) -> Response:
        """``GET /models/{name}/children``."""
        row = self._model(request)
        return _absent(request, []) if row is None else json_text(self._store.children(row["id"]))

    async def upload(self, request: Request, body: Body) -> Response:
        """``POST /models/images/upload``."""
        content_type = request.headers.get("content-type", "")
        return json_answer(await receive_upload(content_type, body, self._store, self._domain_of(request)))

    async def save(self, request: Request, body: Body) -> Response:
        """``POST /models``."""
        domain = self._domain_of(request)
        sent = await body.read(_SAVE_LIMIT)
        await asyncio.to_thread(lambda: self._store.save(domain, SaveRequest.parse(sent)))
        return Response()

    @_in_thread
    def delete(self, request: Request) -> Response:
        """``DELETE /models/{name}``: nothing to say, whether or not there was such a model."""
        self._store.delete(self._domain_of(request), path_text(request, "name"))
        return Response(status_code=204)

    def _domain_of(self, request: Request) -> str:
        return path_text(request, "domain") if "domain" in request.path_params else self._domain

    def _model(self, request: Request) -> sqlite3.Row | None:
        return self._store.model(self._domain_of(request), path_text(request, "name"))


def _absent(request: Request, legacy: object) -> Response:
    """The answer for a model that is not there: 204, by the legacy generation ``legacy``."""
    return json_answer(legacy) if "domain" in request.path_params else Response(status_code=204)
