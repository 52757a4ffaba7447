"""Options that several commands share, each group made into one typed value.

Most have an environment variable ``MMSYNC_…``.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import click

from mmsync.cli.settings import ServerOptions
from mmsync.errors import SettingsError
from mmsync.plan.model import Guards, Options, Selection
from mmsync.types import Verify

_Command = TypeVar("_Command", bound="Callable[..., Any]")


class Shard(click.ParamType[tuple[int, int]]):
    """``I/N``: the I-th of N parts, 1 ≤ I ≤ N."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return the pair, or fail with an example."""
        if isinstance(value, tuple):
            return value
        index, slash, count = str(value).partition("/")
        if not (slash and index.isascii() and index.isdigit() and count.isascii() and count.isdigit()):
            self.fail(f"{value!r} is not I/N, for example 1/4", param, ctx)
        if not 1 <= int(index) <= int(count):
            self.fail(f"{value!r}: I must be from 1 to N", param, ctx)
        return int(index), int(count)


class _Paths(click.ParamType[str]):
    """A path. Of an environment variable, several parted by white space or lines, unless it is one path as it stands."""

    name = "PATH"

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return the paths: a name with a space in it is there, or its pieces are."""
        if os.path.lexists(rv):
            return [rv]
        pieces = [piece for piece in (rv.splitlines() if "\n" in rv else rv.split()) if piece.strip()]
        return pieces if "\n" in rv or any(map(os.path.lexists, pieces)) else [rv]


def _group(name: str, make: Callable[..., object], *options: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    """Return a decorator that gives a command these options, as the one argument ``name`` that ``make`` makes of them.

    In the help they stand in the order written.
    """

    def decorate(command: _Command) -> _Command:
        before = {param.name for param in getattr(command, "__click_params__", ())}

        @functools.wraps(command)
        def run(**given: Any) -> object:
            mine = {key: given.pop(key) for key in names}
            return command(**given, **{name: make(**mine)})

        decorated = functools.reduce(lambda inner, option: option(inner), reversed(options), run)
        names = {param.name for param in decorated.__click_params__} - before  # type: ignore[attr-defined]  # click's
        return cast("_Command", decorated)

    return decorate


def _option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    long = next(name for name in names if name.startswith("--")).split("/")[0]
    variable = f"MMSYNC_{long.removeprefix('--').replace('-', '_').upper()}"
    return click.option(*names, envvar=settings.pop("envvar", variable), show_envvar=True, **settings)


def jobs_option(text: str) -> Callable[[Any], Any]:
    """Return ``--jobs`` with this help."""
    return _option("--jobs", type=click.IntRange(1, 256), default=8, show_default=True, metavar="N", help=text)


@dataclass(frozen=True, slots=True)
class ManifestOptions:
    """The manifests named, and the folders that model files may come from."""

    paths: tuple[str, ...]  # manifests, or folders of them
    models_dirs: tuple[str, ...] = ()  # folders outside the manifests' own that model files may lie in
    is_default: bool = False  # whether nobody named a manifest: ``models.yaml`` is meant, where there is one


def _manifest(manifests: tuple[str, ...], models_dirs: tuple[str, ...]) -> ManifestOptions:
    source = click.get_current_context().get_parameter_source("manifests")
    return ManifestOptions(manifests, models_dirs, source is click.core.ParameterSource.DEFAULT)


def _selection(target: tuple[str, ...], exclude: tuple[str, ...], shard: tuple[int, int] | None) -> Selection:
    return Selection(target, exclude, shard)


def _options(
    target: tuple[str, ...],
    exclude: tuple[str, ...],
    shard: tuple[int, int] | None,
    *,
    prune: bool,
    max_delete: int,
    max_delete_percent: int,
    allow_empty: bool,
    verify: Verify,
    jobs: int,
) -> Options:
    guards = Guards(max_delete, max_delete_percent, allow_empty)
    return Options(Selection(target, exclude, shard), guards, prune, verify, jobs)


def _server(
    url: str | None, token: str | None, profile: str | None, token_file: str | None, **rest: Any
) -> ServerOptions:
    context = click.get_current_context()
    if url is None and os.environ.get("MMSYNC_URL") is not None and not _is_flag(context, "profile"):
        raise SettingsError(
            "MMSYNC_URL is set, but to nothing: an undefined variable of a workflow?",
            "set it to the server's address, or unset it",
        )
    url, profile = one_of("url", url, "profile", profile)
    token, token_file = one_of("token", token, "token_file", token_file)
    return ServerOptions(url=url, token=token, token_file=token_file, profile=profile, **rest)


def one_of(first: str, one: str | None, second: str, other: str | None) -> tuple[str | None, str | None]:
    """Return both values, of which at most one is given: a flag wins over the other's environment variable.

    Raises:
        UsageError: Both are flags, or both come from the environment: they contradict each other.
    """
    if one is None or other is None:
        return one, other
    context = click.get_current_context()
    ranks = _is_flag(context, first), _is_flag(context, second)
    if ranks[0] == ranks[1]:
        flags = [f"--{name.replace('_', '-')}" for name in (first, second)]
        raise click.UsageError(f"{flags[0]} and {flags[1]} contradict each other: give one of them")
    return (one, None) if ranks[0] else (None, other)


def _is_flag(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE


server_options = _group(
    "server",
    _server,
    _option("--url", metavar="URL", help="The server, or local:DIR for an embedded one over DIR."),
    _option("--token", metavar="TOKEN", help="The access token; better from the environment or a file."),
    _option("--token-file", metavar="FILE", help="A file that holds the token."),
    _option("--auth-type", type=click.Choice(["standalone", "bearer"]), help="How the token is sent."),
    _option("--domain", metavar="DOMAIN", help="The domain, for servers before 2.4.0 (LegacyClient)."),
    _option("--profile", metavar="NAME", help="A profile of modelmanager.ini: URL, token and auth type."),
    _option("--profiles-path", metavar="PATH", help="Where the profiles are: a file or a folder."),
    _option(
        "--allow-server",
        "allowed",
        multiple=True,
        metavar="ORIGIN",
        envvar="MMSYNC_ALLOWED_SERVERS",
        help="Let the token go to ORIGIN (https://HOST[:PORT], https://*.DOMAIN) where the manifest, a saved plan or a "
        "profile names the server; may be repeated.",
    ),
    _option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="To connect, for an answer to begin, and between bytes; 30 if not given.",
    ),
    _option(
        "--max-list-bytes",
        type=click.IntRange(min=1),
        metavar="N",
        help="The longest list of models to read; 64 MiB if not given.",
    ),
)

manifest_options = _group(
    "manifest",
    _manifest,
    _option(
        "-f",
        "--file",
        "manifests",
        multiple=True,
        type=_Paths(),
        metavar="PATH",
        envvar="MMSYNC_FILE",
        default=("models.yaml",),
        show_default="models.yaml",
        help="A manifest, or a folder of them; may be repeated.",
    ),
    _option(
        "--models-dir",
        "models_dirs",
        multiple=True,
        type=_Paths(),
        metavar="DIR",
        help="Also admit model files under DIR; may be repeated.",
    ),
)

_selection_options = (
    click.option("--target", multiple=True, metavar="GLOB", help="Only models whose name matches; may be repeated."),
    click.option("--exclude", multiple=True, metavar="GLOB", help="Not models whose name matches; may be repeated."),
    _option("--shard", type=Shard(), help="Only the I-th of N parts, by a hash of the name."),
)
selection_options = _group("selection", _selection, *_selection_options)

plan_options = _group(
    "options",
    _options,
    *_selection_options,
    click.option("--prune", is_flag=True, help="Delete models inside scope that no manifest lists."),
    click.option(
        "--max-delete",
        type=click.IntRange(min=0),
        default=5,
        show_default=True,
        metavar="N",
        help="Refuse to delete more models than this.",
    ),
    click.option(
        "--max-delete-percent",
        type=click.IntRange(0, 100),
        default=30,
        show_default=True,
        metavar="P",
        help="Refuse to delete more than this share of ten or more owned models.",
    ),
    click.option("--allow-empty", is_flag=True, help="Let a manifest that lists nothing prune."),
    _option(
        "--verify",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="How far to go to learn what the server holds: auto asks the ledger, then sizes, then downloads; always "
        "downloads whatever is of the same size, and reads every model file again (one written through a memory map "
        "may not show it); never downloads nothing and leaves such models alone.",
    ),
    jobs_option("How many files to send, or models to ask about, at a time."),
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")


def format_option(*formats: str) -> Callable[[_Command], _Command]:
    """Return ``--format`` with these choices; the first is the default."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="What stdout gets.",
    )
