"""What a client reads: the list, one model, a model's bytes."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from mmsync.client._answers import length_of, read_answer
from mmsync.client._download import FileTarget, fetch_detail, fetch_image
from mmsync.client._model_list import read_model_list
from mmsync.client.downloader import FileSystemDownloader
from mmsync.client.error import ModelNotFound, UnexpectedResponse
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmsync.client._download import Target
    from mmsync.client._endpoint import EndpointRenderer
    from mmsync.client.api import Api
    from mmsync.client.downloader import DownloaderCallable
    from mmsync.client.shapes import ImageContent, Model, ModelDetail

__all__ = ["Reading"]

# What a downloader of somebody's own is handed in memory at most, as base64.
_IN_MEMORY = 4 << 30
# Details up to this many bytes are read as a whole; longer ones may hold an image and are read as they come.
_SMALL = 1 << 20


class Reading:
    """The reading half of a client.

    Attributes:
        endpoints: The addresses.
        api: What sends the requests.
        downloader: Where downloaded files go.
        max_list_bytes: The longest list of models that is read.
    """

    endpoints: EndpointRenderer
    api: Api
    downloader: DownloaderCallable
    max_list_bytes: int

    def get_models(self) -> list[Model]:
        """Return every model the server lists, as it lists them; hidden ones are not among them.

        Raises:
            UnexpectedResponse: The answer is not a list of objects with a name each, or is longer than
                ``max_list_bytes``.
            ModelManagerError: Any other failure.
        """
        url = self.endpoints.models()
        return self.api.retry.run(lambda: read_model_list(self.api.request(url), self.max_list_bytes))

    def get_model(self, name: str, download_file: bool | None = None) -> dict[str, Any]:  # noqa: FBT001 - the official signature
        """Return one model, without ``image``.

        Args:
            name: Its name.
            download_file: Whether to hand its bytes to the downloader; ``file`` then says where they went.

        Raises:
            ModelNotFound: There is none of that name.
            ModelManagerError: Any other failure, an empty name among them, which sends nothing.
            ValueError: The bytes were asked for and the server has none, or no engine or name for them.
            OSError: The file cannot be written.
        """
        model = self._downloaded(name) if download_file else self.find_detail(name)
        if model is None:
            raise ModelNotFound(name)
        found = cast("dict[str, Any]", model)
        found.pop("image", None)
        return found

    def find_model(self, name: str, download_file: bool | None = None) -> dict[str, Any] | None:  # noqa: FBT001 - the official signature
        """Return what `get_model` returns, or None where there is no model of that name.

        Raises:
            ModelManagerError: As `get_model`, but for `ModelNotFound`.
            ValueError: As `get_model`.
            OSError: As `get_model`.
        """
        try:
            return self.get_model(name, download_file=download_file)
        except ModelNotFound:
            return None

    def find_detail(self, name: str) -> ModelDetail | None:
        """Return one model with ``image`` as {id, size}, never with its bytes; None where there is none of that name.

        Raises:
            ModelManagerError: Any failure.
        """
        detail, _ = self._detail(name, self.endpoints.model(name), {"fast": True})
        return detail

    def download_image(
        self, name: str, file: BinaryIO | None = None, *, on_progress: Callable[[int, int], object] | None = None
    ) -> ImageContent:
        """Read a model's bytes in constant memory and return what they are.

        Args:
            name: The model's name.
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

        Raises:
            UnexpectedResponse: It is no detail, or that of another model than asked for.
        """
        if not detail and not isinstance(detail, (bool, int, float)):
            return None
        if not isinstance(detail, dict):
            raise UnexpectedResponse(msg="The server's description of a model is not an object", status=200)
        if self._is_missing(detail):
            return None
        there = detail.get("name")
        if isinstance(there, str) and _normal(there) != _normal(name):
            asked, came = printable(name, 200), printable(there, 200)
            raise UnexpectedResponse(msg=f"The server was asked for '{asked}' and answered with '{came}'", status=200)
        return detail

    def _is_missing(self, detail: dict[str, Any]) -> bool:
        return "id" in detail and all(detail.get(key) is None for key in ("id", "name", "engine"))

    def _fetch(
        self, name: str, target: Target, on_progress: Callable[[int, int], object] | None = None
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


def _normal(name: str) -> str:
    """Return the name as any server may store it: composed, without white space around it."""
    return unicodedata.normalize("NFC", name).strip()
