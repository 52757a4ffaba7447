"""A client library for Devo's ML Model Manager, a drop-in for the official one.

``from devo_ml.modelmanager import Client`` becomes ``from mmsync.client import Client``; the modules ``api``,
``auth``, ``downloader``, ``engines``, ``error``, ``profile`` and ``validator`` keep their names as well.
"""

from mmsync.client._client import Client, LegacyClient
from mmsync.client._func_facade import (
    add_model,
    create_client_from_profile,
    create_client_from_token,
    find_model,
    get_model,
    get_models,
)
from mmsync.client.error import ModelManagerError
from mmsync.client.retry import RetryPolicy
from mmsync.client.types import ImageContent, Model, ModelDetail, ModelReview, save_body
from mmsync.client.validator import normalise_url

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
