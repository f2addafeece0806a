"""`earmark encode`."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import click

from earmark.codec.command_line import Choice, command, option, shared, show_preview
from earmark.codec.commands.arguments import CACHE, FILE, Recording, Tag, checkpoint_option, language_model_option
from earmark.codec.errors import UserError
from earmark.codec.extras import require
from earmark.codec.files import require_new
from earmark.codec.model_choice import MODELS, ModelChoice
from earmark.codec.pipes import PIPE, open_recording, progress_of
from earmark.codec.text import counted


@command(
    short_help="Code audio to an .ecdc file",
    examples=[
        "earmark encode speech.wav speech.ecdc --kbps 3 --lm",
        "earmark encode music.flac music.ecdc --model encodec_48khz --tag title=Prelude",
        "earmark encode recordings/ coded/ --jobs 4",
        "arecord -f S16_LE -r 24000 | earmark encode - talk.ecdc",
    ],
    environment=CACHE,
    exit_status={1: "some files of a folder could not be coded"},
)
@click.argument("source", type=Recording(), metavar="IN")
@click.argument("target", type=FILE, metavar="OUT")
@option(
    "--model", "name", type=Choice(MODELS), metavar="MODEL",
    show_default="that of --checkpoint, else encodec_24khz", help="Model: encodec_24khz or encodec_48khz.",
)  # fmt: skip
@option(
    "--kbps", type=float, default=6, metavar="KBPS",
    help="Bit rate: 1.5 (24 kHz only), 3, 6, 12, or 24 (not with the bundled weights).",
)  # fmt: skip
@option("--lm", is_flag=True, help="Store the same codes in fewer bits, with a language model.")
@checkpoint_option
@language_model_option
@option(
    "--container", type=Choice(["earmark", "reference"]), default="earmark", metavar="earmark|reference",
    aliases=["--format"],
    help="Format of the file: `earmark` has checksums that reveal damage; `reference` can be read by the public "
    "EnCodec program.",
)  # fmt: skip
@option(
    "--channels", "picked", type=Choice(["mix", "left", "right"]), default="mix", metavar="mix|left|right",
    help="Part of stereo to code: all of it, which a mono model averages, or one channel.",
)  # fmt: skip
@option("--denoise", is_flag=True, help="Leave out the noise around speech, by a model with this switch.")
@option("--gain", type=float, default=0.0, metavar="DB", help="Gain in dB before coding.")
@option(
    "--tag", "tags", type=Tag(), multiple=True, metavar="NAME=TEXT",
    help="Text to store in the file, which `earmark inspect` shows; repeats add up.",
)  # fmt: skip
@option(
    "--chunk", type=click.FloatRange(0.02, 10), metavar="SECONDS", show_default="2",
    help="Audio per chunk of encodec_24khz. A pipe is delayed by it, damage costs as much, and a language model starts "
    "afresh with each.",
)  # fmt: skip
@shared.jobs
@shared.device
@shared.force
@shared.dry_run
@shared.quiet
def encode(source: Path, target: Path, force: bool, dry_run: bool, jobs: int | None, **options: Any) -> int:
    """Code the recording IN with EnCodec to OUT, an .ecdc file. Either may be - for a pipe.

    IN is a WAV, FLAC, Ogg, Opus, MP3 or AIFF file, mono or stereo, of any sample rate. A pipe must carry WAV, and is
    coded while it arrives. Stereo is averaged for encodec_24khz, and mono is repeated for encodec_48khz. The decoded
    audio is as long as IN, rounded to a sample at the model's rate.

    If IN is a folder, OUT is a folder that mirrors it, with an .ecdc file for each recording. Files that are there and
    equal are not coded again, so the same command continues after an interruption. Other files that exist are replaced
    only with --force.
    """
    gain = options["gain"]
    if not math.isfinite(gain) or abs(gain) > 120:
        raise UserError(f"--gain {gain:g}: give it in dB, from -120 to 120")
    return (_encode_folder if source != PIPE and source.is_dir() else _encode_file)(
        source, target, options, force, dry_run, jobs
    )


def _settings(options: dict[str, Any]) -> Any:
    require("torch", extra="encodec", for_="EnCodec")
    from earmark.codec.commands.encoding import EncodeSettings
    from earmark.codec.ecdc.source_facts import SourceFacts, pack_facts

    tags = options["tags"]
    if tags and options["container"] == "reference":
        raise UserError("--tag: the format of --container reference has no room for tags")
    pack_facts(SourceFacts(44100, 2, -20.0, 64 * "0", options["gain"] or 1.0, "left", dict(tags)))  # whether they fit
    choice = ModelChoice(options["checkpoint"], options["language_model"], options["device"])
    return EncodeSettings(
        choice, options["name"], options["kbps"], options["lm"], options["container"], options["picked"],
        options["gain"], tags, options["chunk"], options["denoise"],
    )  # fmt: skip


def _encode_file(
    source: Path, target: Path, options: dict[str, Any], force: bool, dry_run: bool, jobs: int | None
) -> int:  # fmt: skip
    if target != PIPE and target.suffix.lower() != ".ecdc":
        raise UserError(f"{target}: codes go to a file that ends in .ecdc, or to - for a pipe")
    require_new(target, force)
    if source == PIPE and options["container"] == "reference":
        raise UserError("--container reference: needs the length first, which a pipe does not give; use a file as IN")
    settings = _settings(options)
    recording = open_recording(source, settings.chunk)

    from earmark.codec.commands.encoding import Encoder

    encoder = Encoder(settings)
    config = encoder.model.config
    samples = recording.converted(config.sample_rate, config.channels).samples
    if dry_run:
        at_most = "" if encoder.coder is None else " at most, reduced by the language model"
        show_preview({
            "input": f"{source}: {_duration(samples, config.sample_rate)}",
            "model": f"{config.name}, {config.sample_rate} Hz, {counted(config.channels, 'channel')}",
            "bit rate": f"{settings.kbps:g} kbps{at_most}",
            "output": target,
        })  # fmt: skip
        return 0
    with progress_of(target, samples, config.sample_rate) as advance:
        seconds, kbps, notes = encoder.encode(source, target, recording, advance)
    for note in notes:
        click.echo(f"note: {source}: {note}", err=True)
    if target != PIPE:
        click.echo(f"{target}: {seconds:.2f} s at {kbps:.2f} kbps")
    return 0


def _duration(samples: int | None, sample_rate: int) -> str:
    return "of unknown length" if samples is None else f"{samples / sample_rate:.2f} s"


def _encode_folder(
    tree: Path, out: Path, options: dict[str, Any], force: bool, dry_run: bool, jobs: int | None
) -> int:  # fmt: skip
    if out == PIPE or out.suffix.lower() == ".ecdc" or out.is_file():
        raise UserError(f"{out}: {tree} is a folder; give a folder for its coded files")

    from earmark.codec.audio import SUFFIXES
    from earmark.codec.commands import trees
    from earmark.codec.commands.encoding import encode_pair, encoder_of

    settings = _settings(options)
    pairs = trees.mirrored(tree, out, SUFFIXES, ".ecdc")
    encoder = encoder_of(settings)  # refuses settings that suit no file
    if dry_run:
        show_preview({
            "input": f"{tree}: {counted(len(pairs), 'recording')}",
            "model": encoder.model.config.name,
            "bit rate": f"{settings.kbps:g} kbps",
            "output": f"{out}: {sum(pair.target.exists() for pair in pairs)} of {len(pairs)} files exist",
        })  # fmt: skip
        return 0
    work = functools.partial(encode_pair, settings, force)
    return trees.show_total(trees.run("encode", work, pairs, trees.processes(jobs, pairs)))
