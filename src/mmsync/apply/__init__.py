"""Doing: a plan × a client → outcomes, one per change."""

from mmsync.apply.outcome import Downloads, Event, Finished, Outcome, Progress, Started

__all__ = ["Downloads", "Event", "Finished", "Outcome", "Progress", "Started"]
