"""The embedded Model Manager: a server over a folder, for laptops, tests and air-gapped machines.

It answers both generations of the REST contract (``/models…`` and ``/domains/{domain}/models…``) and really reviews
what it is given. Bytes live as files, metadata in SQLite; what was acknowledged survives a kill at any moment.
It shares no code with the client: the two meet on the wire only. Where to look::

    running.py    start and stop: in a thread (``running``) or blocking (``serve``);  listening.py  signals.py
    loop.py       uvicorn, told when to stop instead of looking every tenth of a second
    app.py        routes, generations, who may ask;  endpoints.py  what each answers
    save.py       what a save may say;  checks.py  its values one at a time;  shapes.py  rows as the contract's JSON
    upload.py     a body of any size to disk;  multipart.py  its parts;  incoming.py  the half-done file
    download.py   a model's bytes as base64 inside JSON, in constant memory
    store.py      SQLite and the image files;  connections.py;  folder.py  what start-up creates and clears away
    review/       what an engine accepts, and the fields, category and output type a file declares

Importing this package is cheap: Starlette and uvicorn load when a server is started.
"""

from __future__ import annotations

from mmsync.server.run import Address, Generation, running, serve

__all__ = ["Address", "Generation", "running", "serve"]
