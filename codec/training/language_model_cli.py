"""The command `earmark train-lm`."""

from __future__ import annotations

from pathlib import Path

import click

from earmark.codec.command_line import command, option, shared
from earmark.codec.extras import require


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
    show_default="random weights", help="Weights to start from: float.safetensors of an earlier training.",
)  # fmt: skip
@option(
    "--hours", type=click.FloatRange(min=0, min_open=True), metavar="HOURS", show_default="all",
    help="Take a fair sample of this length.",
)  # fmt: skip
@option("--updates", type=click.IntRange(min=1), default=20000, metavar="N", help="Updates of the training.")
@option("--batch", type=click.IntRange(min=1), default=16, metavar="N", help="Sequences per update.")
@option("--seconds", type=click.FloatRange(0.1, 10), default=5.0, metavar="S", help="Length of a sequence.")
@option(
    "--learning-rate", type=click.FloatRange(min=0, min_open=True), default=5e-4, metavar="RATE",
    help="Highest learning rate.",
)  # fmt: skip
@option("--every", type=click.IntRange(min=1), default=1000, metavar="N", help="Updates between validations.")
@shared.seed
@option("--resume", is_flag=True, help="Continue the training in --out.")
@option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), metavar="MINUTES", help="Save and stop after this time."
)
@shared.device
@shared.threads
@option("--tensorboard/--no-tensorboard", default=True, help="Write a log for TensorBoard.")
def train_lm(
    checkpoint: str, data: tuple[Path, ...], out: Path, start: Path | None, hours: float | None, updates: int,
    batch: int, seconds: float, learning_rate: float, every: int, seed: int, resume: bool, minutes: float | None,
    device: str | None, threads: int | None, tensorboard: bool,
) -> None:  # fmt: skip
    """Train a language model for the codes of CODEC: a checkpoint, encodec_24khz or encodec_48khz.

    The recordings are coded once, into --out. The model then learns to predict the codes of a step from earlier steps.
    Validations report the remaining bit rate with the integer model, which is the one that codes files.
    """
    require("torch", extra="encodec", for_="train-lm")
    import torch

    from earmark.codec.checkpoints import loading as checkpoints
    from earmark.codec.encodec.config import PRESETS
    from earmark.codec.encodec.fast.accelerate import accelerate
    from earmark.codec.training.distributed import single_process
    from earmark.codec.training.examples.shard_cache import open_shards
    from earmark.codec.training.interrupts import suggest_resume
    from earmark.codec.training.language_model_run import MODEL, train
    from earmark.codec.training.language_model_trainer import LanguageModelRecipe

    if threads:
        torch.set_num_threads(threads)
    group = single_process("train-lm", device)
    codec = checkpoints.load(checkpoint if checkpoint in PRESETS else Path(checkpoint))
    identity = checkpoints.identity(codec)
    if group.device.type == "cpu":
        accelerate(codec)
    rate, channels = codec.config.sample_rate, codec.config.channels
    parts = [open_shards(path, out / f"shards-{index}", rate, channels, group) for index, path in enumerate(data)]
    recipe = LanguageModelRecipe(updates, batch, seconds, learning_rate, min(200, updates), every, seed)
    stop_after = None if minutes is None else 60 * minutes
    with suggest_resume(out, resume):
        done = train(
            recipe, codec, identity, parts, out, group.device, start=start, hours=hours, resume=resume,
            stop_after=stop_after, tensorboard=tensorboard,
        )  # fmt: skip
    status = "done" if done else "time is up; run the same command with --resume to continue"
    click.echo(f"{status}: {out / MODEL}", err=True)
