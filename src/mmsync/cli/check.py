"""``mmsync check``: which server is meant, who says so, and whether it can be worked with. Writes nothing."""

from __future__ import annotations

import contextlib
import json
import sys
import textwrap
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from mmsync.cli import options as opt
from mmsync.cli.errors import ExitCode, print_error
from mmsync.cli.options import ManifestOptions
from mmsync.cli.output import answer, warn
from mmsync.cli.settings import ServerOptions, cache_folder, open_ledger, resolve
from mmsync.printable import masked_url, printable
from mmsync.quantities import counted

if TYPE_CHECKING:
    from mmsync.client import Client, ModelManagerError
    from mmsync.connection import Target
    from mmsync.types import ServerName

_EXAMPLES = """\b
Examples:
  mmsync check --profile production
  mmsync check -f models.yaml --format json | jq -r .ok
"""


@dataclass(slots=True)
class Report:
    """The answers of one check; None is what could not be found out."""

    server: dict[str, str | None]  # url and domain
    origins: dict[str, str]  # who gave each setting
    auth_type: str
    generation: str
    token: str = "not known"  # noqa: S105 - accepted, refused, not needed or not known; never any of the token
    models: int | None = None
    domains: list[str] = field(default_factory=list)  # those that the listed models say they are in
    may_write: str = "not known"  # or ``no``, ``probably``
    may_write_why: str = "the server could not be asked"
    trust: str | None = None  # what certificates are checked against; None for http
    certificate: dict[str, str] | None = None  # issuer and expires
    proxy: str | None = None
    ledger: dict[str, Any] | None = None  # path, last_written and models of this server
    error: dict[str, str] | None = None

    @property
    def ok(self) -> bool:
        """Return whether the server can be worked with, as far as is known."""
        return self.error is None and self.may_write != "no"


@click.command(epilog=_EXAMPLES)
@opt.manifest_options
@opt.format_option("text", "json")
@opt.server_options
def check(manifest: ManifestOptions, server: ServerOptions, *, output_format: str) -> int:
    """Say which server is meant, who says so, and whether it can be worked with; change nothing.

    The server is asked for its list of models, and whether it refuses an upload that holds no file, which nothing can
    be stored of. Exit 0 if all is well, 1 if not.
    """
    from mmsync.cli.list_ import room_for  # noqa: PLC0415 - what follows loads HTTP: not for --help
    from mmsync.cli.session import manifest_if_any  # noqa: PLC0415 - see above

    given = server.with_token()
    read = manifest_if_any(manifest)
    target = resolve(given, read.server if read else None)
    found, error = _examine(target)
    if output_format == "json":
        answer(json.dumps({"format_version": "1", "ok": found.ok, **asdict(found)}, indent=2) + "\n")
    else:
        answer(render(found, room_for(sys.stdout) or 100))
    if error is not None:
        print_error(error)
    return ExitCode.DONE if found.ok else ExitCode.FAILURE


def _examine(target: Target) -> tuple[Report, ModelManagerError | None]:
    """Return what can be found out of the server, and the error that ended it."""
    from mmsync.client.error import EndpointNotFound, ModelManagerError, TokenError  # noqa: PLC0415 - see above
    from mmsync.connection import LOCAL, open_client  # noqa: PLC0415 - see above

    found = Report(
        server={"url": masked_url(target.url), "domain": target.domain},
        origins={name: printable(origin) for name, origin in {**target.origins, **dict(target.route.sources)}.items()},
        auth_type=target.auth_type,
        generation="older than 2.4.0 (LegacyClient)" if target.domain else "2.4.0 or later (Client)",
    )
    try:
        with open_client(target, jobs=1, warn=warn, if_missing="refuse") as (client, name):
            found.ledger = _ledger(name)
            if not target.url.startswith(LOCAL):
                _describe_route(client, found)
            try:
                models = client.get_models()
            finally:
                _describe_certificate(client, found)
            found.token = "not needed" if target.url.startswith(LOCAL) else "accepted"
            found.models = len(models)
            found.domains = sorted({printable(str(row["domainName"]), 60) for row in models if row.get("domainName")})
            found.may_write, found.may_write_why = _may_write(client)
    except ModelManagerError as error:
        error.add_note(target.url)
        if isinstance(error, TokenError) or error.status in (401, 403):
            found.token = "refused"  # noqa: S105 - see above
        elif isinstance(error, EndpointNotFound) and target.domain and _answers(replace(target, domain=None)):
            error.hint = "without the domain it answers: it is 2.4.0 or later; leave out --domain"
        found.error = {"message": printable(error.msg or str(error), 1000), "hint": printable(error.hint, 1000)}
        return found, error
    return found, None


