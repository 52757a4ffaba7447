"""A client library for Devo's ML Model Manager, a drop-in for the official one.

``from devo_ml.modelmanager import Client`` becomes ``from mmsync.client import Client``; the modules ``api``,
``auth``, ``downloader``, ``engines``, ``error``, ``profile`` and ``validator`` keep their names as well.
"""

import importlib
from typing import TYPE_CHECKING

from mmsync.client._client import Client, LegacyClient
from mmsync.client.error import ModelManagerError
from mmsync.client.retry import RetryPolicy
from mmsync.client.types import ImageContent, Model, ModelDetail, ModelReview, save_body
from mmsync.client.validator import normalise_url

if TYPE_CHECKING:
    from mmsync.client._func_facade import (
        add_model,
        create_client_from_profile,
        create_client_from_token,
        find_model,
        get_model,
        get_models,
    )

__all__ = [
    "Client",
    "ImageContent",
    "LegacyClient",
    "Model",
    "ModelDetail",
    "ModelManagerError",
    "ModelReview",
    "RetryPolicy",
    "add_model",
    "create_client_from_profile",
    "create_client_from_token",
    "find_model",
    "get_model",
    "get_models",
    "normalise_url",
    "save_body",
]


def __getattr__(name: str) -> object:
    # The functions are loaded when they are asked for, with the reader of profiles that they need and a client does not.
    if name == "profile":
        return importlib.import_module("mmsync.client.profile")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module("mmsync.client._func_facade"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
