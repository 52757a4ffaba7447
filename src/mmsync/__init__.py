"""GitOps for machine-learning models."""

from mmsync._version import __version__

__all__ = ["__version__"]
