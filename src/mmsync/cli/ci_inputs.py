"""The inputs of ``mmsync ci``: flags, or ``MMSYNC_CI_…`` from the inputs of an action.

They come as text from workflows and go on to other commands as one word each; none of them can become a flag.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from typing import Any

import click

from mmsync.cli.apply import apply
from mmsync.cli.options import Decorator, env_option, group, paths_type
from mmsync.cli.plan import plan
from mmsync.connection import LOCAL, expanded

_OWN_INPUT = "it is an input of its own"
_NOT_ADMITTED = {
    "--token": "a token comes from the environment, MMSYNC_TOKEN",
    "--token-file": "a token comes from the environment, MMSYNC_TOKEN_FILE",
    "--url": _OWN_INPUT,
    "--profile": _OWN_INPUT,
    "--domain": _OWN_INPUT,
    "--file": _OWN_INPUT,
    "--profiles-path": "who names the profiles decides where the token goes: set MMSYNC_PROFILES_PATH",
    "--allow-server": "who says this decides where the token goes: set MMSYNC_ALLOWED_SERVERS",
    "--cacert": "who says whom to trust decides where the token goes: set MMSYNC_CACERT",
    "--client-cert": "who names the certificate decides who one is: set MMSYNC_CLIENT_CERT",
    "--client-key": "who names the certificate decides who one is: set MMSYNC_CLIENT_KEY",
    "--proxy": "who names the proxy decides where the token passes: set MMSYNC_PROXY",
    "--insecure": "who says this decides where the token goes: set MMSYNC_INSECURE",
    "--expect": "the digest is that of the plan that was reviewed",
    "--out": _OWN_INPUT,
    "--format": "the log gets text, comment and summary Markdown",
    "--detailed-exitcode": "the output has-changes says so",
    "--yes": "nobody is asked here",
    "--help": "it does nothing here",
}
_OF_SELECTION = ("--target", "--exclude", "--shard", "--shard-index", "--shard-count")
SHARD_VARIABLES = ("MMSYNC_SHARD", "MMSYNC_SHARD_INDEX", "MMSYNC_SHARD_COUNT")
"""The variables that select models, as options do."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of one command: what is planned or applied, and where it is told."""

    manifests: tuple[str, ...] = ()
    url: str = ""
    profile: str = ""
    domain: str = ""
    environment: str = ""
    args: str = ""
    shard_index: int | None = None
    shard_count: int | None = None
    comment: bool = True
    author: str = ""
    pull_request: int | None = None
    commit: str = ""
    strict: bool = False

    def files(self) -> list[str]:
        """Return the words that name the manifests."""
        return [f"--file={path}" for path in self.manifests]

    def server(self) -> list[str]:
        """Return the words that name the server."""
        named = {"url": self.url, "profile": self.profile, "domain": self.domain}
        return [f"--{name}={value}" for name, value in named.items() if value]

    def more(self, command: click.Command, *, beside_saved_plan: bool = False) -> list[str]:
        """Return the options beside files and server that this command knows.

        They are the shard and the words of ``args``; a saved plan brings its selection and ``--prune``.
        """
        known = _options(command)
        left_out = (*_OF_SELECTION, "--prune") if beside_saved_plan else ()
        words = [*split_arguments(self.args), *self._shard()]
        return [word for word in words if (name := word.partition("=")[0]) in known and name not in left_out]

    def selection(self) -> list[str]:
        """Return the options that select models; a shard is named the same way however it is given."""
        words = [*split_arguments(self.args), *self._shard()]
        shard = os.environ.get("MMSYNC_SHARD")
        if shard and not any(word.startswith("--shard=") for word in words):
            words.append(f"--shard={shard}")
        found = {word: word.partition("=") for word in words if word.partition("=")[0] in _OF_SELECTION}
        values = {name: value for name, _, value in found.values()}
        index, count = values.get("--shard-index", ""), values.get("--shard-count", "")
        if not (re.fullmatch("[0-9]{1,9}", index) and re.fullmatch("[0-9]{1,9}", count)):
            return list(found)  # a mistake is told of by the command that is given it
        others = [word for word, (name, _, _) in found.items() if name not in ("--shard-index", "--shard-count")]
        return list(dict.fromkeys([*others, f"--shard={int(index) + 1}/{int(count)}"]))

    def _shard(self) -> list[str]:
        given = {"--shard-index": self.shard_index, "--shard-count": self.shard_count}
        return [f"{name}={value}" for name, value in given.items() if value is not None]

    def has_credentials(self) -> bool:
        """Return whether there is a token, or a server that needs none."""
        profiles = expanded(os.environ.get("MMSYNC_PROFILES_PATH") or "~")
        file = profiles / "modelmanager.ini" if profiles.is_dir() else profiles
        return bool(
            os.environ.get("MMSYNC_TOKEN")
            or os.environ.get("MMSYNC_TOKEN_FILE")
            or (self.profile and file.is_file())
            or self.url.startswith(LOCAL)
        )


