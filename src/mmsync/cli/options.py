"""Options that several commands share, each group made into one typed value.

Most have an environment variable ``MMSYNC_…``.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from mmsync.cli.settings import ServerOptions
from mmsync.errors import SettingsError
from mmsync.plan.model import Guards, Options, Selection
from mmsync.types import Verify

Decorator = Callable[[Any], Any]

_MOST_SHARDS = 999_999_999  # what `Shard` takes as well


class Shard(click.ParamType[tuple[int, int]]):
    """``I/N``: the I-th of N parts, 1 ≤ I ≤ N."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return the pair, or fail with an example."""
        if isinstance(value, tuple):
            return value
        if (found := re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", str(value))) is None:
            self.fail(f"{value!r} is not I/N, for example 1/4", param, ctx)
        index, count = map(int, found.groups())
        if not 1 <= index <= count:
            self.fail(f"{value!r}: I must be from 1 to N", param, ctx)
        return index, count


class _Paths(click.ParamType[str]):
    """A path. Of an environment variable, several parted by white space or lines, unless it is one path as is."""

    name = "PATH"

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return the paths: a name with a space in it is there, or its pieces are."""
        if os.path.lexists(rv):
            return [rv]
        pieces = [piece for piece in (rv.splitlines() if "\n" in rv else rv.split()) if piece.strip()]
        return pieces if "\n" in rv or any(map(os.path.lexists, pieces)) else [rv]

    def shell_complete(self, _ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
        """Leave it to the shell, which knows its files."""
        return click.Path().shell_complete(_ctx, _param, incomplete)


paths_type = _Paths()


def complete_models(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of the manifest's models that begin so."""
    from mmsync.cli import completion  # noqa: PLC0415 - 30 ms for YAML, at the press of a key alone

    return [name for name in completion.model_names(completion.given_manifests(ctx)) if name.startswith(incomplete)]


def _complete_profiles(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from mmsync.cli import completion  # noqa: PLC0415 - as above

    place = ctx.params.get("profiles_path") or os.environ.get("MMSYNC_PROFILES_PATH")
    return [name for name in completion.profile_names(place) if name.startswith(incomplete)]


def group(name: str, make: Callable[..., object], *options: Decorator) -> Decorator:
    """Return a decorator that gives a command these options as one argument, ``name``, that ``make`` makes of them."""

    def decorate(command: Any) -> Any:
        before = {param.name for param in getattr(command, "__click_params__", ())}

        @functools.wraps(command)
        def run(**given: Any) -> object:
            mine = {key: given.pop(key) for key in names}
            return command(**given, **{name: make(**mine)})

        # Reversed, so that they stand in the help in the order written.
        decorated: Any = functools.reduce(lambda inner, option: option(inner), reversed(options), run)
        names = {param.name for param in decorated.__click_params__ if param.expose_value} - before
        return decorated

    return decorate


def env_option(*names: str, **settings: Any) -> Decorator:
    """Return an option whose value may also come from ``MMSYNC_…``, by the first of its long names."""
    long = next(name for name in names if name.startswith("--"))
    variable = f"MMSYNC_{long.removeprefix('--').replace('-', '_').upper()}"
    return click.option(*names, envvar=settings.pop("envvar", variable), show_envvar=True, **settings)


def number_option(name: str, limits: click.ParamType[Any], default: float, metavar: str, text: str) -> Decorator:
    """Return an option for a number within limits."""
    return click.option(name, type=limits, default=default, show_default=True, metavar=metavar, help=text)


def enum_option(*names: str, values: Sequence[str], text: str) -> Decorator:
    """Return an option for one of these values; the first is the default."""
    return click.option(*names, type=click.Choice(values), default=values[0], show_default=True, help=text)


def to_option(text: str) -> Decorator:
    """Return ``--to``, the folder to write to, with this help."""
    return click.option("--to", "folder", metavar="DIR", default=".", show_default=True, help=text)


def jobs_option(text: str) -> Decorator:
    """Return ``--jobs`` with this help."""
    return env_option("--jobs", type=click.IntRange(1, 256), default=8, show_default=True, metavar="N", help=text)


def format_option(*formats: str) -> Decorator:
    """Return ``--format`` with these values; the first is the default."""
    return enum_option("--format", "output_format", values=formats, text="What stdout gets.")


@dataclass(frozen=True, slots=True)
class ManifestOptions:
    """The manifests named, and the folders that model files may come from."""

    paths: tuple[str, ...]  # manifests, or folders of them
    models_dirs: tuple[str, ...] = ()  # folders outside the manifests' own that model files may lie in
    is_default: bool = False  # whether nobody named a manifest: ``models.yaml`` is meant, where there is one


def _manifest(file: tuple[str, ...], models_dir: tuple[str, ...]) -> ManifestOptions:
    source = click.get_current_context().get_parameter_source("file")
    return ManifestOptions(file, models_dir, source is click.core.ParameterSource.DEFAULT)


def _selection(
    target: tuple[str, ...],
    exclude: tuple[str, ...],
    shard: tuple[int, int] | None,
    shard_index: int | None,
    shard_count: int | None,
) -> Selection:
    return Selection(target, exclude, _one_shard(shard, shard_index, shard_count))


def _one_shard(shard: tuple[int, int] | None, index: int | None, count: int | None) -> tuple[int, int] | None:
    """Return the shard that is given as I/N, or as an index from 0 and a count.

    Raises `UsageError` where one of the two is missing, the index is none of the count, or the ways contradict each
    other, whichever of them are flags: a Kubernetes job whose command names one shard would do that one in every pod.
    """
    if count is not None and index is None:
        index = _completion_index(os.environ.get("JOB_COMPLETION_INDEX", ""))
    if index is None and count is None:
        return shard
    if index is None or count is None:
        given, missing = ("index", "count") if count is None else ("count", "index")
        why = f"{_origin(f'shard_{given}')} needs --shard-{missing} beside it: give both, or --shard I/N alone"
        raise click.UsageError(why)
    if index >= count:
        why = f"shard index {index}: of {count} shards the first is 0, the last {count - 1} (--shard counts from 1)"
        raise click.UsageError(why)
    if shard is not None and shard != (index + 1, count):
        ways = (
            f"{_origin('shard')} {shard[0]}/{shard[1]} and shard index {index} of {count}, which is {index + 1}/{count}"
        )
        raise click.UsageError(f"{ways}, contradict each other: give one of them")
    return index + 1, count


def _completion_index(text: str) -> int | None:
    if text and re.fullmatch(r"[0-9]{1,9}", text) is None:
        why = f"JOB_COMPLETION_INDEX is {text!r}, not a number from 0"
        raise click.UsageError(f"{why}: correct it, or give --shard-index")
    return int(text) if text else None


def _origin(name: str) -> str:
    """Return the flag of a parameter, or the variable that gives it."""
    return f"--{name.replace('_', '-')}" if is_flag(name) else f"MMSYNC_{name.upper()}"


def _options(
    *,
    prune: bool,
    max_delete: int,
    max_delete_percent: int,
    allow_empty: bool,
    allow_protected: tuple[str, ...],
    verify: Verify,
    jobs: int,
    **selection: Any,
) -> Options:
    for name in allow_protected:
        refuse_empty("--allow-protected", name)
    guards = Guards(max_delete, max_delete_percent, allow_empty, frozenset(allow_protected))
    return Options(_selection(**selection), guards, prune, verify, jobs)


def _server(
    url: str | None, token: str | None, profile: str | None, token_file: str | None, **rest: Any
) -> ServerOptions:
    for name in ("cacert", "client_cert", "client_key", "proxy"):
        refuse_empty(_origin(name), rest[name])
    if url is None and os.environ.get("MMSYNC_URL") is not None and not is_flag("profile"):
        why = "MMSYNC_URL is set, but to nothing: an undefined variable of a workflow?"
        raise SettingsError(why, "set it to the server's address, or unset it")
    url, profile = one_of("url", url, "profile", profile)
    token, token_file = one_of("token", token, "token_file", token_file)
    own = {"url": url, "token": token, "token_file": token_file, "profile": profile, **rest}
    sources = {name: _origin(name) for name, value in own.items() if value is not None and name != "allowed"}
    return ServerOptions(**own, sources=sources)


def one_of(first: str, one: str | None, second: str, other: str | None) -> tuple[str | None, str | None]:
    """Return both values, of which at most one is given: a flag wins over the other's environment variable.

    Raises `UsageError` where both are flags, or both come from the environment: they contradict each other.
    """
    if one is None or other is None:
        return one, other
    if is_flag(first) == is_flag(second):
        names = [_origin(name) for name in (first, second)]
        raise click.UsageError(f"{names[0]} and {names[1]} contradict each other: give one of them")
    return (one, None) if is_flag(first) else (None, other)


def refuse_empty(what: str, value: str | None) -> None:
    """Raise `UsageError` for a value that is given but empty: an undefined variable of a script, which meant something."""
    if value is not None and not value.strip():
        raise click.UsageError(f"{what} is empty: give it a value, or leave it out")


def is_flag(name: str) -> bool:
    """Return whether the current command's parameter was given on the command line."""
    return click.get_current_context().get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _start_log(ctx: click.Context, _param: click.Parameter, verbosity: int) -> None:
    if ctx.resilient_parsing:
        return
    from mmsync.cli import request_log  # noqa: PLC0415 - logging, for commands that send requests alone

    request_log.start(ctx, verbosity)


server_options = group(
    "server",
    _server,
    env_option("--url", metavar="URL", help="The server, or local:DIR for an embedded one over DIR."),
    env_option("--token", metavar="TOKEN", help="The access token; better from the environment or a file."),
    env_option("--token-file", metavar="FILE", help="A file that holds the token."),
    env_option("--auth-type", type=click.Choice(["standalone", "bearer"]), help="How the token is sent."),
    env_option("--domain", metavar="DOMAIN", help="The domain, for servers before 2.4.0 (LegacyClient)."),
    env_option(
        "--profile",
        metavar="NAME",
        shell_complete=_complete_profiles,
        help="A profile of modelmanager.ini: URL, token and auth type.",
    ),
    env_option("--profiles-path", metavar="PATH", help="Where the profiles are: a file or a folder."),
    env_option(
        "--allow-server",
        "allowed",
        multiple=True,
        metavar="ORIGIN",
        envvar="MMSYNC_ALLOWED_SERVERS",
        help="Let the token go to ORIGIN (https://HOST[:PORT], https://*.DOMAIN) where the manifest, a saved plan or a "
        "profile names the server; may be repeated.",
    ),
    env_option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="To connect, for an answer to begin, and between bytes; 30 if not given.",
    ),
    env_option(
        "--cacert", metavar="FILE", help="Trust the certificates in FILE (PEM), or a folder, in place of the system's."
    ),
    env_option("--client-cert", metavar="FILE", help="Show this certificate to the server; PEM, with its key."),
    env_option("--client-key", metavar="FILE", help="The certificate's key, where it is in a file of its own."),
    env_option(
        "--proxy", metavar="URL", help="Reach the server through this proxy: http://HOST:PORT; none for no proxy."
    ),
    env_option(
        "--insecure", is_flag=True, default=None, help="Check no certificate; refused unless the server is on loopback."
    ),
    env_option(
        "--max-list-bytes",
        type=click.IntRange(min=1),
        metavar="N",
        help="The longest list of models to read; 64 MiB if not given.",
    ),
    click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=_start_log,
        help="Say on stderr what is done and tried again; -vv: every request. Also MMSYNC_LOG=info or debug.",
    ),
)

