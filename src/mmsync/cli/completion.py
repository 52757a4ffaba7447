"""``mmsync completion``: the script by which a shell completes commands, options, models and profiles."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from mmsync.cli.errors import ExitCode
from mmsync.cli.output import answer
from mmsync.errors import ManifestError
from mmsync.manifest import read_manifest

_EXAMPLES = """\b
Examples:
  mmsync completion bash > ~/.local/share/bash-completion/completions/mmsync
  mmsync completion zsh > ~/.zfunc/_mmsync
  mmsync completion fish > ~/.config/fish/completions/mmsync.fish
"""

_PROFILES = "modelmanager.ini"
VARIABLE = "_MMSYNC_COMPLETE"
"""Where the scripts say that they ask; `main` looks there."""


@click.command("completion", epilog=_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the script that completes commands, options, models of the manifest, profiles and files.

    bash (4.4 or newer) and fish read it from the places below; for zsh, ~/.zfunc must be in fpath before compinit is
    called. To try it in bash: source <(mmsync completion bash)
    """
    made = get_completion_class(shell)
    context = click.get_current_context().find_root()
    if made is None:
        raise click.UsageError(f"no completion is known for {shell}")
    answer(made(context.command, {}, "mmsync", VARIABLE).source() + "\n")
    return ExitCode.DONE


def complete(command: click.Command, instruction: str) -> int:
    """Print what a shell may offer for the line in its variables; ``instruction`` is ``bash_complete`` or the like."""
    shell, _, what = instruction.partition("_")
    made = get_completion_class(shell)
    if made is None or what != "complete":
        return ExitCode.FAILURE
    # As text: click writes bytes past what keeps output harmless.
    answer(made(command, {}, "mmsync", VARIABLE).complete() + "\n")
    return ExitCode.DONE


def model_names(manifests: tuple[str, ...]) -> list[str]:
    """Return the names that the manifests list; none where they cannot be read, as nothing may be said meanwhile."""
    try:
        found = read_manifest(manifests, check_files=False, budget=1)
    except (ManifestError, OSError):
        return []
    return [model.name for model in found.models if model.name.isprintable()]


def profile_names(place: str | None) -> list[str]:
    """Return the names of the profiles, of ``place`` or of the home folder, where commands take them from."""
    path = Path(place) if place else Path.home()
    if path.is_dir():
        path /= _PROFILES
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, configparser.Error):
        return []
    return [name for name in parser.sections() if name.isprintable()]


def given_manifests(context: click.Context) -> tuple[str, ...]:
    """Return the manifests of a command line that is half typed."""
    given = context.params.get("file") or ()
    return tuple(given) or tuple(filter(None, [os.environ.get("MMSYNC_FILE")])) or ("models.yaml",)
