"""The endpoints' answers. Both generations share them; a ``domain`` in the path makes a request a legacy one."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, TypeVar

from mmsync.server.download import ImageAnswer
from mmsync.server.errors import from_os_error
from mmsync.server.responses import Body, json_answer, json_text, nothing, path_text, truth
from mmsync.server.save import SaveRequest
from mmsync.server.schemas import ABSENT_DETAIL, ABSENT_IMAGE, model_detail
from mmsync.server.store import Store
from mmsync.server.upload import receive_upload

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_SAVE_LIMIT = 16 << 20  # bytes of a save's body
_Result = TypeVar("_Result")


class Endpoints:
    """The endpoints of one server over ``store``; blocking work is done in ``pool``.

    Attributes:
        domain: The domain the latest generation speaks of: a real server infers it from the token.
    """

    def __init__(self, store: Store, pool: Executor, domain: str) -> None:
        self._store = store
        self._pool = pool
        self.domain = domain

    async def list_models(self, request: Request, _: Body) -> Response:
        """``GET /models``."""
        return await self._run(self._list, self._domain_of(request), "", "")

    async def one_model(self, request: Request, _: Body) -> Response:
        """``GET /models/{name}``, without the image's bytes if ``fast``; ``GET /models/filtered?name=&engine=``."""
        fast = truth(request, "fast")
        if fast is None and path_text(request, "name") == "filtered":  # with ``fast`` it is a model named so
            wanted = request.query_params
            filters = wanted.get("name", ""), wanted.get("engine", "")
            return await self._run(self._list, self._domain_of(request), *filters)
        # 1.6.1's LegacyClient takes any object for a model, so a server that answers it at all answers 204 where
        # ``fast`` is asked for; the legacy description, which has no ``fast``, has an object whose id is null.
        absent = ABSENT_DETAIL if _is_legacy(request) and fast is None else None
        return await self._run(
            self._detail, self._domain_of(request), path_text(request, "name"), fast=bool(fast), absent=absent
        )

    async def fast_model(self, request: Request, _: Body) -> Response:
        """``GET /models/{name}/fast``."""
        absent = ABSENT_DETAIL if _is_legacy(request) else None
        return await self._run(
            self._detail, self._domain_of(request), path_text(request, "name"), fast=True, absent=absent
        )

    async def image(self, request: Request, _: Body) -> Response:
        """``GET /models/{name}/image``."""
        return await self._run(
            self._image, self._domain_of(request), path_text(request, "name"), legacy=_is_legacy(request)
        )

    async def children(self, request: Request, _: Body) -> Response:
        """``GET /models/{name}/children``."""
        return await self._run(
            self._children, self._domain_of(request), path_text(request, "name"), legacy=_is_legacy(request)
        )

    async def upload(self, request: Request, body: Body) -> Response:
        """``POST /models/images/upload``."""
        content_type = request.headers.get("content-type", "")
        return json_answer(await receive_upload(content_type, body, self._store, self._domain_of(request), self._pool))

    async def save(self, request: Request, body: Body) -> Response:
        """``POST /models``."""
        return await self._run(self._save, self._domain_of(request), await body.read(_SAVE_LIMIT))

    async def delete(self, request: Request, _: Body) -> Response:
        """``DELETE /models/{name}``: nothing to say, whether or not there was such a model."""
        await self._run(self._store.delete, self._domain_of(request), path_text(request, "name"))
        return nothing()

    def _domain_of(self, request: Request) -> str:
        return path_text(request, "domain") if _is_legacy(request) else self.domain

    async def _run(self, function: Callable[..., _Result], *arguments: object, **options: object) -> _Result:
        work = functools.partial(function, *arguments, **options)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except OSError as error:
            raise from_os_error(error) from error

    def _save(self, domain: str, body: bytes) -> Response:
        self._store.save(domain, SaveRequest.parse(body))
        return nothing(200)

    def _list(self, domain: str, name: str, engine: str) -> Response:
        return json_text(self._store.models(domain, name, engine))

    def _detail(self, domain: str, name: str, *, fast: bool, absent: dict[str, Any] | None) -> Response:
        row = self._store.model(domain, name)
        if row is None:
            return nothing() if absent is None else json_answer(absent)
        detail = model_detail(row)
        if fast:
            return json_answer(detail)
        return ImageAnswer(self._store.image_path(row["image"]), detail["image"], detail, self._pool)

    def _image(self, domain: str, name: str, *, legacy: bool) -> Response:
        row = self._store.model(domain, name)
        if row is None:
            return json_answer(ABSENT_IMAGE) if legacy else nothing()
        image = model_detail(row)["image"]
        return ImageAnswer(self._store.image_path(row["image"]), image, None, self._pool)

    def _children(self, domain: str, name: str, *, legacy: bool) -> Response:
        row = self._store.model(domain, name)
        if row is None:
            return json_answer([]) if legacy else nothing()
        return json_text(self._store.children(row["id"]))


def _is_legacy(request: Request) -> bool:
    return "domain" in request.path_params