manifest_options = group(
    "manifest",
    _manifest,
    env_option(
        "-f",
        "--file",
        multiple=True,
        type=paths_type,
        metavar="PATH",
        default=("models.yaml",),
        show_default="models.yaml",
        help="A manifest, or a folder of them; may be repeated.",
    ),
    env_option(
        "--models-dir",
        multiple=True,
        type=paths_type,
        metavar="DIR",
        help="Also admit model files under DIR; may be repeated.",
    ),
)

_selection_options = (
    click.option(
        "--target",
        multiple=True,
        metavar="GLOB",
        shell_complete=complete_models,
        help="Only models whose name matches; may be repeated.",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="GLOB",
        shell_complete=complete_models,
        help="Not models whose name matches; may be repeated.",
    ),
    env_option("--shard", type=Shard(), help="Only the I-th of N parts, by a hash of the name."),
    env_option(
        "--shard-index",
        type=click.IntRange(0, _MOST_SHARDS - 1),
        metavar="K",
        help="The same as --shard K+1/N: K counts from 0. With a count alone, Kubernetes' JOB_COMPLETION_INDEX is K.",
    ),
    env_option(
        "--shard-count", type=click.IntRange(1, _MOST_SHARDS), metavar="N", help="How many parts; with --shard-index."
    ),
)
selection_options = group("selection", _selection, *_selection_options)

plan_options = group(
    "options",
    _options,
    *_selection_options,
    click.option("--prune", is_flag=True, help="Delete models inside scope that no manifest lists."),
    number_option("--max-delete", click.IntRange(min=0), 5, "N", "Refuse to delete more models than this."),
    number_option(
        "--max-delete-percent",
        click.IntRange(0, 100),
        30,
        "P",
        "Refuse to delete more than this share of ten or more owned models.",
    ),
    click.option("--allow-empty", is_flag=True, help="Let a manifest that lists nothing prune."),
    click.option(
        "--allow-protected",
        multiple=True,
        metavar="NAME",
        help="Let the protected model NAME (no pattern) be deleted, or get another engine or signature; may be "
        "repeated.",
    ),
    env_option(
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