def split_arguments(text: str) -> list[str]:
    """Return options given as one text, each as one word, ``--name=value`` or ``--flag``.

    Raises `UsageError` for what is no long option of plan or apply, or may not be given here.
    """
    options = _options(plan) | _options(apply)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise click.UsageError(f"args: {error}: {text!r}") from error
    found: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in _NOT_ADMITTED:
            raise click.UsageError(f"args: {name} may not be given here: {_NOT_ADMITTED[name]}")
        option = options.get(name)
        if option is None:
            raise click.UsageError(f"args: {word!r} is no long option of plan or apply")
        if option.is_flag:
            if equals:
                raise click.UsageError(f"args: {name} takes no value")
            found.append(name)
            continue
        given = value if equals else next(rest, None)
        if given is None:
            raise click.UsageError(f"args: {name} needs a value")
        found.append(f"{name}={given}")
    return found


def _options(command: click.Command) -> dict[str, click.Option]:
    options = [param for param in command.params if isinstance(param, click.Option)]
    return {name: option for option in options for name in option.opts if name.startswith("--")}


def _inputs(**given: Any) -> Inputs:
    named = [*(("manifest", path) for path in given["manifests"]), *given.items()]
    for name, value in named:
        if name != "args" and isinstance(value, str) and (value.startswith("-") or not value.isprintable()):
            raise click.UsageError(f"{name} {value!r}: it may not begin with - nor hold control characters")
    known: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return Inputs(**known)


def env_input(*names: str, also: str = "", **settings: Any) -> Decorator:
    """Return an option whose value may come from ``MMSYNC_CI_…``, by its long name."""
    long = next(name for name in names if name.startswith("--")).partition("/")[0].removeprefix("--")
    own = f"MMSYNC_CI_{long.replace('-', '_').upper()}"
    return env_option(*names, envvar=[own, also] if also else own, **settings)


ci_options = group(
    "inputs",
    _inputs,
    env_input(
        "-f",
        "--manifest",
        "manifests",
        also="MMSYNC_FILE",
        multiple=True,
        type=paths_type,
        metavar="PATH",
        help="A manifest, or a folder of them; may be repeated; models.yaml if not given.",
    ),
    env_input("--url", also="MMSYNC_URL", metavar="URL", help="The server."),
    env_input("--profile", also="MMSYNC_PROFILE", metavar="NAME", help="A profile of modelmanager.ini."),
    env_input("--domain", also="MMSYNC_DOMAIN", metavar="DOMAIN", help="The domain, for servers before 2.4.0."),
    env_input(
        "--environment", metavar="NAME", help="What to call the server; keeps comments of several environments apart."
    ),
    env_input(
        "--args", metavar="TEXT", help="More options of plan and apply as one text, such as '--prune --shard 1/4'."
    ),
    env_input(
        "--shard-index",
        also="MMSYNC_SHARD_INDEX",
        type=click.IntRange(min=0),
        metavar="K",
        help="Which shard, from 0; with --shard-count.",
    ),
    env_input(
        "--shard-count", also="MMSYNC_SHARD_COUNT", type=click.IntRange(min=1), metavar="N", help="How many shards."
    ),
    env_input("--comment/--no-comment", default=True, show_default=True, help="Keep a comment on the pull request."),
    env_input(
        "--author",
        metavar="LOGIN",
        help="Whose comments are ours: the login of the app whose token is used, NAME[bot]. Not needed for a job's own "
        "token, nor for a person's.",
    ),
    env_input("--pull-request", type=click.IntRange(min=1), metavar="N", help="The pull request, if not the event's."),
    env_input("--commit", metavar="SHA", help="The commit, if not the event's."),
    click.option("--strict", is_flag=True, help="Exit 1 where GitHub cannot be told, too."),
)
