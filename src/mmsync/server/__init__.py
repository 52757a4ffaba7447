"""The embedded Model Manager: a server over a folder, for laptops, tests and air-gapped machines.

It answers both generations of the REST contract (``/models…`` and ``/domains/{domain}/models…``) and really reviews
what it is given. Bytes live as files, metadata in SQLite; what was acknowledged survives a kill at any moment.
It shares no code with the client: the two meet on the wire only. The thread it runs in is ``mmsync.http_server``'s.
Where to look::

    run.py            start and stop: in a thread (``running``) or blocking, until a signal (``serve``)
    app.py            routes and generations;  endpoints.py  what each answers
    access.py         who may ask: the token, sessions of browsers, and where their requests come from
    ui.py             pages for a browser at /ui;  registry.py  what they show, a page of ten thousand models at a time
    responses.py      the answers and reading they share;  errors.py  a request that is answered with an error
    save.py           what a save may say;  schemas.py  rows as the contract's JSON, a server's settings
    upload.py         a body of any size to disk;  form_parser.py  its parts
    download.py       a model's bytes as base64 inside JSON, in constant memory
    store.py          SQLite and the image files; what start-up creates and clears away
    review.py         what an engine accepts, and the fields, category and output type a file declares

Importing this package is cheap: Starlette and uvicorn load when a server is started.
"""

from __future__ import annotations

from mmsync.server.run import Address, is_of_others, running, serve
from mmsync.server.schemas import Generation

__all__ = ["Address", "Generation", "is_of_others", "running", "serve"]
