"""Running of the trainings of a sweep: here in sequence, on a Dask cluster, or as an array of Slurm."""

from __future__ import annotations

import functools
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from earmark.codec.errors import UserError
from earmark.codec.files import write_text
from earmark.eval.sweep.rows import Item

SCRIPT = "sweep.sbatch"


def command_of(item: Item, folder: Path, data: Sequence[Path], options: Sequence[str]) -> list[str]:
    """The arguments of `earmark` that make one training, or continue it.

    Args:
        folder: folder of the sweep.
        data: shards or manifests.
        options: further options of `earmark train`.
    """
    arguments = ["train", item.recipe, "--out", str(folder / item.folder), "--resume", *options]
    for path in data:
        arguments += ["--data", str(path)]
    for setting in item.settings:
        arguments += ["--set", setting]
    return arguments


def on_cluster(
    items: Sequence[Item], command: Callable[[Item], list[str]], address: str
) -> Iterator[tuple[Item, str | None]]:
    """Run trainings on a Dask cluster whose machines share all folders.

    Yields:
        Each training as it ends, and the reason if it failed.
    """
    from earmark.eval.comparison.cluster import run_on_cluster

    commands = {item: [sys.executable, "-m", "earmark", *command(item)] for item in items}
    yield from run_on_cluster(functools.partial(_run, commands), items, address, lambda item: "its worker died")


def _run(commands: dict[Item, list[str]], item: Item) -> str | None:
    """Run a training as a process of its own: a worker's task is not in the main thread, which handles interrupts."""
    done = subprocess.run(commands[item], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no message"])[-1]


def write_slurm(folder: Path, items: Sequence[Item], command: Sequence[str]) -> Path:
    """Write the script of a Slurm array, whose job N runs training N of the sweep.

    Args:
        command: the command line of the sweep, without --slurm.

    Raises:
        UserError: there are no trainings, or the folder has another script, into which its user may have written.
    """
    if not items:
        raise UserError("--slurm: no trainings")
    path = folder / SCRIPT
    lines = [
        "#!/bin/bash",
        "#SBATCH --job-name=earmark-sweep",
        f"#SBATCH --array=0-{len(items) - 1}",
        f"#SBATCH --output={folder / 'slurm-%a.txt'}",
        "# Add partition, time and GPUs here, or give them to sbatch. A job that is sent again continues.",
        f'exec {shlex.join(command)} --only "$SLURM_ARRAY_TASK_ID"',
    ]
    text = "\n".join(lines) + "\n"
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") != text:  # partition and time may be in it
        raise UserError(f"{path}: exists and differs from the script for this command; move it away")
    write_text(path, text)
    return path
