"""`earmark inspect`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from earmark.codec.command_line import Choice, command, option, out_file, shared, show
from earmark.codec.commands.arguments import CACHE, Input, language_model_option
from earmark.codec.errors import UserError
from earmark.codec.extras import require
from earmark.codec.files import require_new
from earmark.codec.model_choice import ModelChoice
from earmark.codec.pipes import PIPE
from earmark.codec.text import printable


class Inspected(Input):
    """A file or folder, or the name of a recipe."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        from earmark.codec.training import recipe_files

        name = str(value).partition(":")[0]
        if name in (*recipe_files.names(), *recipe_files.tables()) and not Path(value).exists():
            return Path(value)
        return super().convert(value, param, ctx)


@command(
    short_help="Show what an .ecdc file holds",
    examples=[
        "earmark inspect speech.ecdc",
        "earmark inspect coded/ --check",
        "earmark inspect encodec_24khz --diagram -o figure1.svg",
    ],
    environment=CACHE,
    exit_status={1: "a file is damaged"},
)
@click.argument("file", type=Inspected(), metavar="FILE")
@option("--check", is_flag=True, help="Say of FILE, or of each .ecdc file in the folder FILE, whether it is sound.")
@option("--diagram", is_flag=True, help="Draw the model FILE as SVG, from its layers.")
@option(
    "--part", type=Choice(["model", "discriminators"]), default="model", metavar="model|discriminators",
    help="With --diagram: the codec, or the discriminators that train it.",
)  # fmt: skip
@out_file
@shared.force
@language_model_option
def inspect(
    file: Path, check: bool, diagram: bool, part: str, out: Path | None, force: bool, language_model: Path | None
) -> int:  # fmt: skip
    """Print what FILE, an .ecdc file, holds as JSON: model, length, bit rate, damage, SHA-256 of the codes, tags.

    The weights are named, with their licence, if they are those that come with Earmark or that `earmark download`
    fetched. The source is the recording that was coded: its rate, channels, loudness and SHA-256. If the file needs a
    language model that is not on this machine, the values that depend on its payload are null.

    With --check, FILE may be a folder. Each file is one line, `sound` or `damaged` with the reason. Checksums are
    verified; no language model is needed.

    With --diagram, FILE is a checkpoint, the folder of a training, or the name of a recipe, e.g. encodec_24khz,
    soundstream or tableA3:no_lstm. Figures 1 and 2 of the EnCodec paper are --part model and --part discriminators.
    """
    if not diagram and (part != "model" or out is not None):
        raise UserError("--part and --out belong to a drawing; add --diagram")
    if diagram:
        return _draw(file, part, out, force)
    if not file.exists() and file != PIPE:
        raise UserError(f"{file}: no such file; a model of that name is drawn by --diagram")
    from earmark.codec import ecdc

    if check:
        return _check(file)
    if file.is_dir():
        raise UserError(f"{file} is a folder; name an .ecdc file, or add --check to check all files in it")
    facts = ecdc.inspect(file)
    if facts["entropy"] != "raw":
        try:
            facts = ecdc.inspect(file, coder=ModelChoice(language_model=language_model).coder_of)
        except UserError as error:
            if language_model is not None:
                raise
            click.echo(f"note: {file}: not read beyond its header: {error}", err=True)
    click.echo(json.dumps(_with_licence(facts), indent=2))
    return 1 if facts["damage"] else 0


def _with_licence(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts, and after the identity of the weights their name and licence; null if they are not known."""
    from earmark.codec.checkpoints.licences import known_weights

    # Readers of the public format, which names no weights, have the official ones.
    known = known_weights(facts["model"], None if facts["format"] == "reference" else facts["model_identity"] or "")
    name, licence = known or (None, None)
    with_licence: dict[str, Any] = {}
    for key, value in facts.items():
        with_licence[key] = value
        if key == "model_identity":
            with_licence |= {"weights": name, "weights_licence": licence}
    return with_licence


def _draw(file: Path, part: str, out: Path | None, force: bool) -> int:
    require("torch", extra="encodec", for_="inspect --diagram")
    from earmark.codec.diagrams.models import diagram

    if out is not None:
        require_new(out, force)
    show(diagram(str(file), part), out)
    return 0


def _check(path: Path) -> int:
    from earmark.codec.ecdc.soundness import damage_of

    files = [path]
    if path.is_dir():
        found = (file for file in path.rglob("*") if file.suffix.lower() == ".ecdc" and file.is_file())
        files = sorted(file for file in found if not file.name.startswith("."))
        if not files:
            raise UserError(f"{path}: no .ecdc files in it")
    damaged = 0
    for file in files:
        damage = damage_of(file)
        damaged += bool(damage)
        click.echo(printable(f"damaged  {file}: {'; '.join(damage)}" if damage else f"sound    {file}"))
    click.echo(f"{len(files) - damaged} sound, {damaged} damaged")
    return 1 if damaged else 0
