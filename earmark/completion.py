"""`earmark completion`: the script by which a shell completes commands, options and their values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from earmark.codec.command_line import Choice, command


@command(
    "completion",
    examples=[
        'eval "$(earmark completion bash)"                         # in ~/.bashrc',
        'eval "$(earmark completion zsh)"                          # in ~/.zshrc',
        "earmark completion fish > ~/.config/fish/completions/earmark.fish",
    ],
)
@click.argument("shell", type=Choice(["bash", "zsh", "fish"]), metavar="SHELL")
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL: bash, zsh or fish."""
    completer = get_completion_class(shell)
    assert completer is not None
    name = "earmark"
    click.echo(completer(ctx.find_root().command, {}, name, f"_{name.upper()}_COMPLETE").source())
