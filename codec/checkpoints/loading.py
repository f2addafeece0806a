"""Loading checkpoints of any layout, and saving them in ours."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from earmark.codec.checkpoints import hub
from earmark.codec.checkpoints.config_json import config_from_json, config_to_json
from earmark.codec.checkpoints.downloads import bundled, cached
from earmark.codec.checkpoints.foreign import POINTER, XP_CONFIG, from_package, shape_beside, weights_in
from earmark.codec.checkpoints.identities import (
    EARLIER,
    digest,
    earlier_identities,
    folded_state,
    read_earlier,
    skeleton,
)
from earmark.codec.checkpoints.layouts import layout_of, public_config, state_of
from earmark.codec.checkpoints.needed_parts import plugins_of, require_parts
from earmark.codec.encodec.config import PRESETS, EncodecConfig
from earmark.codec.encodec.learned_quantizers import LearnedQuantizer
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError, WriteError
from earmark.codec.files import written_whole
from earmark.codec.suggestions import did_you_mean

FORMAT = "earmark.encodec"
VERSION = "1"
PLUGINS = "plugins"  # key in the metadata of the plug-ins that a checkpoint needs


def load(source: str | Path, config: EncodecConfig | None = None) -> EncodecModel:
    """Load a model for inference: in eval mode, weight norm folded, no gradients, float32 in memory of its own.

    Args:
        source: a PyTorch or safetensors file; a Hugging Face folder; a compression checkpoint that audiocraft exported;
            a name on the Hugging Face hub, e.g. "facebook/encodec_32khz", of a model in the user's cache; or
            "encodec_24khz" or "encodec_48khz" for the weights that come with the package, or else for the official ones
            in the cache (`downloads.download` fetches them, and `downloads.cached` always gives the official file).
        config: the expected shape. By default, Earmark's files, folders and audiocraft's checkpoints contain their
            shape, and for other files the number of audio channels selects one of the two public models.

    Raises:
        UserError: no such file, or not in the cache; not readable, or containing code; or a key does not fit.
    """
    path = _path_of(source)
    if path.is_dir():
        path = weights_in(path)
    tensors, metadata = read(path)
    foreign = shape_beside(path)
    if XP_CONFIG in tensors or POINTER in tensors:
        tensors, foreign = from_package(path, tensors)
    ours = metadata.get("format") == FORMAT
    layout = "ours" if ours else layout_of(path, tensors)
    config = config or (None if ours else foreign)
    if ours:
        described = _described(path, metadata)
        if config not in (None, described):
            raise UserError(f"{path}: a checkpoint of {described.name} with another shape than the expected one")
        config = described
        require_parts(path, config, metadata.get(PLUGINS, ""))
    model = skeleton(config or public_config(tensors))
    state = state_of(tensors, layout, model, str(path))
    if ours and metadata.get("identity") != digest(state):
        raise UserError(f"{path}: damaged: its weights are not those that were saved; copy it again")
    model.load_state_dict(state, assign=True)
    try:
        model.quantizer.cumulative() if isinstance(model.quantizer, LearnedQuantizer) else None
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if ours:
        read_earlier(model, state, metadata)
    return model.eval().requires_grad_(False)


def _path_of(source: str | Path) -> Path:
    if isinstance(source, str) and source in PRESETS:
        return bundled(source) or cached(source)
    return hub.cached(str(source)) if hub.is_hub_name(str(source)) else Path(source)


def save(model: EncodecModel, path: Path, **metadata: str) -> None:
    """Write a model in our layout: safetensors with folded weights, and its shape and identity as metadata.

    Args:
        metadata: additional metadata, e.g. about the training data.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    state = folded_state(model)
    about = {"format": FORMAT, "version": VERSION, "config": config_to_json(model.config), "identity": digest(state)}
    if earlier := earlier_identities(model):
        about[EARLIER] = ",".join(earlier)
    if needed := plugins_of(model.config):
        about[PLUGINS] = ", ".join(needed)
    if taken := about.keys() & metadata.keys():
        raise ValueError(f"metadata {', '.join(sorted(taken))}: reserved by the format")
    with written_whole(path) as aside:
        try:
            safetensors.torch.save_file(state, aside, {**metadata, **about})
        except SafetensorError as error:
            raise WriteError(f"{path}: cannot be written ({error}); is the disk full?") from error


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the named tensors and the metadata of a PyTorch or safetensors file; tensors may be memory-mapped.

    Code in a file is never run.

    Raises:
        UserError: no such file, damaged, not a checkpoint, or holding other objects than tensors.
    """
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such file; give a checkpoint or one of {', '.join(PRESETS)}{did_you_mean(str(path), PRESETS)}"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: not readable: {error.strerror or error}") from error
    if head[8:] == b"{":  # 8 bytes of length, then a JSON header
        try:
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError) as error:
            raise _unreadable(path) from error
    return _read_pickled(path, is_zip=head[:4] == b"PK\x03\x04"), {}


def _read_pickled(path: Path, is_zip: bool) -> dict[str, Tensor]:
    """Named tensors of a PyTorch file, a zip archive since PyTorch 1.6."""
    try:
        if is_zip:
            _refuse_compressed(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about tensors of a damaged pickle
            tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        if foreign := re.search(r"GLOBAL ([\w.]{1,120})", str(error)):
            raise UserError(
                f"{path}: holds {foreign[1]}, which is not a tensor and could run code, so nothing was loaded; "
                "give a file of tensors alone"
            ) from error
        raise _unreadable(path) from error
    except Exception as error:  # a damaged pickle can make the reader raise any type
        raise _unreadable(path) from error
    if not isinstance(tensors, dict) or not all(isinstance(key, str) for key in tensors):
        raise UserError(f"{path}: holds no named tensors; a checkpoint is the state dict of a model")
    return tensors


def _unreadable(path: Path) -> UserError:
    return UserError(f"{path}: not readable as a checkpoint: truncated, damaged or of another type; copy it again")


def _refuse_compressed(path: Path) -> None:
    """PyTorch does not compress; a compressed entry could unpack to any size."""
    with zipfile.ZipFile(path) as archive:
        if any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist()):
            raise zipfile.BadZipFile("compressed")


def _described(path: Path, metadata: Mapping[str, str]) -> EncodecConfig:
    if metadata.get("version") != VERSION:
        raise UserError(f"{path}: another version of Earmark wrote this checkpoint; update Earmark")
    try:
        return config_from_json(metadata.get("config", ""))
    except UserError as error:
        raise UserError(f"{path}: {error}; the file is damaged or made by hand: save the model again") from error
