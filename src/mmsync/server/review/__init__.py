"""What an engine accepts, and what a file of it declares.

Each engine has a module that opens the file, reads what it must and no more, and either raises `Unfit` or returns
what it found. Nothing is executed, nothing unpacked to disk, and no file however large is held in memory.
"""

from __future__ import annotations

from mmsync.server.review.engines import require_engine, review
from mmsync.server.review.found import Field, Review, Unfit

__all__ = ["Field", "Review", "Unfit", "require_engine", "review"]
