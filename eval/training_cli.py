"""The command `earmark train`: the training of codec/training, with ViSQOL in its validation."""

from __future__ import annotations

from pathlib import Path

import click

from earmark.codec.command_line import Choice, command, option, shared, show_preview
from earmark.codec.command_line.types import completed_by
from earmark.codec.extras import require
from earmark.codec.notices import notice
from earmark.codec.text import counted


def _recipes() -> list[str]:
    from earmark.codec.training import recipe_files

    return recipe_files.names()


@command(
    short_help="Train a codec",
    examples=[
        "earmark train tiny --data shards/ -o training/",
        "earmark train encodec_24khz --data shards/ -o t/ --set training.epochs=3",
        "torchrun --nproc-per-node 8 -m earmark train tiny --data shards/ -o t/",
    ],
)
@click.argument("recipe", shell_complete=completed_by(_recipes))
@shared.data
@shared.training_folder
@option(
    "--rooms", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
    show_default="simulated ones", help="Folder of measured room impulse responses.",
)  # fmt: skip
@option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of the recipe, e.g. training.epochs=3.",
)
@option(
    "--mix", type=Choice(["speech", "music", "sound", "paper"]), metavar="speech|music|sound|paper",
    show_default="the recipe's", help="Train on single recordings of one category, or on the paper's mixture of all.",
)  # fmt: skip
@option("--resume", is_flag=True, help="Continue the training in the folder of --out.")
@option(
    "--start-from", "start", type=click.Path(exists=True, path_type=Path), metavar="PATH",
    show_default="random weights", help="Checkpoint, or folder of a training, with the weights to start from.",
)  # fmt: skip
@option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Save and stop after this many minutes.",
)
@shared.device
@shared.threads
@option(
    "--workers", type=click.IntRange(min=0), metavar="N", show_default="1 on CPU, up to 8 per GPU",
    help="Processes that prepare batches.",
)  # fmt: skip
@option("--visqol/--no-visqol", default=True, help="Score the validation by ViSQOL too.")
@option("--tensorboard/--no-tensorboard", default=True, help="Write a log for TensorBoard.")
@option(
    "--tracker", type=Choice(["wandb", "mlflow"]), metavar="wandb|mlflow",
    help="Log to Weights & Biases or MLflow too.",
)  # fmt: skip
@shared.dry_run
@shared.quiet
def train(
    recipe: str, data: tuple[Path, ...], out: Path, rooms: Path | None, settings: tuple[str, ...], mix: str | None,
    resume: bool,
    start: Path | None, minutes: float | None, device: str | None, threads: int | None, workers: int | None,
    visqol: bool, tensorboard: bool, tracker: str | None, dry_run: bool,
) -> None:  # fmt: skip
    """Train the codec of RECIPE: a name (encodec_24khz, encodec_48khz, soundstream, tiny, ...) or a TOML file.

    With torchrun, the processes share each batch. --resume continues an interrupted training from its last saved state;
    the weights at the end are the same as without the interruption. --set then changes a setting from there on, such
    as the learning rate, the losses or the number of updates; the earlier --set need not be repeated.
    """
    require("torch", extra="encodec", for_="train")
    import torch

    from earmark.codec.training import recipe_files
    from earmark.codec.training.distributed import join, leave
    from earmark.codec.training.examples.mixing import MIXES
    from earmark.codec.training.examples.reverb import MeasuredRooms
    from earmark.codec.training.examples.shard_cache import describe, open_shards
    from earmark.codec.training.folder import require_free
    from earmark.codec.training.interrupts import suggest_resume
    from earmark.codec.training.opening import earlier_settings
    from earmark.codec.training.run import train as run
    from earmark.eval.training_scorers import metric_scorers, require_score, visqol_scorer

    if threads:
        torch.set_num_threads(threads)
    earlier = earlier_settings(out) if resume else ()
    chosen = recipe_files.load(recipe, (*earlier, *(MIXES[mix] if mix else ()), *settings))
    rate, channels = chosen.model.sample_rate, chosen.model.channels
    require_free(out, resume)  # before shards are made
    if dry_run:
        show_preview({
            "recipe": chosen.name,
            "model": f"{chosen.model.name}, {rate} Hz, {counted(channels, 'channel')}",
            "updates": f"{chosen.training.total}, of {chosen.data.batch} excerpts of {chosen.data.seconds:g} s each",
            "data": "\n".join(describe(path, out / f"shards-{i}", rate, channels) for i, path in enumerate(data)),
            "output": out,
        })  # fmt: skip
        return
    if tracker:
        require(tracker, extra="wandb" if tracker == "wandb" else "mlflow", for_=f"--tracker {tracker}")
    scorers = {**({"visqol": visqol_scorer()} if visqol else {}), **metric_scorers(chosen.validation.metrics)}
    require_score(chosen.validation.best, chosen.validation.kbps, scorers)
    group = join(device)
    try:
        with suggest_resume(out, resume):
            done = run(
                chosen,
                [open_shards(path, out / f"shards-{i}", rate, channels, group) for i, path in enumerate(data)],
                out,
                group,
                rooms=MeasuredRooms(rooms, rate, chosen.data.rt60) if rooms else None,
                resume=resume,
                start=start,
                stop_after=None if minutes is None else 60 * minutes,
                scorers=scorers,
                tensorboard=tensorboard,
                workers=workers,
                may_change=True,
                tracker=tracker,
            )
    finally:
        leave()
    if group.rank == 0:
        time_is_up = f"time is up; run the same command with --resume to continue: {out}"
        if done:
            model = out / "model.safetensors"
            notice(f"done: {model if model.exists() else out}")  # diffq and gumbel have no file of a model
        else:
            click.echo(time_is_up, err=True)
