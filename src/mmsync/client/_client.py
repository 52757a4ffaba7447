"""The client: what a Model Manager offers, as methods. One class on one page, longer for that reason."""

from __future__ import annotations

import contextlib
import os
import unicodedata
from collections.abc import Callable, Mapping
from types import EllipsisType, TracebackType
from typing import Any, BinaryIO, NoReturn, Self, cast

from mmsync.client._download import FileTarget, fetch_detail, fetch_image
from mmsync.client._multipart import FileForm
from mmsync.client._responses import MAX_LIST_BYTES, length_of, read_answer, read_model_list
from mmsync.client.api import Api, EndpointRenderer, LatestEndpointRenderer, LegacyEndpointRenderer
from mmsync.client.auth import AuthCallable
from mmsync.client.downloader import DownloaderCallable, FileSystemDownloader, PartialFile, get_default_downloader
from mmsync.client.error import (
    EndpointNotFound,
    ModelAlreadyExists,
    ModelManagerError,
    ModelNotFound,
    ModelRefused,
    TokenError,
    UnexpectedResponse,
)
from mmsync.client.retry import RetryPolicy
from mmsync.client.types import DERIVED, ImageContent, Model, ModelDetail, ModelReview, save_body
from mmsync.printable import printable

# What a downloader of somebody's own is handed in memory at most, as base64.
_IN_MEMORY = 4 << 30
# Details up to this many bytes are read as a whole; longer ones may hold an image and are read as they come.
_SMALL = 1 << 20


