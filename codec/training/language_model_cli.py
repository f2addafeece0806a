"""The command `earmark train-lm`."""

from __future__ import annotations

from pathlib import Path

import click

from earmark.codec.command_line import command, option, shared, show_preview
from earmark.codec.errors import UserError
from earmark.codec.extras import require
from earmark.codec.notices import notice
from earmark.codec.suggestions import did_you_mean, same
from earmark.codec.text import counted


@command(
    "train-lm",
    short_help="Train a language model for codes",
    examples=["earmark train-lm training/model.safetensors --data shards/ -o lm/"],
)
@click.argument("checkpoint", metavar="CODEC")
@shared.data
@shared.training_folder
@option(
    "--start-from", "start", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    show_default="random weights", help="Weights to start from: a model file of an earlier training, float or integer.",
)  # fmt: skip
@option(
    "--hours", type=click.FloatRange(min=0, min_open=True), metavar="HOURS", show_default="all",
    help="Train on about this many hours of the data, a fair sample.",
)  # fmt: skip
@option(
    "--updates",
    type=click.IntRange(min=1),
    default=20000,
    metavar="N",
    help="Length of the training, in optimizer updates.",
)
@option("--batch", type=click.IntRange(min=1), default=16, metavar="N", help="Sequences per update.")
@option("--seconds", type=click.FloatRange(0.1, 10), default=5.0, metavar="S", help="Length of a sequence in seconds.")
@option(
    "--learning-rate", type=click.FloatRange(min=0, min_open=True), default=5e-4, metavar="RATE",
    help="Highest learning rate.",
)  # fmt: skip
@option("--every", type=click.IntRange(min=1), default=1000, metavar="N", help="Updates between validations.")
@shared.seed
@option("--resume", is_flag=True, help="Continue the training in the folder of --out.")
@option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Save and stop after this many minutes.",
)
@shared.device
@shared.threads
@option("--tensorboard/--no-tensorboard", default=True, help="Write a log for TensorBoard.")
@shared.dry_run
@shared.quiet
def train_lm(
    checkpoint: str, data: tuple[Path, ...], out: Path, start: Path | None, hours: float | None, updates: int,
    batch: int, seconds: float, learning_rate: float, every: int, seed: int, resume: bool, minutes: float | None,
    device: str | None, threads: int | None, tensorboard: bool, dry_run: bool,
) -> None:  # fmt: skip
    """Train a language model for the codes of CODEC: a checkpoint, encodec_24khz or encodec_48khz.

    The recordings are coded once, into --out. With torchrun, the processes share each batch. The model then learns to
    predict the codes of a step from earlier steps. Validations report the remaining bit rate with the integer model,
    which is the one that codes files.
    """
    require("torch", extra="encodec", for_="train-lm")
    import torch

    from earmark.codec.checkpoints import identities
    from earmark.codec.checkpoints import loading as checkpoints
    from earmark.codec.encodec.config import PRESETS
    from earmark.codec.encodec.fast.accelerate import set_precision
    from earmark.codec.training.distributed import join, leave
    from earmark.codec.training.examples.shard_cache import describe, open_shards
    from earmark.codec.training.folder import require_free
    from earmark.codec.training.interrupts import suggest_resume
    from earmark.codec.training.language_model_run import MODEL, train
    from earmark.codec.training.language_model_trainer import LanguageModelRecipe

    if threads:
        torch.set_num_threads(threads)
    preset = None if Path(checkpoint).exists() else same(checkpoint, PRESETS)
    if preset is None and Path(checkpoint).is_dir():
        raise UserError(
            f"{checkpoint} is a folder; name a checkpoint file, e.g. {Path(checkpoint) / 'model.safetensors'}"
        )
    if preset is None and not Path(checkpoint).is_file():
        raise UserError(
            f"{checkpoint}: no such checkpoint; give a file, or one of {', '.join(PRESETS)}"
            f"{did_you_mean(checkpoint, PRESETS)}"
        )
    group = join(device)
    codec = checkpoints.load(preset or Path(checkpoint))
    accepted = identities.accepted_identities(codec)
    set_precision(codec.to(group.device), "float32")
    rate, channels = codec.config.sample_rate, codec.config.channels
    recipe = LanguageModelRecipe(updates, batch, seconds, learning_rate, min(200, updates), every, seed)
    require_free(out, resume)  # before shards are made
    if dry_run:
        show_preview({
            "codec": f"{codec.config.name}, {rate} Hz, {counted(channels, 'channel')}",
            "updates": f"{updates}, of {counted(batch, 'sequence')} of {seconds:g} s each",
            "data": "\n".join(describe(path, out / f"shards-{i}", rate, channels) for i, path in enumerate(data)),
            "output": out,
        })  # fmt: skip
        return
    stop_after = None if minutes is None else 60 * minutes
    try:
        parts = [open_shards(path, out / f"shards-{index}", rate, channels, group) for index, path in enumerate(data)]
        with suggest_resume(out, resume):
            done = train(
                recipe, codec, accepted, parts, out, group, start=start, hours=hours, resume=resume,
                stop_after=stop_after, tensorboard=tensorboard,
            )  # fmt: skip
    finally:
        leave()
    if group.rank == 0 and done:
        notice(f"done: {out / MODEL}")
    elif group.rank == 0:
        click.echo(f"time is up; run the same command with --resume to continue: {out}", err=True)
