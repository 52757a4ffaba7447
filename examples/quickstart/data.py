"""Deterministic data for the example models: domain names and logins, made from a seed and nothing else."""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import numpy as np

WORDS = (  # noqa: SIM905 - a hundred words read better in lines than in quotes
    "account alpine amber anchor apple atlas bakery beacon berry bird blue book bridge bright cargo castle cedar city "
    "cloud coffee coral craft crystal daily delta dream eagle early east energy family farm field fire forest fresh "
    "garden global golden grand green harbor health hill home honey island iron jade kitchen lake language lemon light "
    "little maple market media metro mint modern moon mountain music nature night north ocean olive online orange "
    "paper park pearl phone pixel planet player power prime quiet radio rain river road rock rose school sea secure "
    "shop silver simple sky smart snow solar sound south spring star stone story studio summer sun table tech tiger "
    "trade travel tree union urban valley video village violet water wave west white wild wind winter wood world yellow"
).split()
VOWELS = frozenset("aeiou")
DOMAIN_FIELDS = ("length", "entropy", "vowel_ratio", "digit_ratio", "consonant_run", "distinct_ratio")
# Shares of the benign names with a year or hyphens, of the generated ones with digits, and of the logins that are bad.
YEARS, HYPHENS, DIGITS, INTRUDERS = 0.15, 0.2, 0.5, 0.1
LOGIN_FIELDS = ("hour", "failures", "distance_km", "new_device", "session_minutes", "megabytes_out")


class Table(NamedTuple):
    """Rows of numbers, one column a field; ``labels`` are 0 or 1, 1 the suspicious class."""

    fields: tuple[str, ...]
    rows: np.ndarray
    labels: np.ndarray


def domain_features(name: str) -> list[float]:
    """Describe a domain name without its suffix by the six figures of ``DOMAIN_FIELDS``.

    Args:
        name: The part to judge, for example ``coffee-market``; not empty.

    Returns:
        Length in characters, Shannon entropy in bits a character, the shares of vowels and of digits, the longest
        run of consonants, and the share of characters that are distinct.
    """
    counts = Counter(name)
    size = len(name)
    entropy = -sum(count / size * math.log2(count / size) for count in counts.values())
    run = longest = 0
    for letter in name:
        run = run + 1 if letter.isalpha() and letter not in VOWELS else 0
        longest = max(longest, run)
    vowels = sum(counts[vowel] for vowel in VOWELS)
    digits = sum(letter.isdigit() for letter in name)
    return [float(size), entropy, vowels / size, digits / size, float(longest), len(counts) / size]


def domains(count: int = 3000, seed: int = 7) -> Table:
    """Make ``count`` domain names, half put together from words and half as malware generates them."""
    random = np.random.default_rng(seed)
    names: list[str] = []
    for index in range(count):
        if index % 2 == 0:
            words = random.choice(WORDS, size=random.integers(1, 4))
            year = str(random.integers(1, 100)) if random.random() < YEARS else ""
            names.append(("-" if random.random() < HYPHENS else "").join(words) + year)
        else:
            alphabet = "abcdefghijklmnopqrstuvwxyz" + ("0123456789" if random.random() < DIGITS else "")
            names.append("".join(random.choice(list(alphabet), size=random.integers(7, 25))))
    labels = np.arange(count) % 2
    return Table(DOMAIN_FIELDS, np.array([domain_features(name) for name in names], dtype=np.float32), labels)


def logins(count: int = 3000, seed: int = 11) -> Table:
    """Make ``count`` logins, one in ten an intruder's: far off, at night, on a new device, after failures."""
    random = np.random.default_rng(seed)
    labels = (random.random(count) < INTRUDERS).astype(np.int64)
    bad = labels == 1
    rows = np.column_stack(
        [
            np.where(bad, random.normal(4, 5, count), random.normal(13, 3.5, count)) % 24,
            random.poisson(np.where(bad, 2.0, 0.4)),
            np.where(bad, random.gamma(1, 900, count), random.gamma(0.5, 120, count)),
            random.random(count) < np.where(bad, 0.6, 0.08),
            np.where(bad, random.gamma(2, 20, count), random.gamma(3, 35, count)),
            np.where(bad, random.gamma(1, 150, count), random.gamma(2, 20, count)),
        ]
    )
    return Table(LOGIN_FIELDS, rows.round(2).astype(np.float32), labels)
