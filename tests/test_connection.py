"""Opening a server from Python."""

from __future__ import annotations

import pytest

import mmsync
from mmsync.connection import Route


@pytest.mark.parametrize(
    "url",
    ["https://models.invalid/api", "https://10.0.0.7", "https://localhost.models.invalid", "https://[2001:db8::1]/"],
)
def test_unchecked_certificates_are_for_this_machine_alone(url):
    with (
        pytest.raises(mmsync.SettingsError, match="certificates go unchecked on this machine alone") as refused,
        mmsync.connect(url, "t0ken", route=Route(insecure=True)),
    ):
        pytest.fail("it was opened")
    assert "--cacert" in refused.value.hint
    assert "t0ken" not in str(refused.value)


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "https://localhost:1/api", "https://[::1]:1", "local:{folder}"])
def test_on_this_machine_they_may_go_unchecked(url, tmp_path):
    with mmsync.connect(url.format(folder=tmp_path / "models"), "t0ken", route=Route(insecure=True)) as connection:
        assert connection.client
