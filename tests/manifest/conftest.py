from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


class Folder:
    """A folder of manifests and model files; the working directory is elsewhere."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def manifest(self, text: str, name: str = "models.yaml") -> str:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    def model(self, name: str, content: bytes = b"model") -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "folder"
    home.mkdir()
    return Folder(home)
