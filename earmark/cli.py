"""The command `earmark`: one click group whose subcommands live in each package's `cli.py` and load by name.

Loading lazily keeps `earmark --help` free of torch, Flask and pandas.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import NoReturn

import click

# name -> (module of earmark, attribute, one-line help: shown by `earmark --help` without importing the module)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "systems": ("baselines.cli", "systems", "List every codec: available or not and why, bit rates, version."),
    "metrics": ("eval.metrics_cli", "metrics", "List every metric: range, direction, rate, reference, licence."),
    "compare": ("eval.compare_cli", "compare", "Encode, decode and score recordings with each system."),
    "tables": ("eval.tables_cli", "tables", "Print a run's table as text, Markdown, LaTeX or CSV."),
    "differences": ("eval.tables_cli", "differences", "Compare a run's systems pair by pair, with significance."),
    "bench": ("eval.speed.cli", "bench", "Time the codecs: real-time factors, latency, memory, model size."),
    "data": ("codec.training.data_cli", "data", "Index and decode recordings to train on."),
    "demo-audio": ("eval.demo.cli", "demo_audio", "Write the small synthetic set of recordings that `make demo` uses."),
    "encode": ("codec.cli", "encode", "Code a recording by EnCodec into an .ecdc file."),
    "decode": ("codec.cli", "decode", "Decode an .ecdc file to audio."),
    "inspect": ("codec.cli", "inspect", "Print what an .ecdc file holds as JSON: model, segments, damage."),
    "download": ("baselines.download_cli", "download", "Fetch published weights, as EnCodec's, into the user's cache."),
    "train": ("eval.training_cli", "train", "Train a codec by a recipe."),
    "train-lm": ("codec.training.language_model_cli", "train_lm", "Train the language model for a codec's codes."),
    "reproduce": ("eval.paper.reproduce_cli", "reproduce", "Train a table of the paper, beside its numbers."),
    "study": ("mushra_app.cli", "study_group", "Build, serve and report listening tests (MUSHRA)."),
}
ALIASES = {"mushra": "study"}  # former names, which still work but are not listed


class LazyGroup(click.Group):
    """A click group that imports a subcommand's module only when that subcommand is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        command = getattr(importlib.import_module(f"earmark.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `earmark ... | head`; click would leave by status 1, which has meanings of its own
            sys.stderr.close()
            sys.exit(141)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="earmark", message="%(prog)s %(version)s")
def cli() -> None:
    """Judge audio codecs by metric and by ear."""


def main() -> None:
    """Run the command line; a UserError is one line and status 2, an interrupt is status 130."""
    from earmark.codec.errors import UserError

    # Large tensors in pages of 2 MiB, with which a step of an EnCodec stream takes a tenth less time. torch reads this
    # at its first allocation. It is set for the command's own process only: importing earmark changes nothing.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # to be ended is to be interrupted
    try:
        status = cli.main(standalone_mode=False)
    except UserError as error:
        fail(str(error), 2)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            error.show()
            sys.exit(2)
        hint = f" (see '{context.command_path} --help')" if context is not None else ""
        fail(error.format_message() + hint, error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        fail("interrupted; run the same command again: what is finished is not done twice", 130)
    sys.exit(status if isinstance(status, int) else 0)


def fail(message: str, status: int) -> NoReturn:
    """Print one line on stderr and leave."""
    click.echo("earmark: " + " ".join(message.split()), err=True)
    sys.exit(status)
