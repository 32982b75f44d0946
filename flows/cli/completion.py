"""`mirror completion SHELL`: completion of commands, options and mirrors in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_SHELLS = {
    "bash": 'eval "$(mirror completion bash)"     # in ~/.bashrc',
    "zsh": 'eval "$(mirror completion zsh)"      # in ~/.zshrc',
    "fish": "mirror completion fish | source      # in ~/.config/fish/config.fish",
}


@click.command("completion", epilog="\b\n" + "\n".join(_SHELLS.values()))
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a script that completes commands, options and the mirrors of mirrors.yaml."""
    completion = get_completion_class(shell)
    if completion is None:
        raise click.UsageError(f"no completion for {shell}")
    root = ctx.find_root()
    click.echo(completion(root.command, {}, "mirror", "_MIRROR_COMPLETE").source())
