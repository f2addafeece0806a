"""Files of language models: official checkpoints, and our own in float32 or in integers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from earmark.codec.checkpoints import identities
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.checkpoints.downloads import OFFICIAL_FILES, cached
from earmark.codec.encodec.config import EncodecConfig, from_stored, stored_keys, to_stored
from earmark.codec.errors import UserError, WriteError
from earmark.codec.files import written_whole
from earmark.codec.language_model.network import CONTEXT_SECONDS, LanguageModel, LanguageModelConfig
from earmark.codec.language_model.portable_coder import PortableModelCoder
from earmark.codec.language_model.portable_model import PortableModel
from earmark.codec.language_model.portable_quantization import quantized
from earmark.codec.language_model.public_coder import PublicModelCoder
from earmark.codec.language_model.restored import restored

FORMAT = "earmark.language_model"
VERSION = "1"
PER_MODEL, PER_LAYER, PER_CODEBOOK = 2, 12, 3  # number of tensors in a float model
MOST = 1 << 16  # largest value of a field of a configuration
Accepted = str | Sequence[str] | None
HEAD_WEIGHT = re.compile(r"linears\.(\d+)\.weight")


def config_for(codec: EncodecConfig) -> LanguageModelConfig:
    """Shape of the paper's language model for a codec: all its codebooks, and a context of 3.5 s.

    Raises:
        UserError: the codec's quantiser has frequencies of its own, which code its codes already.
    """
    if codec.quantizer != "rvq":
        raise UserError(
            f"{codec.name}: its quantiser, {codec.quantizer}, has a prior of its own; language models are for rvq"
        )
    return LanguageModelConfig(codec.codebooks(), int(CONTEXT_SECONDS * codec.step_rate), codec.codebook_size)


def portable_coder(source: str | Path, codec: EncodecConfig, accepted: Accepted = None) -> PortableModelCoder:
    """Load a model as the entropy coder of our file format; see `load_portable`."""
    return PortableModelCoder(load_portable(source, codec, accepted))


def public_coder(source: str | Path, codec: EncodecConfig, accepted: Accepted = None) -> PublicModelCoder:
    """Load a model as the entropy coder of the public file format; see `load_float`."""
    model = load_float(source, codec, accepted)
    return PublicModelCoder(model, identities.digest(model.state_dict()))


def load_portable(source: str | Path, codec: EncodecConfig, accepted: Accepted = None) -> PortableModel:
    """Load an integer model, from a file of integers or by quantising a float model.

    Args:
        source: a file, or the name of an official checkpoint in the user's cache.
        codec: shape of the codec whose codes the model is for.
        accepted: identities of the codec's codes (`identities.accepted_identities`). A file that names none of them is
            refused; None accepts any.

    Raises:
        UserError: if the file is missing, damaged, or not a language model for this codec.
    """
    path, tensors, metadata = _read(source, accepted)
    if metadata.get("arithmetic") != "integer":
        return quantized(_float_model(path, tensors, metadata, codec))
    config = _described(path, metadata)
    _require(path, config, codec)
    try:
        model = PortableModel(config, {name: tensor.numpy() for name, tensor in tensors.items()})
        saved = model.identity
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise UserError(f"{path}: damaged: {error}; copy it again") from error
    if metadata.get("identity") != saved:
        raise UserError(f"{path}: damaged: its contents are not those that were saved; copy it again")
    return model


def load_float(source: str | Path, codec: EncodecConfig, accepted: Accepted = None) -> LanguageModel:
    """Load a float model in evaluation mode; see `load_portable` for the arguments.

    Raises:
        UserError: likewise, or if the file only holds an integer model.
    """
    path, tensors, metadata = _read(source, accepted)
    if metadata.get("arithmetic") == "integer":
        raise UserError(f"{path}: holds an integer language model; --container reference needs one in floating point")
    return _float_model(path, tensors, metadata, codec)


def load_to_train(source: str | Path, codec: EncodecConfig) -> LanguageModel:
    """Load a model that a training starts from: a float one, or the float one that an integer one stands for.

    Raises:
        UserError: as by `load_portable`.
    """
    _, _, metadata = _read(source, None)
    return (
        restored(load_portable(source, codec)) if metadata.get("arithmetic") == "integer" else load_float(source, codec)
    )


def save(model: LanguageModel | PortableModel, path: Path, **metadata: str) -> None:
    """Write a model as safetensors, with its shape, arithmetic and identity as metadata.

    Args:
        model: float or integer model.
        path: file to write.
        metadata: further metadata to store.

    Raises:
        WriteError: if the folder is not writable or the disk is full.
    """
    if isinstance(model, PortableModel):
        state = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in model.tensors.items()}
        arithmetic, identity = "integer", model.identity
    else:
        state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
        arithmetic, identity = "float32", identities.digest(state)
    config = json.dumps(to_stored(model.config))
    about = {"format": FORMAT, "version": VERSION, "arithmetic": arithmetic, "config": config, "identity": identity}
    with written_whole(path) as aside:
        try:
            safetensors.torch.save_file(state, aside, {**metadata, **about})
        except SafetensorError as error:
            raise WriteError(f"{path}: cannot be written ({error}); is the disk full?") from error


def _read(source: str | Path, accepted: Accepted) -> tuple[Path, dict[str, Tensor], dict[str, str]]:
    path = cached(source) if isinstance(source, str) and source in OFFICIAL_FILES else Path(source)
    if not path.exists():
        raise UserError(f"{path}: no such file; give the official language model or one made by `earmark train-lm`")
    tensors, metadata = checkpoints.read(path)
    if metadata.get("format", FORMAT) != FORMAT:
        raise UserError(
            f"{path}: contains {metadata['format']}, not a language model; give one made by `earmark train-lm`"
        )
    trained_for = metadata.get("codec")
    known = [accepted] if isinstance(accepted, str) else [*(accepted or ())]
    if known and trained_for is not None and trained_for not in known:
        raise UserError(
            f"{path}: trained on codes of the weights {trained_for[:16]}; this codec has the weights {known[0][:16]}; "
            "give a language model trained on its codes"
        )
    return path, tensors, metadata


def _float_model(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], codec: EncodecConfig
) -> LanguageModel:
    config = _described(path, metadata) if "config" in metadata else _official_config(path, tensors, codec)
    _require(path, config, codec)
    wanted = PER_MODEL + PER_LAYER * config.layers + PER_CODEBOOK * config.codebooks
    if len(tensors) != wanted:
        raise UserError(f"{path}: not a language model for {codec.name}: {len(tensors)} tensors instead of {wanted}")
    with torch.device("meta"):
        model = LanguageModel(config)
    state = {name: tensor.float().clone() for name, tensor in tensors.items() if isinstance(tensor, Tensor)}
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"{path}: not a language model for {codec.name}: {reason}") from error
    digest = identities.digest(state)
    if metadata.get("identity", digest) != digest:
        raise UserError(f"{path}: damaged: its weights are not those that were saved; copy it again")
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise UserError(f"{path}: {name} contains NaN or infinity; train it again")
    return model.eval().requires_grad_(False)


def _official_config(path: Path, tensors: Mapping[str, Tensor], codec: EncodecConfig) -> LanguageModelConfig:
    """Shape of an official checkpoint, from the shapes of its tensors; the context is the paper's."""
    heads = [key for key in tensors if HEAD_WEIGHT.fullmatch(key)]
    if not heads or not isinstance(tensors[heads[0]], Tensor) or tensors[heads[0]].ndim != 2:
        raise UserError(f"{path}: holds no language model; give the official one or one made by `earmark train-lm`")
    codebook_size, dimension = tensors[heads[0]].shape
    return LanguageModelConfig(
        len(heads), config_for(codec).context, codebook_size, dimension, feed_forward=4 * dimension
    )


def _described(path: Path, metadata: Mapping[str, str]) -> LanguageModelConfig:
    """Shape of one of our files, from its metadata."""
    if metadata.get("version") != VERSION:
        raise UserError(f"{path}: another version of Earmark wrote this language model; update Earmark")
    try:
        data = json.loads(metadata.get("config", ""))
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or sorted(data) != sorted(stored_keys(LanguageModelConfig)):
        raise UserError(f"{path}: damaged: the description of the model's shape is incomplete; copy it again")
    if any(type(value) is not int or not 1 <= value <= MOST for value in data.values()):
        raise UserError(f"{path}: damaged: the model's shape is not possible; copy it again")
    return LanguageModelConfig(**from_stored(data))


def _require(path: Path, config: LanguageModelConfig, codec: EncodecConfig) -> None:
    """Raise UserError unless a model of this shape is possible and suits the codec."""
    if config.codebook_size != codec.codebook_size:
        raise UserError(
            f"{path}: has {config.codebook_size} codewords per codebook; {codec.name} has {codec.codebook_size}"
        )
    if config.dimension % config.heads or config.dimension % 2:
        raise UserError(f"{path}: damaged: {config.dimension} channels cannot be divided among {config.heads} heads")