class Client:
    """A client of servers 2.4.0 and later, which take the domain from the token.

    Safe in threads. A context manager, though forgetting to close one leaks nothing: idle connections are closed
    when it is collected.

    Args:
        url: The server's address, such as ``https://HOST/mlmodelmanager``.
        auth: The authentication: one of `mmsync.client.auth`, or any callable that takes a request and returns it.
        downloader: Where downloaded files go; the current directory if None.
        pool_size: How many idle connections are kept. With at most as many threads, each uses one connection.
        retry: When requests are repeated; see `RetryPolicy` for what is done if None.
        max_list_bytes: The longest list of models that is read; a longer one is an error.
        sources: Who gave ``verify``, ``cert`` and ``proxies``, by these names, for messages; themselves if None.
        kwargs: Keywords of ``requests.request`` for every request: ``timeout`` (30 s by default), ``verify``,
            ``proxies``, ``cert``, ``headers`` and so on. They win over the environment (``HTTPS_PROXY``,
            ``NO_PROXY``, ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``, ``SSL_CERT_FILE``, ``SSL_CERT_DIR``), which is
            read once. ``verify`` is True, or a file or folder of certificates to trust in place of the system's;
            ``cert`` a file with the client's certificate and key, or a pair of files. ``.netrc`` is never read.

    Raises:
        ModelManagerError: The address is not valid.

    Attributes:
        endpoints: The addresses of the server.
        api: What sends the requests.
    """

    endpoints: EndpointRenderer
    # What is null in an answer for a model that is not there, its id always being said.
    _empty_if_missing: tuple[str, ...] = ("id", "name", "engine")

    def __init__(
        self,
        url: str,
        auth: AuthCallable,
        *,
        downloader: DownloaderCallable | None = None,
        pool_size: int = 32,
        retry: RetryPolicy | None = None,
        max_list_bytes: int = MAX_LIST_BYTES,
        sources: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.endpoints = LatestEndpointRenderer(url)
        self.api = Api(auth=auth, pool_size=pool_size, retry=retry, sources=sources, **kwargs)
        self.api.hints[404] = self.endpoints.wrong_generation
        self.downloader = downloader or get_default_downloader()
        self.max_list_bytes = max_list_bytes

    @property
    def url(self) -> str:
        """The server's address, without a trailing slash."""
        return self.endpoints.url

    def get_models(self) -> list[Model]:
        """Return every model the server lists, as it lists them; hidden ones are not among them.

        Raises:
            UnexpectedResponse: It is no list of objects with a name each, or is longer than ``max_list_bytes``.
            ModelManagerError: Any other failure.
        """
        url = self.endpoints.models()
        return self.api.retry.run(lambda: read_model_list(self.api.request(url), self.max_list_bytes))

    def get_model(self, name: str, download_file: bool | None = None) -> dict[str, Any]:  # noqa: FBT001 - the official signature
        """Return one model, without ``image``.

        Args:
            download_file: Whether to hand its bytes to the downloader; ``file`` then says where they went.

        Raises:
            ModelNotFound: There is none of that name.
            ModelManagerError: Any other failure, an empty name among them, which sends nothing.
            ValueError: The bytes were asked for and the server has none, or no engine or name for them.
            OSError: The file cannot be written.
        """
        model = cast("dict[str, Any] | None", self._downloaded(name) if download_file else self.find_detail(name))
        if model is None:
            raise ModelNotFound(name)
        model.pop("image", None)
        return model

    def find_model(self, name: str, download_file: bool | None = None) -> dict[str, Any] | None:  # noqa: FBT001 - the official signature
        """Return what `get_model` returns, or None where there is no model of that name.

        Raises:
            ModelManagerError, ValueError, OSError: As `get_model`, but for `ModelNotFound`.
        """
        with contextlib.suppress(ModelNotFound):
            return self.get_model(name, download_file=download_file)
        return None

    def find_detail(self, name: str) -> ModelDetail | None:
        """Return one model with ``image`` as {id, size}, never with its bytes; None where there is none of that name.

        Raises:
            ModelManagerError: Any failure.
        """
        return self._detail(name, self.endpoints.model(name), {"fast": True})[0]

    def download_image(
        self, name: str, file: BinaryIO | None = None, *, on_progress: Callable[[int, int], object] | None = None
    ) -> ImageContent:
        """Read a model's bytes in constant memory and return what they are.

        Args:
            file: Gets the bytes if given: a file opened for writing in binary mode. After a broken connection it
                is cut back to where it stood and written again; one that cannot seek makes that an error.
            on_progress: Called with (bytes done, bytes in all or an estimate of it). What it raises ends the
                download and comes out unchanged.

        Raises:
            ModelNotFound: There is no model of that name.
            UnexpectedResponse: The server has no bytes for it, or sends what is not base64 or not as long as it says.
            ModelManagerError: Any other failure.
            OSError: ``file`` cannot be written.
        """
        detail, content = self._fetch(name, FileTarget(file), on_progress)
        if detail is None:
            raise ModelNotFound(name)
        if content is None:
            raise UnexpectedResponse(msg=f"The server has no bytes for '{printable(name, 200)}'", status=200)
        return content

    def add_model(
        self,
        name: str,
        engine: str,
        model_file: str | os.PathLike[str],
        description: str | None = None,
        force: bool | None = None,  # noqa: FBT001 - the official signature
        *,
        detail: ModelDetail | EllipsisType | None = ...,
        before_save: Callable[[ModelReview, ModelDetail | None], ModelDetail | None] | None = None,
        expected_sha256: str | None = None,
        unchanged_since: tuple[int, ...] | None = None,
        on_progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Make the server hold a file as the model ``name``.

        Args:
            model_file: The file; ``~`` is expanded.
            description: The text; None leaves that of an existing model.
            force: Whether an existing model may be replaced. Its id, ``hidden`` and ``parentId`` stay.
            detail: The model as `find_detail` returned it a moment ago, None for none; read here if left out.
            before_save: Called with the server's review of the file and ``detail``, after the upload and before
                anything changes; returns the model to be saved over, None for none. What it raises ends the call with
                nothing changed and comes out as it is. With it, a model that somebody else has made meanwhile is not
                replaced.
            expected_sha256, unchanged_since, on_progress: As for `upload_image`.

        Raises:
            ModelAlreadyExists: There is one of that name, and not ``force``; nothing was uploaded. With
                ``before_save``, also where one was made meanwhile.
            ModelManagerError: Any other failure; see `upload_image` and `save_model`.
            OSError: The file cannot be read.
        """
        stored = self.find_detail(name) if isinstance(detail, EllipsisType) else detail
        if stored and not force:
            raise ModelAlreadyExists(name)
        review = self.upload_image(
            engine,
            model_file,
            expected_sha256=expected_sha256,
            unchanged_since=unchanged_since,
            on_progress=on_progress,
        )
        if before_save is not None:
            stored = before_save(review, stored)
        body = save_body(name, engine, description, review, stored)
        try:
            self.save_model(body)
        except ModelManagerError as error:
            # An update that is refused has failed; a page in place of the answer says nothing of what was done. Where
            # a model was to be created, somebody may have made one of that name while the file was sent.
            if isinstance(error, TokenError) or ((stored or not force) and not isinstance(error, UnexpectedResponse)):
                raise
            now = None
            with contextlib.suppress(ModelManagerError):
                now = self.find_detail(name)
            if now is None:
                raise
            if _shows(now, body) or _is_same((now.get("image") or {}).get("id"), review.get("imageId")):
                return
            if stored or not force:
                raise
            if before_save is not None:
                raise ModelAlreadyExists(name) from error
            self.save_model(save_body(name, engine, description, review, now))

    def upload_image(
        self,
        engine: str,
        model_file: str | os.PathLike[str],
        *,
        expected_sha256: str | None = None,
        unchanged_since: tuple[int, ...] | None = None,
        on_progress: Callable[[int, int], object] | None = None,
    ) -> ModelReview:
        """Send a file for review, in constant memory, and return the review. No model changes by this.

        The last bytes are held back until the file has proved not to have changed meanwhile, and, where a digest is
        expected, to have that digest: it is hashed while it is sent. Otherwise the server never has a complete request.

        Args:
            model_file: The file; ``~`` is expanded.
            expected_sha256: The digest it must have, in hex; None takes it as it is.
            unchanged_since: ``(st_dev, st_ino, st_size, st_mtime_ns, st_ctime_ns)`` it must have at the start; the
                first two alone say that it must be the very file.
            on_progress: Called with (bytes done, bytes in all) before each part is sent. What it raises ends the
                request before its last bytes and comes out unchanged.

        Raises:
            FileChanged: The file is not the one expected, or changed while it was sent.
            ModelRefused: The server says it is not valid.
            UnknownEngine: The server knows no such engine.
            ModelManagerError: Any other failure.
            OSError: The file cannot be read.
        """
        form = FileForm(
            os.path.expanduser(model_file),  # noqa: PTH111 - Path.expanduser raises where there is no home
            engine,
            expected_sha256=expected_sha256,
            unchanged_since=unchanged_since,
            on_progress=on_progress,
        )
        with contextlib.closing(form):

            def attempt() -> Any:
                response = self.api.request(self.endpoints.image_upload(), method="post", form=form)
                # An early refusal (a bad token, a file too large) says why; an early success cannot be one.
                if form.started and not form.complete and response.ok:
                    response.close()
                    what = "The server answered before it had the whole file"
                    raise UnexpectedResponse(msg=what, status=response.status_code)
                return read_answer(response)

            review = self.api.retry.run(attempt)
        if not isinstance(review, dict):
            raise UnexpectedResponse(msg="The server's review of the file is not an object", status=200)
        if not review.get("valid"):
            why = printable(str(review.get("errorDetail") or ""), 500)
            raise ModelRefused(msg=why or "The server refused the file without saying why", status=200)
        if isinstance(size := review.get("size"), int) and size != form.size:
            what = f"The server's review is of a file of {size} bytes; the one sent has {form.size}"
            raise UnexpectedResponse(msg=what, status=200)
        return cast("ModelReview", review)

    def save_model(self, body: ModelDetail | dict[str, Any]) -> None:
        """Create or update a model: the moment at which a change becomes visible.

        If the answer is lost, the server is read before anything is sent again; if the model is there as it was
        to be saved, all is well.

        Args:
            body: What `save_body` makes; with an ``id`` it updates, without one it creates.

        Raises:
            ModelAlreadyExists: The answer to a create was lost, and the model there is not the one sent.
            ModelManagerError: Any other failure; a `TransportError` whose ``sent`` is true leaves open whether the
                model was saved.
        """
        url = self.endpoints.models()
        self.api.retry.run(lambda: self.api.post(url, json=body), lambda lost: self._saved(dict(body), lost))

    def update_description(self, name: str, description: str, *, detail: ModelDetail | None = None) -> None:
        """Change nothing but the text: the stored model is saved again with its image's id; nothing is uploaded.

        Args:
            detail: The model as `find_detail` returned it a moment ago; read again if None.

        Raises:
            ModelNotFound: There is no model of that name.
            UnexpectedResponse: The server does not say the image's id or the engine, which would be lost.
            ModelManagerError: Any other failure; see `save_model`.
        """
        stored = detail or self.find_detail(name)
        if stored is None:
            raise ModelNotFound(name)
        image = stored.get("image") or {}
        for what, said in (("image id", image.get("id")), ("engine", stored.get("engine"))):
            if said is None:
                shown = printable(name, 200)
                raise UnexpectedResponse(msg=f"The server does not say the {what} of '{shown}'", status=200)
        review = {**stored, "imageId": image["id"], "size": image.get("size")}
        body = save_body(name, stored["engine"], description, review, stored)
        # What the server did not say is not overwritten with nothing.
        self.save_model({key: value for key, value in body.items() if key not in DERIVED or key in stored})

    def delete_model(self, name: str) -> None:
        """Delete a model. Some servers offer no such request.

        Raises:
            ModelNotFound: There is no model of that name.
            EndpointNotFound: The server does not delete models.
            ModelManagerError: Any other failure.
        """
        url = self.endpoints.model(name)
        # Servers differ in what they answer for a model that is not there.
        if self.find_detail(name) is None:
            raise ModelNotFound(name)
        try:
            self.api.retry.run(
                lambda: self.api.delete(url) or True, lambda lost: True if self._read_back(name, lost) is None else None
            )
        except EndpointNotFound as error:
            error.hint = "this server offers no deletion of models; delete it in the server's own interface"
            raise

    def _detail(
        self, name: str, url: str, params: dict[str, Any], *, stop_at_bytes: bool = False
    ) -> tuple[ModelDetail | None, bool]:
        """Return the detail at ``url`` without its bytes, and whether the server sent them all the same."""

        def attempt() -> tuple[Any, bool]:
            response = self.api.request(url, params=params)
            if 0 < length_of(response) <= _SMALL:
                detail = read_answer(response)
                image = detail.get("image") if isinstance(detail, dict) else None
                return detail, bool(isinstance(image, dict) and image.get("image"))
            return fetch_detail(response, stop_at_bytes=stop_at_bytes)

        detail, bytes_came = self.api.retry.run(attempt)
        detail = self._checked(detail, name)
        if detail is not None and isinstance(detail.get("image"), dict):
            detail["image"].pop("image", None)
        return detail, bytes_came

    def _checked(self, detail: Any, name: str) -> Any:
        """Return a detail, or None for what the server sends in place of a missing model.

        Raises `UnexpectedResponse` if it is no detail, or that of another model than asked for.
        """
        if not detail and not isinstance(detail, (bool, int, float)):
            return None
        if not isinstance(detail, dict):
            raise UnexpectedResponse(msg="The server's description of a model is not an object", status=200)
        if "id" in detail and all(detail.get(key) is None for key in self._empty_if_missing):
            return None
        there = detail.get("name")
        # A server may store a name composed, and without the white space around it.
        if isinstance(there, str) and len({unicodedata.normalize("NFC", each).strip() for each in (there, name)}) > 1:
            asked, came = printable(name, 200), printable(there, 200)
            raise UnexpectedResponse(msg=f"The server was asked for '{asked}' and answered with '{came}'", status=200)
        return detail

    def _fetch(
        self, name: str, target: FileTarget | PartialFile, on_progress: Callable[[int, int], object] | None = None
    ) -> tuple[Any, ImageContent | None]:
        """Return the detail, None if missing, and what its bytes were, which went to ``target``."""
        url = self.endpoints.model(name)
        # Base64 hardly compresses: it would cost both sides more time than it saves on the way.
        headers = {"Accept-Encoding": "identity", **(self.api.request_options.get("headers") or {})}
        began = False

        def attempt() -> tuple[Any, ImageContent | None]:
            nonlocal began
            if began and not target.rewind():
                raise UnexpectedResponse(msg="The download broke off, and what it was written to cannot be rewound")
            response = self.api.request(url, params={"fast": False}, headers=headers)
            began = True
            return fetch_image(response, target, on_progress, size_of)

        def size_of() -> object:
            return ((self.find_detail(name) or {}).get("image") or {}).get("size")

        detail, content = self.api.retry.run(attempt)
        return self._checked(detail, name), content

    def _downloaded(self, name: str) -> Any:
        """Return the detail with ``file`` set to where the downloader put the bytes; None if missing."""
        downloader = self.downloader
        # A subclass that does its own writing is a downloader like any other.
        if isinstance(downloader, FileSystemDownloader) and type(downloader).__call__ is FileSystemDownloader.__call__:
            with downloader.open() as file:
                model, content = self._fetch(name, file)
                if model is not None:
                    model["file"] = file.keep(model) if content and content.size else downloader(model)
            return model
        url = self.endpoints.model(name)
        answer = self.api.retry.run(lambda: read_answer(self.api.request(url, params={"fast": False}), _IN_MEMORY))
        model = self._checked(answer, name)
        if model is not None:
            model["file"] = downloader(model)
        return model

    def _saved(self, body: dict[str, Any], lost: ModelManagerError) -> bool | None:
        """Return True if the model is there as it was sent, None if it may be sent again."""
        detail = self._read_back(str(body.get("name") or ""), lost)
        if detail is not None and _shows(detail, body):
            return True
        if detail is None or (body.get("id") is not None and _is_same(detail.get("id"), body["id"])):
            return None
        raise ModelAlreadyExists(str(body.get("name"))) from lost

    def _read_back(self, name: str, lost: ModelManagerError) -> Any:
        try:
            detail = self.find_detail(name)
        except ModelManagerError as unread:
            lost.hint = "the server could not be read afterwards: it may or may not have done what it was asked"
            raise lost from unread
        self.api.transport.close_idle()
        return detail

    def close(self) -> None:
        """Close idle connections."""
        self.api.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} holds a token and open connections: make one in each process")


class LegacyClient(Client):
    """A client of servers before 2.4.0, which must be told the domain; further keywords are those of `Client`."""

    _empty_if_missing = ("id",)

    def __init__(
        self, url: str, domain: str, auth: AuthCallable, *, downloader: DownloaderCallable | None = None, **kwargs: Any
    ) -> None:
        super().__init__(url, auth, downloader=downloader, **kwargs)
        self.endpoints = LegacyEndpointRenderer(url, domain)
        self.api.hints[404] = self.endpoints.wrong_generation
        # Whether details are read at /fast: None until the server has shown whether it heeds ?fast=True.
        self._at_fast: bool | None = None

    def find_detail(self, name: str) -> ModelDetail | None:
        """Return one model with ``image`` as {id, size}; None where there is none of that name.

        The official client asks for ``?fast=True``; the published description knows only ``/fast``. A server that
        sends the bytes all the same is asked at ``/fast`` from then on.
        """
        url = self.endpoints.model(name)
        if self._at_fast is None:
            detail, bytes_came = self._detail(name, url, {"fast": True}, stop_at_bytes=True)
            if not bytes_came:
                return detail
            self._at_fast = True
        if self._at_fast:
            with contextlib.suppress(EndpointNotFound):
                return self._detail(name, f"{url}/fast", {})[0]
            self._at_fast = False
        return self._detail(name, url, {"fast": True})[0]


def _shows(detail: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Return whether a model read back is the one that was sent."""
    engines = [str(side.get("engine") or "").casefold() for side in (detail, body)]
    if engines[0] != engines[1] or (detail.get("description") or "") != (body.get("description") or ""):
        return False
    there, sent = detail.get("image") or {}, body.get("image") or {}
    if there.get("id") is not None or body.get("id") is not None:
        # Each upload has its own id, so an equal one is proof; without it an update cannot be told from its forerunner.
        return _is_same(there.get("id"), sent.get("id"))
    return bool(there.get("size") is None or there.get("size") == sent.get("size"))


def _is_same(there: Any, sent: Any) -> bool:
    """Return whether two ids are one: a server may show as text what it takes as a number."""
    return there is not None and str(there) == str(sent)
