"""Clients for tests: quick to repeat, never waiting for real."""

from __future__ import annotations

from dataclasses import dataclass, field

from mmsync.client import Client, LegacyClient, RetryPolicy
from mmsync.client.auth import HttpDevoStandAloneTokenAuth

TOKEN = "s3cr3t-t0ken"


@dataclass
class Clock:
    """Time that passes only by sleeping."""

    time: float = 1_000_000.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def policy(self, **settings) -> RetryPolicy:
        return RetryPolicy(
            sleep=self.sleep, monotonic=lambda: self.time, now=lambda: self.time, random=lambda: 1.0, **settings
        )


def client_of(url: str, token: str = TOKEN, **settings) -> Client:
    settings.setdefault("retry", Clock().policy())
    settings.setdefault("timeout", 10)
    return Client(url, HttpDevoStandAloneTokenAuth(token), **settings)


def legacy_of(url: str, domain: str = "self", token: str = TOKEN, **settings) -> LegacyClient:
    settings.setdefault("retry", Clock().policy())
    settings.setdefault("timeout", 10)
    return LegacyClient(url, domain, HttpDevoStandAloneTokenAuth(token), **settings)
