"""Coding of one signal to the bytes of an .ecdc file, and decoding."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earmark.codec.ecdc.file import read, write
from earmark.codec.ecdc.header import Format
from earmark.codec.errors import UserError

if TYPE_CHECKING:  # torch takes seconds to import, and a light install does without it
    from torch import Tensor

    from earmark.codec.encodec.model import EncodecModel


def compress(
    model: EncodecModel, audio: Tensor | NDArray[np.float32], kbps: float | None = None, format: Format = "earmark"
) -> bytes:
    """Code one signal to the bytes of an .ecdc file, which contains the identity of the weights.

    Args:
        audio, kbps: see `EncodecModel.encode`.
        format: "earmark", which detects damage, or "reference", which the public EnCodec reads.

    Raises:
        UserError: see `EncodecModel.encode`; or `audio` is a batch of several signals.
    """
    from earmark.codec.checkpoints.loading import identity

    file = io.BytesIO()
    model_identity = identity(model) if format == "earmark" else ""
    write(file, model.encode(audio, kbps), model.config, format=format, model_identity=model_identity)
    return file.getvalue()


def decompress(model: EncodecModel, data: bytes) -> Tensor:
    """Decode the bytes of an .ecdc file to audio, [1, channels, time].

    Raises:
        UserError: not an .ecdc file, made with other weights, or damaged; `read` returns the intact parts.
    """
    import torch

    from earmark.codec.checkpoints.loading import identity

    contents = read(io.BytesIO(data), model.config)
    if contents.header.model_identity:
        contents.header.require_model(model.config, identity(model))
    if contents.damage:
        raise UserError(f"damaged: {contents.damage[0].what}; earmark.codec.ecdc.read returns the intact parts")
    return torch.as_tensor(model.decode(contents.codes))
