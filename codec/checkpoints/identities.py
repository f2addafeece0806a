"""Identities of a model: of all its weights, and of those that define its codes, the encoder and the codebooks.

Files of codes and language models name the second one, so that a new decoder invalidates neither. In version 0.1 they
named the first one; it is still accepted, and a model that was trained on with the same codes records it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from earmark.codec.checkpoints.header import DEFINE_CODES
from earmark.codec.checkpoints.layouts import state_of
from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.encodec.layers import fold_weight_norm
from earmark.codec.encodec.model import EncodecModel

EARLIER = "earlier_identities"  # key in the metadata of a checkpoint
MOST_EARLIER = 64
Versions = tuple[tuple[int, int], ...]  # address and version of each tensor

_identities: WeakKeyDictionary[EncodecModel, tuple[Versions, dict[tuple[str, ...], str]]] = WeakKeyDictionary()
_earlier: WeakKeyDictionary[EncodecModel, tuple[str, tuple[str, ...]]] = WeakKeyDictionary()


def identity(model: EncodecModel) -> str:
    """The SHA-256 of all weights of a model, the same in every layout and on every machine.

    It covers the tensors of `folded_state` in the order of their names: for each, "NAME SHAPE\\n" in ASCII, with SHAPE
    as 32x1x7, and the values as little-endian float32. Converting a model to a narrower type changes its identity. The
    result is cached until a weight changes, because hashing takes a while.
    """
    return _identity(model, ("",))


def codes_identity(model: EncodecModel) -> str:
    """The SHA-256 of encoder and codebooks, computed like `identity`; models that share it have the same codes."""
    return _identity(model, DEFINE_CODES)


def accepted_identities(model: EncodecModel) -> tuple[str, ...]:
    """All identities by which a file may name the codes of a model; the first is the one that new files get."""
    return codes_identity(model), identity(model), *earlier_identities(model)


def earlier_identities(model: EncodecModel) -> tuple[str, ...]:
    """Identities of earlier models with the same encoder and codebooks, as the checkpoint of a model records them."""
    codes, identities = _earlier.get(model, ("", ()))
    if not identities or codes != codes_identity(model):
        return ()
    return tuple(each for each in identities if each != identity(model))


def continue_from(model: EncodecModel, codes: str, identities: Sequence[str]) -> None:
    """Record the model from which a model was trained on.

    Args:
        codes: codes identity of the earlier model; if that of `model` differs, nothing of the record applies.
        identities: identity of the earlier model, and those that it recorded itself.
    """
    _earlier[model] = codes, tuple(identities)[:MOST_EARLIER]


def read_earlier(model: EncodecModel, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Record what a checkpoint with the tensors `state` says of earlier models; ignores what is no SHA-256."""
    identities = [each for each in metadata.get(EARLIER, "").split(",") if re.fullmatch("[0-9a-f]{64}", each)]
    if identities:
        continue_from(model, digest(_selected(state, DEFINE_CODES)), identities)


def folded_state(model: EncodecModel) -> dict[str, Tensor]:
    """The tensors of a trained or loaded model with weight norm folded, as float32 copies in main memory."""
    return state_of(model.state_dict(), "ours", skeleton(model.config), model.config.name)


def skeleton(config: EncodecConfig) -> EncodecModel:
    """A model with the names and shapes of folded weights on the meta device, without memory for values."""
    norm = "none" if config.seanet.norm == "weight_norm" else config.seanet.norm
    with torch.device("meta"):
        model = EncodecModel(replace(config, seanet=replace(config.seanet, norm=norm)))
        fold_weight_norm(model)  # blocks of plug-ins may have one of their own
    model.config = config
    return model


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of named float32 tensors; see `identity`."""
    hashed = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        hashed.update(f"{name} {'x'.join(map(str, tensor.shape))}\n".encode("ascii"))
        hashed.update(np.ascontiguousarray(tensor.numpy(), "<f4").data)
    return hashed.hexdigest()


def _identity(model: EncodecModel, beginnings: tuple[str, ...]) -> str:
    state = model.state_dict()
    if any(tensor.is_inference() for tensor in state.values()):  # these have no version counter
        return digest(_selected(folded_state(model), beginnings))
    versions = tuple((tensor.data_ptr(), tensor._version) for tensor in state.values())
    cached_versions, results = _identities.get(model, ((), {}))
    if cached_versions != versions:
        results = {}
        _identities[model] = versions, results
    if beginnings not in results:
        results[beginnings] = digest(_selected(folded_state(model), beginnings))
    return results[beginnings]


def _selected(state: Mapping[str, Tensor], beginnings: tuple[str, ...]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if name.startswith(beginnings)}
