"""Watching: when to reconcile, for ever.

::

    events (hints, probe, coverage) ─► bell ─► loop ◄─ signals (wake), timer and retries (schedule)
                                                │
              looker ─► sights: manifest in force (inforce), files (scan), rest (settle), folders (roots)
                                                │
              round: contents ─► plan ─► choice ─► apply          teller ─► log, health, report, notify, service

Start with ``loop``. ``settle``, ``schedule`` and ``roots`` are pure: they are told the time and what was seen.
"""
