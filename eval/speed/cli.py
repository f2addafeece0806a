"""`earmark bench`: speed, latency, memory and size of codecs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from earmark.baselines.interface import System
from earmark.codec.command_line import command, option, shared, show_preview
from earmark.codec.text import counted
from earmark.eval.inputs import FilePath
from earmark.eval.system_options import ENVIRONMENT, chosen_systems, own_codecs, systems_option, timeout

DEFAULT = "opus@6,opus@12,mp3@64"


@command(
    short_help="Time codecs: speed, latency, memory",
    examples=["earmark bench -s opus@12,encodec_24khz@6", "earmark bench -s opus@12 --audio speech.wav -o bench.json"],
    environment=ENVIRONMENT,
    exit_status={1: "finished, but a system failed or cannot run here"},
)
@systems_option(DEFAULT)
@own_codecs
@timeout
@shared.keep_going
@option(
    "--audio", type=FilePath("one recording"), metavar="FILE",
    show_default="noise over a chord, mono at 24 kHz", help="Recording to code.",
)  # fmt: skip
@option(
    "--seconds",
    type=click.FloatRange(1, 600),
    default=10.0,
    metavar="S",
    help="Use at most this many seconds of audio.",
)
@option(
    "--repeats",
    type=click.IntRange(1),
    default=10,
    metavar="N",
    help="Code the audio this often per system; the median counts.",
)
@option(
    "--warm-up", type=click.IntRange(0), default=2, metavar="N", help="Code the audio this often first, unmeasured."
)
@option("--threads", type=click.IntRange(1), default=1, metavar="N", help="Threads per system.")
@option(
    "-o", "--out", type=FilePath("a JSON file", exists=False), metavar="FILE",
    help="JSON file to write every number to.",
)  # fmt: skip
@shared.force
@shared.dry_run
@shared.quiet
@shared.printed_format("text", "markdown", "latex", "csv", "json")
def bench(
    systems: list[System] | None, commands: list[System], timeout: float | None, keep_going: bool, audio: Path | None,
    seconds: float, repeats: int, warm_up: int, threads: int, out: Path | None, force: bool, dry_run: bool,
    output: str,
) -> int:  # fmt: skip
    """Time each system's encoder and decoder, with latency, memory, model size and FLOPs."""
    from earmark.codec.audio import Recording, read
    from earmark.codec.files import require_new, write_text
    from earmark.eval.comparison.availability import refuse, unavailable_systems
    from earmark.eval.comparison.machine import machine
    from earmark.eval.speed import timing
    from earmark.eval.speed.table import speed_grid
    from earmark.eval.tables import grid

    if out is not None:
        require_new(out, force)
    if audio is None:
        recording = timing.swelling_chord(seconds)
    else:
        whole = read(audio)
        recording = Recording(whole.samples[:, : round(seconds * whole.sample_rate)], whole.sample_rate)
    chosen = chosen_systems(systems, commands, timeout, DEFAULT)
    if not keep_going:
        refuse(unavailable_systems(chosen), rest=len(chosen) > 1)
    if dry_run:
        show_preview({
            "systems": ", ".join(system.text for system in chosen),
            "audio": f"{recording.seconds:.2f} s at {recording.sample_rate} Hz, "
            f"{counted(recording.channels, 'channel')}",
            "turns": f"{repeats} per system, after {warm_up} not counted, with {counted(threads, 'thread')}",
            "output": out or "none",
        })  # fmt: skip
        return 0
    timings, failed = timing.measure(chosen, recording, repeats=repeats, warm_up=warm_up, threads=threads)
    if out is not None:
        content: dict[str, Any] = {
            "seconds": recording.seconds,
            "sample_rate": recording.sample_rate,
            "channels": recording.channels,
        }
        content |= {"repeats": repeats, "warm_up": warm_up, "threads": threads, "machine": machine()}
        content |= {"systems": [asdict(one) for one in timings], "failed": failed}
        write_text(out, json.dumps(content, indent=1) + "\n")
    click.echo(grid.RENDERERS[output](speed_grid(timings, failed, recording, repeats, threads)), nl=False)
    return 1 if failed else 0
