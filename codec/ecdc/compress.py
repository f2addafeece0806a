"""Coding of one signal to the bytes of an .ecdc file, and decoding."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earmark.codec.ecdc.file import read, write
from earmark.codec.ecdc.header import Format, Header
from earmark.codec.errors import UserError

if TYPE_CHECKING:  # torch takes seconds to import, and a light install does without it
    from torch import Tensor

    from earmark.codec.ecdc.segment_coders import SegmentCoder
    from earmark.codec.encodec.model import EncodecModel


def compress(
    model: EncodecModel,
    audio: Tensor | NDArray[np.float32],
    kbps: float | None = None,
    format: Format = "earmark",
    coder: SegmentCoder | None = None,
) -> bytes:
    """Code one signal to the bytes of an .ecdc file, which contains the identity of encoder and codebooks.

    Args:
        audio, kbps: see `EncodecModel.encode`.
        format: "earmark", which detects damage, or "reference", which the public EnCodec reads.
        coder: entropy coder by a language model; default: codes are stored without one.

    Raises:
        UserError: see `EncodecModel.encode`; or `audio` is a batch of several signals.
    """
    from earmark.codec.checkpoints.identities import codes_identity

    file = io.BytesIO()
    model_identity = codes_identity(model) if format == "earmark" else ""
    write(
        file, model.encode(audio, kbps), model.config, format=format, model_identity=model_identity,
        language_model=coder is not None, coder=coder,
    )  # fmt: skip
    return file.getvalue()


def decompress(
    model: EncodecModel, data: bytes, coder: SegmentCoder | Callable[[Header], SegmentCoder] | None = None
) -> Tensor:
    """Decode the bytes of an .ecdc file to audio, [1, channels, time].

    Args:
        coder: entropy coder by the language model that the file was written with, or a function that loads it; used
            only if the file was written with one.

    Raises:
        UserError: not an .ecdc file, made with other weights, or damaged; `read` returns the intact parts.
    """
    import torch

    from earmark.codec.checkpoints.identities import accepted_identities

    contents = read(io.BytesIO(data), model.config, coder=coder)
    if contents.header.model_identity:
        contents.header.require_model(model.config, accepted_identities(model))
    if contents.damage:
        raise UserError(f"damaged: {contents.damage[0].what}; earmark.codec.ecdc.read returns the intact parts")
    return torch.as_tensor(model.decode(contents.codes))
