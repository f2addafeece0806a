"""Where a training's curves and audio go beside log.jsonl: TensorBoard, Weights & Biases, MLflow."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import click
from torch import Tensor

from earmark.codec.audio import write
from earmark.codec.extras import missing, require

TRACKERS = ("wandb", "mlflow")
PROJECT = "earmark"


class Tracker(Protocol):
    """The methods that the journal calls, with the signatures of TensorBoard's SummaryWriter."""

    def add_scalar(self, name: str, value: float, number: int, /) -> None:
        """Add a value after `number` updates."""

    def add_audio(self, name: str, samples: Tensor, number: int, sample_rate: int, /) -> None:
        """Add mono audio, [1, T]."""

    def add_image(self, name: str, image: Tensor, number: int, /) -> None:
        """Add a picture in shades of grey, [1, height, width] from 0 to 1."""

    def close(self) -> None:
        """Finish the log."""


def tensorboard(folder: Path, updates: int) -> Tracker | None:
    """TensorBoard's log in a folder; None, with a message, if it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        click.echo(f"{missing('tensorboard', extra='train')}; only log.jsonl is written", err=True)
        return None
    board: Tracker = SummaryWriter(str(folder), purge_step=updates + 1)
    return board


def tracker(name: str, folder: Path, settings: Mapping[str, Any]) -> Tracker:
    """The tracker of a name in TRACKERS, for the training in a folder. A resumed training continues its run there.

    Where the results go, and under which account, is for the tracker's own environment variables and configuration.

    Raises:
        UserError: it is not installed.
    """
    return WeightsAndBiases(folder, settings) if name == "wandb" else MLflow(folder, settings)


class WeightsAndBiases:
    """A run of Weights & Biases, whose id is kept in the folder of the training."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        require("wandb", extra="wandb", for_="--tracker wandb")
        import wandb

        self._wandb: Any = wandb
        identity = _kept(folder / "wandb-id.txt")
        self._run = wandb.init(
            project=PROJECT, name=folder.name, dir=str(folder), config=dict(settings), id=identity, resume="allow"
        )  # fmt: skip
        (folder / "wandb-id.txt").write_text(self._run.id, encoding="utf-8")
        self._run.define_metric("*", step_metric="update")
        self._last = 0  # step of the last values

    def add_scalar(self, name: str, value: float, number: int, /) -> None:
        self._log({name: value}, number)

    def add_audio(self, name: str, samples: Tensor, number: int, sample_rate: int, /) -> None:
        self._log({name: self._wandb.Audio(samples[0].numpy(), sample_rate=sample_rate)}, number)

    def add_image(self, name: str, image: Tensor, number: int, /) -> None:
        self._log({name: self._wandb.Image(image[0].numpy())}, number)

    def close(self) -> None:
        self._run.finish()

    def _log(self, values: Mapping[str, Any], number: int) -> None:
        """Log values after `number` updates. W&B's own steps only rise, but a validation is scored later."""
        self._last = max(self._last, number)
        self._run.log({**values, "update": number}, step=self._last)


class MLflow:
    """A run of MLflow, whose id is kept in the folder of the training."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        require("mlflow", extra="mlflow", for_="--tracker mlflow")
        import mlflow

        self._mlflow: Any = mlflow
        identity = _kept(folder / "mlflow-id.txt")
        mlflow.set_experiment(PROJECT)
        run = mlflow.start_run(run_id=identity, run_name=None if identity else folder.name)
        (folder / "mlflow-id.txt").write_text(run.info.run_id, encoding="utf-8")
        if identity is None:
            mlflow.log_dict(dict(settings), "recipe.json")

    def add_scalar(self, name: str, value: float, number: int, /) -> None:
        self._mlflow.log_metric(_allowed(name), value, step=number)

    def add_audio(self, name: str, samples: Tensor, number: int, sample_rate: int, /) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{_allowed(name).replace('/', '_')}-{number}.wav"
            write(path, samples.numpy(), sample_rate)
            self._mlflow.log_artifact(str(path), "audio")

    def add_image(self, name: str, image: Tensor, number: int, /) -> None:
        self._mlflow.log_image(image[0].numpy(), key=_allowed(name).replace("/", "_"), step=number)

    def close(self) -> None:
        self._mlflow.end_run()


def _allowed(name: str) -> str:
    """A name with the characters that MLflow allows: letters, digits and _-. :/ ."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)


def _kept(path: Path) -> str | None:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None
