"""What the folder of every training holds: run.json, which tells it from others, and state.pt, to continue it from."""

from __future__ import annotations

import json
import pickle
import platform
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from earmark.codec.errors import UserError, WriteError
from earmark.codec.files import write_text, written_whole

ABOUT, STATE = "run.json", "state.pt"
LIBRARIES = ("earmark", "torch", "numpy", "soundfile", "soxr", "safetensors")


def open_folder(
    folder: Path,
    about: Mapping[str, Any],
    kinds: Mapping[str, str],
    resume: bool,
    upgrades: Mapping[str, Callable[[Any], Any]] | None = None,
) -> None:
    """Make run.json of `about` and the circumstances, or check that the training there is the one it tells of.

    Args:
        kinds: keys of `about` that must be the same, and what to call them when they are not: "other data". A key that
            the file does not have yet is not compared.
        upgrades: by key, what brings a value up to date that an earlier version may have written.

    Raises:
        UserError: the folder holds another training, or this one and `resume` is False.
    """
    place = folder / ABOUT
    if place.exists() and not resume:
        raise UserError(f"--out {folder}: holds a training already; add --resume to go on, or name another folder")
    earlier = told_of(folder)
    if earlier is None:
        facts = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": sys.argv,
            "machine": platform.machine(),
            "versions": {name: version_of(name) for name in LIBRARIES},
        }
        write_text(place, json.dumps({**about, **facts}, indent=1))
        return
    for key, what in kinds.items():
        upgrade = (upgrades or {}).get(key, lambda told: told)
        if key in earlier and upgrade(earlier[key]) != json.loads(json.dumps(about[key])):
            raise UserError(f"--out {folder}: was begun with {what}; give the same, or name another folder")


def told_of(folder: Path) -> dict[str, Any] | None:
    """What run.json says; None if there is none.

    Raises:
        UserError: it is damaged.
    """
    place = folder / ABOUT
    if not place.exists():
        return None
    try:
        about = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{place}: damaged ({error}); name another folder, or bring back this file") from error
    if not isinstance(about, dict):
        raise UserError(f"{place}: not what a training writes; name another folder, or bring back this file")
    return about


def version_of(name: str) -> str:
    """Of an installed package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write state.pt, whole or not at all.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    with written_whole(folder / STATE) as aside:
        try:
            torch.save(dict(state), aside)
        except RuntimeError as error:  # torch's writer does not raise OSError
            raise WriteError(f"{folder / STATE}: cannot be written ({error}); is the disk full?") from error


def load_state(folder: Path, network: str) -> dict[str, Any]:
    """Read state.pt, all of it on the CPU: there Adam keeps its count of steps, which it would wait for on a GPU.

    Args:
        network: a key that the state of the wanted kind of training has.

    Raises:
        UserError: it is not there, damaged, or of another kind of training.
    """
    path = folder / STATE
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{folder}: holds no {STATE}; give the folder of a training that has saved one") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path}: damaged or cut short ({reason}); bring it back from a copy, or begin anew") from error
    if not isinstance(state, dict) or not {"updates", network} <= state.keys():
        raise UserError(f"{path}: is of another kind of training, without a {network}")
    return state
