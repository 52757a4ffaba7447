"""``mmsync serve``: run the embedded Model Manager over a folder."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

import click

from mmsync import server
from mmsync.cli import options as opt
from mmsync.cli.output import answer, warn
from mmsync.cli.settings import ServerOptions, read_token
from mmsync.connection import is_loopback

_EXAMPLES = """\b
Examples:
  mmsync serve .model-manager
  mmsync serve .model-manager --port 0 --generation legacy
"""


@click.command("serve", epilog=_EXAMPLES)
@click.argument("folder", metavar="[DIR]", default=".model-manager")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="The port; 0 takes a free one."
)
@opt.env_option("--token", metavar="TOKEN", help="The token to ask for; without one, one is made.")
@opt.env_option("--token-file", metavar="FILE", help="A file that holds the token.")
@opt.enum_option(
    "--generation",
    values=["both", "latest", "legacy"],
    text="Which servers to be: latest (2.4.0 and later), legacy (before, with domains), or both.",
)
@click.option("--prefix", default="", metavar="PATH", help="A path to answer under as well, such as /mlmodelmanager.")
def serve(
    folder: str,
    host: str,
    port: int,
    token: str | None,
    token_file: str | None,
    generation: server.Generation,
    prefix: str,
) -> int:
    """Run the embedded Model Manager server over DIR (.model-manager if not given) until interrupted.

    stdout tells where it answers, and the token where it made one, as lines to put into the environment. At /ui a
    browser shows the models. It speaks http; for https, put a TLS proxy in front.
    """
    token, token_file = opt.one_of("token", token, "token_file", token_file)
    token = read_token(ServerOptions(token=token, token_file=token_file))
    if not is_loopback(host):
        warn(f"listening on {host}: other machines reach it over plain http, and the token with every request")

    def announce(address: server.Address) -> None:
        answer(f"MMSYNC_URL={address.url}\n" + ("" if token else f"MMSYNC_TOKEN={address.token}\n"))
        # The token itself stands on stdout where it was made, and nowhere else.
        click.echo(
            f"Serving {shlex.quote(folder)}{_token_source(token)}; Ctrl+C stops it. In another terminal:\n"
            f"  export MMSYNC_URL={address.url} MMSYNC_TOKEN=…\n"
            "  mmsync plan",
            err=True,
        )
        if is_loopback(urlsplit(address.url).hostname or ""):  # no browser can sign in elsewhere
            click.echo(
                f"In a browser on this machine, {address.url}/ui shows the models; it asks for the token once.",
                err=True,
            )

    number = server.serve(
        folder, host=host, port=port, token=token, generation=generation, prefix=prefix, on_ready=announce
    )
    return 128 + number


def _token_source(token: str | None) -> str:
    """Say where the token came from, where nobody typed it: it is not the one last made, and not shown."""
    if token is None or opt.is_flag("token") or opt.is_flag("token_file"):
        return ""
    variable = "MMSYNC_TOKEN" if click.get_current_context().params["token"] is not None else "MMSYNC_TOKEN_FILE"
    return f" with the token of {variable} (environment)"