def _answers(target: Target) -> bool:
    from mmsync.client.error import ModelManagerError  # noqa: PLC0415 - as in _examine
    from mmsync.connection import open_client  # noqa: PLC0415 - as in _examine

    with contextlib.suppress(ModelManagerError), open_client(target, jobs=1, warn=warn) as (client, _):
        client.get_models()
        return True
    return False


_REFUSED = frozenset({401, 403})
_INCOMPLETE = frozenset({400, 415, 422})


def _may_write(client: Client) -> tuple[str, str]:
    """Ask for an upload that holds neither file nor engine: nothing can be stored of it, and no model changes.

    Only a refusal proves something: a server may look at the request before it looks at who sends it.
    """
    from mmsync.client.error import ModelManagerError  # noqa: PLC0415 - as in _examine

    headers = {"Content-Type": "multipart/form-data; boundary=mmsync"}
    try:
        response = client.api.request(
            client.endpoints.image_upload(), method="post", data=b"--mmsync--\r\n", headers=headers
        )
        response.close()
    except ModelManagerError as error:
        if error.status in _REFUSED:
            return "no", f"HTTP {error.status} to an upload without a file"
        if error.status in _INCOMPLETE:
            return "probably", f"an upload without a file got HTTP {error.status}, and not that the token may not"
        said = f"HTTP {error.status} to an upload without a file" if error.status else printable(error.msg, 200)
        return "not known", said
    return "not known", f"HTTP {response.status_code} to an upload without a file"


def _describe_route(client: Client, found: Report) -> None:
    url = client.endpoints.models()
    route = client.api.transport.route_to(url, client.api.build_request_options())
    found.proxy = route.proxy or None
    if url.lower().startswith("https:"):
        found.trust = route.tls.trusted


def _describe_certificate(client: Client, found: Report) -> None:
    certificate = client.api.transport.session.adapter.certificate()
    if not certificate:
        return
    import ssl  # noqa: PLC0415 - loaded by whoever had the certificate

    names = {key: value for group in certificate.get("issuer", ()) for key, value in group}
    issuer = ", ".join(names[key] for key in ("commonName", "organizationName") if key in names)
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    found.certificate = {"issuer": printable(issuer) or "not named", "expires": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}


def _ledger(server: ServerName) -> dict[str, Any] | None:
    """Return the ledger's place, when it was last written, and of how many of the server's models it knows the content."""
    folder = cache_folder()
    path = None if folder is None else folder / "ledger.sqlite"
    if path is None or not path.is_file():
        return None
    written = max(each.stat().st_mtime for each in (path, path.with_name(f"{path.name}-wal")) if each.exists())
    with open_ledger(warn) as ledger:
        known = {model for model, *_ in ledger.images(server)}
    moment = f"{datetime.fromtimestamp(written, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {"path": printable(str(path)), "last_written": moment, "models": len(known)}


def render(found: Report, width: int) -> str:
    """Return the answers as lines of at most ``width`` columns, but for what cannot be broken."""
    origins = found.origins
    url = found.server["url"] or ""
    rows = [("Server", f"{url} (from {origins.get('url', 'the manifest')})")]
    if found.server["domain"]:
        rows.append(("Domain", f"{printable(found.server['domain'])} (from {origins.get('domain', '--domain')})"))
    token = "whether it is accepted is not known" if found.token == "not known" else found.token  # noqa: S105 - as above
    rows.append(("Token", token + (f" (from {origins['token']})" if "token" in origins else "")))
    rows.append(("Sent as", f"{found.auth_type} (from {origins.get('auth_type', 'the default')})"))
    if "timeout" in origins:
        rows.append(("Timeout", f"from {origins['timeout']}"))
    known = found.generation if found.models is not None else f"taken for {found.generation}"
    rows.append(("Generation", known))
    if found.models is not None:
        where = f", in the domain {', '.join(found.domains[:3])}" if found.domains else ""
        rows.append(("Models", f"{counted(found.models, 'model')} listed{where}"))
    rows.append(("May write", f"{found.may_write}: {found.may_write_why}"))
    if found.trust is not None:
        shown = found.certificate
        text = f"issued by {shown['issuer']}, valid until {shown['expires']}; " if shown else ""
        rows.append(("Certificate", f"{text}checked against {found.trust}"))
    if "client_cert" in origins:
        rows.append(("Shown", f"a client certificate (from {origins['client_cert']})"))
    rows.append(("Proxy", found.proxy or "none"))
    ledger = found.ledger
    rows.append(
        (
            "Ledger",
            f"{ledger['path']}, last written {ledger['last_written']}; knows {counted(ledger['models'], 'model')} of this server"
            if ledger
            else "none yet",
        )
    )
    lines: list[str] = []
    for label, text in rows:
        lines += textwrap.wrap(
            text,
            width,
            initial_indent=f"{label:<12} ",
            subsequent_indent=" " * 13,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines) + "\n"
