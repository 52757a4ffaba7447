"""Quantities as people read them: bytes, durations and counts."""

from __future__ import annotations

_KILO = 1000
_UNITS = ("kB", "MB", "GB", "TB", "PB")
# From here on another digit is noise: 240 kB, but 24.0 kB.
_WHOLE = 99.95


def human_bytes(size: int) -> str:
    """Return ``size`` in decimal units (1 kB is 1,000 bytes) with about three digits.

    >>> human_bytes(999), human_bytes(3_421_000), human_bytes(240_406)
    ('999 B', '3.4 MB', '240 kB')
    """
    if size < _KILO:
        return f"{size} B"
    value = float(size)
    for unit in _UNITS:
        value /= _KILO
        if value < _KILO - 0.5 or unit == _UNITS[-1]:
            break
    return f"{value:.1f} {unit}" if value < _WHOLE else f"{value:,.0f} {unit}"


def human_seconds(seconds: float) -> str:
    """Return a duration in at most two units.

    >>> human_seconds(0.42), human_seconds(12.3), human_seconds(192), human_seconds(7384)
    ('0.4 s', '12 s', '3 min 12 s', '2 h 3 min')
    """
    if seconds < 9.95:  # noqa: PLR2004 - below ten seconds as it is shown, a tenth says something
        return f"{max(seconds, 0.0):.1f} s"
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole} s" if minutes else f"{whole} s"


def counted(number: int, noun: str) -> str:
    """Return a number and its noun.

    >>> counted(1, "model"), counted(12000, "model")
    ('1 model', '12,000 models')
    """
    return f"{number:,} {noun if number == 1 else noun + 's'}"
