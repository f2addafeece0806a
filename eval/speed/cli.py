"""`earmark bench`: speed, latency, memory and size of codecs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from earmark.baselines.interface import System
from earmark.eval.system_options import SystemList, chosen_systems, own_codecs, timeout

DEFAULT = "opus@6,opus@12,mp3@64"


@click.command()
@click.option(
    "--systems", type=SystemList(), show_default=DEFAULT,
    help="Comma-separated, e.g. opus@12,encodec_24khz@6.",
)  # fmt: skip
@own_codecs
@timeout
@click.option(
    "--audio", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Recording to code.  [default: noise over a chord, mono at 24 kHz]",
)  # fmt: skip
@click.option(
    "--seconds",
    type=click.FloatRange(1, 600),
    default=10.0,
    show_default=True,
    help="Use at most this much of the recording.",
)
@click.option("--repeats", type=click.IntRange(1), default=10, show_default=True, help="Measured turns per system.")
@click.option("--warm-up", type=click.IntRange(0), default=2, show_default=True, help="Turns before measuring starts.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads per system.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="JSON file to write every number to.")
@click.option(
    "--format", "output", type=click.Choice(["text", "markdown", "latex", "csv"]), default="text", show_default=True
)
def bench(
    systems: list[System] | None, commands: list[System], timeout: float | None, audio: Path | None, seconds: float,
    repeats: int, warm_up: int, threads: int, out: Path | None, output: str,
) -> int:  # fmt: skip
    """Time each system's encoder and decoder, with latency, memory, model size and FLOPs.

    The exit status is 1 if a system failed or cannot run here.
    """
    from earmark.codec.audio import Recording, read
    from earmark.codec.files import write_text
    from earmark.eval.comparison.machine import machine
    from earmark.eval.speed import timing
    from earmark.eval.speed.table import speed_grid
    from earmark.eval.tables import grid

    if audio is None:
        recording = timing.swelling_chord(seconds)
    else:
        whole = read(audio)
        recording = Recording(whole.samples[:, : round(seconds * whole.sample_rate)], whole.sample_rate)
    chosen = chosen_systems(systems, commands, timeout, DEFAULT)
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
