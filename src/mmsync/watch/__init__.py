"""Watching: when to reconcile, for ever.

::

    events (event_source) ─► Trigger (control) ─► watcher ◄─ signals (control), timer and retries (retry)
                                                     │
           scanner ─► current_manifest, settle, roots, symlinks
                                                     │
           reconciler ─► change_filter, the reconcile of the command line
           reporting ─► log, conditions, hook, systemd

Start with ``watcher``. ``settle``, ``change_filter``, ``retry`` and ``roots`` are pure: told the time and what was seen.
"""
