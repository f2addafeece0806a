"""The folder of a training: run.json, which identifies the training, and state.pt, from which it is resumed."""

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
from earmark.codec.files import require_own, write_text, written_whole

METADATA, STATE = "run.json", "state.pt"
FILES = ("log.jsonl", "model.safetensors", "model-card.md", "float.safetensors")  # beside them
LIBRARIES = ("earmark", "torch", "numpy", "soundfile", "soxr", "safetensors")


def check_run(
    folder: Path,
    metadata: Mapping[str, Any],
    labels: Mapping[str, str],
    resume: bool,
    upgrades: Mapping[str, Callable[[Any], Any]] | None = None,
) -> bool:
    """Check that a folder is free, or holds the training that `metadata` describes.

    Args:
        folder: folder of a training.
        metadata: expected content of run.json.
        labels: keys of `metadata` that must agree, with words for the error, e.g. "other data". Keys that an earlier
            version did not write are not compared.
        resume: whether an earlier part of this training is to be continued.
        upgrades: by key, a function that brings a value of an earlier version up to date.

    Returns:
        Whether the folder holds this training.

    Raises:
        UserError: the folder holds another training, or holds this one and `resume` is False.
    """
    require_free(folder, resume)
    earlier = read_metadata(folder)
    if earlier is None:
        return False
    for key, label in labels.items():
        upgrade = (upgrades or {}).get(key, lambda value: value)
        if key in earlier and upgrade(earlier[key]) != json.loads(json.dumps(metadata[key])):
            raise UserError(f"--out {folder}: was begun with {label}; give the same, or name another folder")
    return True


def require_free(folder: Path, resume: bool) -> None:
    """Check that a folder holds no training, unless it is to be continued, and no files that it would replace.

    Raises:
        UserError: it holds one, and `resume` is False; or files of a training's names that none wrote.
    """
    require_own(folder, (METADATA, STATE), FILES)
    if (folder / METADATA).exists() and not resume:
        raise UserError(f"--out {folder}: holds a training already; add --resume, or name another folder")


def write_metadata(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Write run.json: the metadata, and the circumstances of this process."""
    write_text(folder / METADATA, json.dumps({**metadata, **circumstances()}, indent=1))


def circumstances() -> dict[str, Any]:
    """Time, command, machine and library versions of this process."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "machine": platform.machine(),
        "versions": {name: installed_version(name) for name in LIBRARIES},
    }


def read_metadata(folder: Path) -> dict[str, Any] | None:
    """Read run.json; None if there is none.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / METADATA
    if not path.exists():
        return None
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged ({error}); name another folder, or restore this file") from error
    if not isinstance(metadata, dict):
        raise UserError(f"{path}: not what a training writes; name another folder, or restore this file")
    return metadata


def installed_version(package: str) -> str:
    """The version of an installed package, or "unknown"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state atomically; `path` is its file, or the folder of the training, for state.pt in it.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    path = path if path.suffix == ".pt" else path / STATE
    with written_whole(path) as temporary:
        try:
            torch.save(dict(state), temporary)
        except RuntimeError as error:  # torch's writer does not raise OSError
            raise WriteError(f"{path}: cannot be written ({error}); is the disk full?") from error


def is_state(path: Path) -> bool:
    """Whether a PyTorch file holds the state of a training, and not just tensors."""
    try:
        state = torch.load(path, map_location="meta", weights_only=True)
    except Exception:  # a damaged pickle can make the reader raise any type; the reader of the file reports it
        return False
    return isinstance(state, dict) and "updates" in state


def load_state(folder: Path, network: str) -> dict[str, Any]:
    """Read state.pt to the CPU. Adam's step counts stay there; on a GPU, each step would wait to read them.

    Args:
        folder: folder of a training, or a saved state.
        network: key of the network that the state must hold, which depends on the type of training.

    Raises:
        UserError: the file is missing, damaged, or of another type of training.
    """
    path = folder / STATE if folder.is_dir() or folder.suffix != ".pt" else folder
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{folder}: holds no {STATE}; give the folder of a training that has saved one") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path}: damaged or cut short ({reason}); restore it, or start a new training") from error
    if not isinstance(state, dict) or not {"updates", network} <= state.keys():
        raise UserError(f"{path}: is of another type of training, without a {network}")
    return state
