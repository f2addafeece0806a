"""Arguments and options that `earmark encode`, `decode` and `inspect` share."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click

from earmark.codec.command_line import option
from earmark.codec.pipes import PIPE

FILE = click.Path(path_type=Path)
CACHE = {"EARMARK_CACHE": "Folder of downloaded weights [default: ~/.cache/earmark]."}


class Input(click.Path):
    """A file or folder, or - for a pipe."""

    def __init__(self) -> None:
        super().__init__(exists=True, allow_dash=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return Path(os.fsdecode(super().convert(value, param, ctx)))


class Recording(Input):
    """A recording or a folder of them, or - for a pipe."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = super().convert(value, param, ctx)
        if path != PIPE and path.suffix.lower() == ".ecdc" and not path.is_dir():
            audio = path.with_suffix(".wav")
            self.fail(f"{path} is coded already; decode it by `earmark decode {path} {audio}`", param, ctx)
        return path


class Clock(click.ParamType):
    """A time as seconds, minutes:seconds or hours:minutes:seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip()
        if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", text, re.ASCII):
            self.fail(f"{value} is not a time, e.g. 90, 1:30 or 1:02:03.5", param, ctx)
        seconds = 0.0
        for part in text.split(":"):
            seconds = 60 * seconds + float(part)
        return seconds


class Tag(click.ParamType):
    """NAME=TEXT."""

    name = "tag"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not equals or not name.strip():
            self.fail(f"{value!r} is no tag; write NAME=TEXT, e.g. title=Prelude", param, ctx)
        return name.strip(), text


checkpoint_option = option(
    "--checkpoint",
    metavar="FILE|official",
    show_default="bundled",
    help="Weights: a checkpoint file (official, Hugging Face or Earmark), or `official` for those that `earmark "
    "download` fetched. Bundled are those that come with Earmark.",
)
language_model_option = option(
    "--language-model",
    type=FILE,
    metavar="FILE",
    show_default="the one for the weights",
    help="Language model from `earmark train-lm`, or an official one.",
)
