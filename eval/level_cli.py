"""`earmark level`: active speech levels of files."""

from __future__ import annotations

from pathlib import Path

import click

from earmark.codec.command_line import command, out_file, shared, show
from earmark.codec.errors import UserError
from earmark.codec.files import require_new

HEADINGS = ("File", "Channel", "Active", "Activity", "Whole", "Peak")
NOTES = (
    "Levels in dBov: a square wave of full scale is at 0, a sine of full scale at −3.01. Active: level of the speech "
    "without its pauses (ITU-T P.56, method B). Activity: share of the time that is not a pause. Whole: level with "
    "pauses. Peak: highest sample.",
)


@command(
    short_help="Measure speech level (ITU-T P.56)",
    examples=["earmark level speech.wav", "earmark level clips/*.wav --format csv -o levels.csv"],
    exit_status={1: "finished, but a file could not be read"},
)
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FILE...")
@shared.printed_format("text", "markdown", "latex", "csv", "json")
@out_file
@shared.force
def level(files: tuple[Path, ...], output: str, out: Path | None, force: bool) -> int:
    """Measure the level of speech in recordings, pauses left out (ITU-T P.56), for each channel."""
    from earmark.codec.audio import read
    from earmark.eval.speech_level import SpeechLevel, speech_level
    from earmark.eval.tables.grid import RENDERERS, Grid

    for path in files:
        if path.is_dir():
            raise UserError(f"{path} is a folder; name recordings, e.g. `earmark level {path}/*.wav`")
    if out is not None:
        require_new(out, force)
    measured: list[tuple[Path, int, SpeechLevel]] = []
    failed = False
    for path in files:
        try:
            recording = read(path)
        except UserError as error:
            click.echo(f"failed: {error}", err=True)
            failed = True
            continue
        for channel, samples in enumerate(recording.samples, 1):
            measured.append((path, channel, speech_level(samples, recording.sample_rate)))
    rows = tuple(
        (str(path), str(channel), _decibels(one.active), f"{100 * one.activity:.1f} %", _decibels(one.long_term),
         _decibels(one.peak))
        for path, channel, one in measured
    )  # fmt: skip
    data = tuple(
        {"file": str(path), "channel": channel, "active_dbov": one.active, "activity": one.activity,
         "whole_dbov": one.long_term, "peak_dbov": one.peak}
        for path, channel, one in measured
    )  # fmt: skip
    if rows:
        show(RENDERERS[output](Grid("Speech levels", HEADINGS, rows, NOTES, data=data)), out)
    return 1 if failed else 0


def _decibels(value: float | None) -> str:
    from earmark.eval.tables.numbers import DASH

    return DASH if value is None else f"{value:.2f}".replace("-", "−")
