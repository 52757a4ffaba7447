"""Doing: a plan × a client → outcomes, one per change."""

from mmsync.apply.outcome import Event, Finished, Outcome, Progress, Started

__all__ = ["Event", "Finished", "Outcome", "Progress", "Started"]
