"""The two clients: what a Model Manager offers, as methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from mmsync.client._endpoint import EndpointRenderer, LatestEndpointRenderer, LegacyEndpointRenderer
from mmsync.client._model_list import MAX_LIST_BYTES
from mmsync.client._writing import Writing
from mmsync.client.api import Api
from mmsync.client.downloader import get_default_downloader
from mmsync.client.error import EndpointNotFound

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from mmsync.client.auth import AuthCallable
    from mmsync.client.downloader import DownloaderCallable
    from mmsync.client.retry import RetryPolicy
    from mmsync.client.shapes import ModelDetail

__all__ = ["BaseClient", "Client", "LegacyClient"]


class BaseClient(Writing):
    """What both clients do; they differ in the addresses they ask.

    Safe in threads. A context manager, though forgetting to close one leaks nothing: idle connections are closed
    when it is collected.

    Args:
        auth: The authentication: one of `mmsync.client.auth`, or any callable that takes a request and returns it.
        endpoints_renderer: The addresses.
        downloader: Where downloaded files go; the current directory if None.
        pool_size: How many idle connections are kept. With at most as many threads, each uses one connection.
        retry: When requests are repeated; see `RetryPolicy` for what is done if None.
        max_list_bytes: The longest list of models that is read; a longer one is an error.
        kwargs: Keywords of ``requests.request`` for every request: ``timeout`` (30 s by default), ``verify``,
            ``proxies``, ``cert``, ``headers`` and so on. They win over the environment (``HTTPS_PROXY``,
            ``NO_PROXY``, ``REQUESTS_CA_BUNDLE``), which is read once. ``.netrc`` is never read.

    Raises:
        ModelManagerError: The address is not valid.

    Attributes:
        endpoints: The addresses.
        api: What sends the requests.
        downloader: Where downloaded files go.
    """

    def __init__(
        self,
        auth: AuthCallable,
        endpoints_renderer: EndpointRenderer,
        *,
        downloader: DownloaderCallable | None = None,
        pool_size: int = 32,
        retry: RetryPolicy | None = None,
        max_list_bytes: int = MAX_LIST_BYTES,
        **kwargs: Any,
    ) -> None:
        self.endpoints = endpoints_renderer
        self.api = Api(auth=auth, pool_size=pool_size, retry=retry, **kwargs)
        self.api.hints[404] = endpoints_renderer.wrong_generation
        self.downloader = downloader or get_default_downloader()
        self.max_list_bytes = max_list_bytes

    @property
    def url(self) -> str:
        """The server's address, without a trailing slash."""
        return self.endpoints.url

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


class Client(BaseClient):
    """A client of servers 2.4.0 and later, which take the domain from the token.

    Args:
        url: The server's address, such as ``https://HOST/mlmodelmanager``.
        auth: As for `BaseClient`, like all that follows.
        downloader: See there.
        pool_size: See there.
        retry: See there.
        max_list_bytes: See there.
        kwargs: See there.
    """

    def __init__(
        self,
        url: str,
        auth: AuthCallable,
        *,
        downloader: DownloaderCallable | None = None,
        pool_size: int = 32,
        retry: RetryPolicy | None = None,
        max_list_bytes: int = MAX_LIST_BYTES,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            auth,
            LatestEndpointRenderer(url),
            downloader=downloader,
            pool_size=pool_size,
            retry=retry,
            max_list_bytes=max_list_bytes,
            **kwargs,
        )


class LegacyClient(BaseClient):
    """A client of servers before 2.4.0, which must be told the domain.

    Args:
        url: The server's address.
        domain: The domain.
        auth: As for `BaseClient`, like all that follows.
        downloader: See there.
        pool_size: See there.
        retry: See there.
        max_list_bytes: See there.
        kwargs: See there.
    """

    def __init__(
        self,
        url: str,
        domain: str,
        auth: AuthCallable,
        *,
        downloader: DownloaderCallable | None = None,
        pool_size: int = 32,
        retry: RetryPolicy | None = None,
        max_list_bytes: int = MAX_LIST_BYTES,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            auth,
            LegacyEndpointRenderer(url, domain),
            downloader=downloader,
            pool_size=pool_size,
            retry=retry,
            max_list_bytes=max_list_bytes,
            **kwargs,
        )
        # Whether details are read at /fast: None until the server has shown whether it heeds ?fast=True.
        self._at_fast: bool | None = None

    def find_detail(self, name: str) -> ModelDetail | None:
        """Return one model with ``image`` as {id, size}; None where there is none of that name.

        The official client asks for ``?fast=True``; the published description knows only ``/fast``. A server that
        sends the bytes all the same is asked at ``/fast`` from then on.

        Raises:
            ModelManagerError: Any failure.
        """
        url = self.endpoints.model(name)
        if self._at_fast is None:
            detail, bytes_came = self._detail(name, url, {"fast": True}, stop_at_bytes=True)
            if not bytes_came:
                return detail
            self._at_fast = True
        if self._at_fast:
            try:
                return self._detail(name, f"{url}/fast", {})[0]
            except EndpointNotFound:
                self._at_fast = False
        return self._detail(name, url, {"fast": True})[0]

    def _is_missing(self, detail: dict[str, Any]) -> bool:
        return "id" in detail and detail["id"] is None
