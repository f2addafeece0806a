"""`earmark decode`."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import click

from earmark.codec.command_line import Choice, command, option, shared, show_preview
from earmark.codec.commands.arguments import CACHE, FILE, Clock, Input, checkpoint_option, language_model_option
from earmark.codec.errors import UserError
from earmark.codec.extras import require
from earmark.codec.files import require_new
from earmark.codec.model_choice import ModelChoice
from earmark.codec.pipes import PIPE, progress_of, reading
from earmark.codec.text import counted


@command(
    short_help="Decode an .ecdc file to audio",
    examples=[
        "earmark decode speech.ecdc speech.wav",
        "earmark decode lecture.ecdc minute.wav --from 30:00 --to 31:00",
        "earmark decode coded/ decoded/ --suffix flac",
        "earmark decode - - < talk.ecdc | aplay",
    ],
    environment=CACHE,
    exit_status={1: "a file is damaged; the undamaged parts were decoded"},
)
@click.argument("source", type=Input(), metavar="IN")
@click.argument("target", type=FILE, metavar="OUT")
@checkpoint_option
@language_model_option
@option("--from", "start", type=Clock(), default="0", metavar="TIME", help="Start, in seconds or as 1:30 or 1:02:03.")
@option("--to", "end", type=Clock(), metavar="TIME", show_default="the end", help="End of the part to decode.")
@option("--gain", type=float, default=0.0, metavar="DB", help="Gain in dB after decoding.")
@option("--float", "floating", is_flag=True, help="Write WAV of 32-bit floats, not limited to full scale.")
@option(
    "--suffix", type=Choice(["wav", "flac", "ogg"]), default="wav", metavar="wav|flac|ogg",
    help="Type of the files that a folder decodes to.",
)  # fmt: skip
@shared.jobs
@shared.device
@shared.force
@shared.dry_run
@shared.quiet
def decode(
    source: Path, target: Path, start: float, end: float | None, gain: float, floating: bool, suffix: str,
    checkpoint: str | None, language_model: Path | None, device: str | None, jobs: int | None, force: bool,
    dry_run: bool,
) -> int:  # fmt: skip
    """Decode IN, an .ecdc file, to OUT, a .wav, .flac or .ogg file. Either may be - for a pipe.

    OUT has the model's sample rate and channels, and 16 bits. A pipe gets WAV with a header of unknown length. Damaged
    parts of IN decode to silence, and each is reported on one line. With --from and --to, only what that part needs is
    read and decoded.

    If IN is a folder, OUT is a folder that mirrors it. Files that were decoded from the same codes before are not
    decoded again, so the same command continues after an interruption. Other files that exist are replaced only with
    --force.
    """
    require("torch", extra="encodec", for_="EnCodec")
    from earmark.codec.commands.decoding import DecodeSettings

    if end is not None and end <= start:
        raise UserError(f"--to {end:g} s: lies before --from {start:g} s")
    if not math.isfinite(gain) or abs(gain) > 120:
        raise UserError(f"--gain {gain:g}: give it in dB, from -120 to 120")
    settings = DecodeSettings(ModelChoice(checkpoint, language_model, device), start, end, gain, floating)
    if source != PIPE and source.is_dir():
        return _decode_folder(source, target, settings, suffix, force, dry_run, jobs)
    return _decode_file(source, target, settings, force, dry_run)


def _decode_file(source: Path, target: Path, settings: Any, force: bool, dry_run: bool) -> int:
    from earmark.codec.audio.blocks import require_output
    from earmark.codec.commands.decoding import Decoder
    from earmark.codec.commands.origins import sha256_of

    if target != PIPE:
        require_output(target, settings.floating)
        require_new(target, force)
    label = "-" if source == PIPE else str(source)
    decoder = Decoder(settings)
    with reading(source) as file:
        reader, model = decoder.open(file, label)
        rate, samples = model.config.sample_rate, reader.header.samples
        if dry_run:
            length = "of unknown length" if samples is None else f"{samples / rate:.2f} s"
            bits = "32-bit floats" if settings.floating else "16 bits"
            show_preview(
                {
                    "input": f"{label}: {length} of {reader.header.model}",
                    "output": f"{target}: {rate} Hz, {counted(model.config.channels, 'channel')}, {bits}",
                }
            )
            return 0
        end = samples if settings.end is None else min(samples or math.inf, round(settings.end * rate))
        total = None if end is None else max(0, int(end) - round(settings.start * rate))
        provenance = settings.provenance(sha256_of(source)) if target != PIPE else ""
        with progress_of(target, total, rate) as advance:
            notes = decoder.decode(model, reader, target, label, provenance, advance)
        damage = decoder.lost(reader, model)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    for what in damage:
        click.echo(f"damaged: {label}: {what}", err=True)
    return 1 if damage else 0


def _decode_folder(
    tree: Path, out: Path, settings: Any, suffix: str, force: bool, dry_run: bool, jobs: int | None
) -> int:  # fmt: skip
    from earmark.codec.audio.blocks import OUTPUTS, require_output
    from earmark.codec.commands import trees
    from earmark.codec.commands.decoding import decode_pair, decoder_of

    if out == PIPE or out.suffix.lower() in OUTPUTS or out.is_file():
        raise UserError(f"{out}: {tree} is a folder; give a folder for its decoded files")
    require_output(Path(f"out.{suffix}"), settings.floating)
    pairs = trees.mirrored(tree, out, (".ecdc",), f".{suffix}")
    if dry_run:
        show_preview({
            "input": f"{tree}: {counted(len(pairs), 'file')}",
            "output": f"{out}: {sum(pair.target.exists() for pair in pairs)} of {len(pairs)} files exist",
        })  # fmt: skip
        return 0
    decoder_of(settings)  # refuses a --checkpoint that cannot be loaded
    work = functools.partial(decode_pair, settings, force)
    return trees.show_total(trees.run("decode", work, pairs, trees.processes(jobs, pairs)))
