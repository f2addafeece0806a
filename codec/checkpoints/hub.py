"""Models on the Hugging Face hub: their names, and downloading them to the user's cache."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from earmark.codec.checkpoints.downloads import HUB_NAME, cache_folder, fetch
from earmark.codec.errors import UserError

HUB_URL = "https://huggingface.co"
CONFIG, WEIGHTS = "config.json", ("model.safetensors", "pytorch_model.bin")


def is_hub_name(source: str) -> bool:
    """Whether a text has the form of a name on the hub, OWNER/MODEL, and no file or folder has it."""
    return re.fullmatch(HUB_NAME, source) is not None and not Path(source).exists()


def folder_of(name: str) -> Path:
    """The folder of a model in the user's cache."""
    return cache_folder() / "hub" / name.replace("/", "--")


def is_downloaded(name: str) -> bool:
    """Whether a model is in the user's cache."""
    folder = folder_of(name)
    return (folder / CONFIG).is_file() and any((folder / file).is_file() for file in WEIGHTS)


def cached(name: str) -> Path:
    """The folder of a model that was downloaded.

    Raises:
        UserError: it is not in the cache.
    """
    if not is_downloaded(name):
        raise UserError(f"{name}: no such file, and not downloaded from the hub; fetch it by `earmark download {name}`")
    return folder_of(name)


def download(name: str, url: str | None = None) -> Path:
    """Download a model to the user's cache, unless it is there; an interrupted transfer resumes.

    Args:
        name: OWNER/MODEL on the hub, of transformers' type "encodec".
        url: the hub or a mirror; default: $HF_ENDPOINT, else https://huggingface.co.

    Returns:
        The folder of its configuration and weights.

    Raises:
        UserError: no connection, no such model, a model of another type, or an interrupted transfer.
        WriteError: the cache folder cannot be written or the disk is full.
    """
    folder = folder_of(name)
    root = f"{(url or os.environ.get('HF_ENDPOINT') or HUB_URL).rstrip('/')}/{name}/resolve/main/"
    fetch(root + CONFIG, folder / CONFIG)
    try:
        kind = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError):
        kind = None
    if kind != "encodec":
        (folder / CONFIG).unlink()
        raise UserError(f"{name}: a model of type {kind!r}; Earmark loads models of the type 'encodec'")
    try:
        fetch(root + WEIGHTS[0], folder / WEIGHTS[0])
    except UserError as error:
        if " answers 404 " not in str(error):
            raise
        fetch(root + WEIGHTS[1], folder / WEIGHTS[1])
    return folder
