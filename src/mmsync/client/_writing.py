"""What a client writes: uploads, saves and deletes, none of them done twice."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from mmsync.client._answers import read_answer
from mmsync.client._reading import Reading
from mmsync.client._upload import FileForm
from mmsync.client.error import (
    EndpointNotFound,
    ModelAlreadyExists,
    ModelManagerError,
    ModelNotFound,
    ModelRefused,
    TokenError,
    UnexpectedResponse,
)
from mmsync.client.shapes import save_body
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mmsync.client.shapes import ModelDetail, ModelReview

__all__ = ["Writing"]

# What the server works out from a model's bytes, and may leave out of a detail.
_DERIVED = frozenset({"outputType", "fields", "clusters", "category", "runtimeSize"})


class Writing(Reading):
    """The writing half of a client."""

    def add_model(
        self,
        name: str,
        engine: str,
        model_file: str | os.PathLike[str],
        description: str | None = None,
        force: bool | None = None,  # noqa: FBT001 - the official signature
        *,
        expected_sha256: str | None = None,
        unchanged_since: tuple[int, ...] | None = None,
        on_progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Make the server hold a file as the model ``name``.

        Args:
            name: The model's name.
            engine: The engine's code.
            model_file: The file; ``~`` is expanded.
            description: The text; None leaves that of an existing model.
            force: Whether an existing model may be replaced. Its id, ``hidden`` and ``parentId`` stay.
            expected_sha256: As for `upload_image`.
            unchanged_since: As for `upload_image`.
            on_progress: As for `upload_image`.

        Raises:
            ModelAlreadyExists: There is one of that name, and not ``force``; nothing was uploaded.
            ModelManagerError: Any other failure; see `upload_image` and `save_model`.
            OSError: The file cannot be read.
        """
        stored = self.find_detail(name)
        if stored and not force:
            raise ModelAlreadyExists(name)
        review = self.upload_image(
            engine,
            model_file,
            expected_sha256=expected_sha256,
            unchanged_since=unchanged_since,
            on_progress=on_progress,
        )
        body = save_body(name, engine, description, review, stored)
        try:
            self.save_model(body)
        except ModelManagerError as error:
            if stored or not force or isinstance(error, TokenError):
                raise
            # Somebody may have made a model of that name while the file was sent: then it is replaced, as was asked.
            stored = self.find_detail(name)
            if stored is None:
                raise
            if not _shows(stored, body):
                self.save_model(save_body(name, engine, description, review, stored))

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
            engine: The engine's code.
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
        with FileForm(
            os.path.expanduser(model_file),  # noqa: PTH111 - Path.expanduser raises where there is no home
            engine,
            expected_sha256=expected_sha256,
            unchanged_since=unchanged_since,
            on_progress=on_progress,
        ) as form:
            review = self.api.retry.run(lambda: self._uploaded(form))
        if not isinstance(review, dict):
            raise UnexpectedResponse(msg="The server's review of the file is not an object", status=200)
        if not review.get("valid"):
            why = printable(str(review.get("errorDetail") or ""), 500)
            raise ModelRefused(msg=why or "The server refused the file without saying why", status=200)
        size = review.get("size")
        if isinstance(size, int) and size != form.size:
            raise UnexpectedResponse(
                msg=f"The server's review is of a file of {size} bytes; the one sent has {form.size}", status=200
            )
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
            name: The model's name.
            description: The text.
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
                raise UnexpectedResponse(
                    msg=f"The server does not say the {what} of '{printable(name, 200)}'", status=200
                )
        review = {**stored, "imageId": image["id"], "size": image.get("size")}
        body = save_body(name, stored["engine"], description, review, stored)
        # What the server did not say is not overwritten with nothing.
        self.save_model({key: value for key, value in body.items() if key not in _DERIVED or key in stored})

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
            self.api.retry.run(lambda: self.api.delete(url) or True, lambda lost: self._deleted(name, lost))
        except EndpointNotFound as error:
            error.hint = "this server offers no deletion of models; delete it in the server's own interface"
            raise

    def _uploaded(self, form: FileForm) -> Any:
        response = self.api.request(self.endpoints.image_upload(), method="post", form=form)
        # An early refusal (a bad token, a file too large) says why; an early success cannot be one.
        if form.started and not form.complete and response.ok:
            response.close()
            raise UnexpectedResponse(
                msg="The server answered before it had the whole file", status=response.status_code
            )
        return read_answer(response)

    def _saved(self, body: dict[str, Any], lost: ModelManagerError) -> bool | None:
        """Return True if the model is there as it was sent, None if it may be sent again."""
        detail = self._read_back(str(body.get("name") or ""), lost)
        if detail is None:
            return None
        if _shows(detail, body):
            return True
        if body.get("id") is not None and _is_same(detail.get("id"), body["id"]):
            return None
        raise ModelAlreadyExists(str(body.get("name"))) from lost

    def _deleted(self, name: str, lost: ModelManagerError) -> bool | None:
        return True if self._read_back(name, lost) is None else None

    def _read_back(self, name: str, lost: ModelManagerError) -> Any:
        try:
            detail = self.find_detail(name)
        except ModelManagerError as unread:
            lost.hint = "the server could not be read afterwards: it may or may not have done what it was asked"
            raise lost from unread
        self.api.transport.close_idle()
        return detail


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
    """Whether two ids are one: a server may show as text what it takes as a number."""
    return there is not None and str(there) == str(sent)
