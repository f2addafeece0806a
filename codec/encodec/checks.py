"""Checks of what a model receives: audio, lengths and codes. Each message says what the model takes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.errors import UserError


def checked_signal(audio: Tensor | NDArray[np.float32], config: EncodecConfig, like: Tensor) -> Tensor:
    """Audio as [B, channels, T], of the type and on the device of `like`.

    Raises:
        UserError: see `EncodecModel.signal`.
    """
    if isinstance(audio, np.ndarray):
        audio = torch.from_numpy(np.ascontiguousarray(audio))
    if not isinstance(audio, Tensor):
        raise UserError(f"{config.name}: audio of type {type(audio).__name__}; it takes a tensor or a numpy array")
    if not audio.is_floating_point():
        raise UserError(f"{config.name}: audio of {audio.dtype}; it takes floating point, full scale at +-1")
    signal = audio.to(like.device, like.dtype)
    if signal.ndim == 2:
        signal = signal[None]
    if signal.ndim != 3 or signal.shape[1] != config.channels or signal.shape[2] == 0:
        raise UserError(f"{config.name}: audio of shape {tuple(signal.shape)}; it takes [{config.channels}, time]")
    if not signal.is_meta and not all(map(math.isfinite, signal.detach().aminmax())):
        batch, channel, time = (~signal.detach().isfinite()).nonzero()[0].tolist()
        raise UserError(
            f"{config.name}: sample {time} of channel {channel} of signal {batch} is NaN or infinite in "
            f"{str(like.dtype).removeprefix('torch.')}; replace such samples first"
        )
    return signal


def require_sample_rate(sample_rate: int, config: EncodecConfig) -> None:
    """Refuse audio at another sample rate than the model's."""
    if sample_rate != config.sample_rate:
        raise UserError(
            f"{config.name}: audio at {sample_rate} Hz; it takes {config.sample_rate} Hz: resample it first"
        )


def checked_lengths(lengths: Sequence[int], signal: Tensor, config: EncodecConfig) -> list[int]:
    """Lengths of the signals in a batch, as integers."""
    batch, _, longest = signal.shape
    lengths = [int(length) for length in lengths]
    if len(lengths) != batch or not all(1 <= length <= longest for length in lengths):
        raise UserError(
            f"{config.name}: lengths {lengths} for a batch of {batch}; give one from 1 to {longest} per signal"
        )
    return lengths


def require_codes(segment: Segment, config: EncodecConfig, sizes: Sequence[int]) -> None:
    """Refuse codes that are not numbers of codewords, of too many codebooks, or without the scale the model needs.

    Args:
        sizes: codewords of each codebook of the model.
    """
    codes = segment.codes
    if codes.shape[1] > len(sizes):
        raise UserError(f"codes of {codes.shape[1]} codebooks; {config.name} has {len(sizes)}")
    if config.normalize and segment.scale is None:
        raise UserError(f"codes without scales; {config.name} normalises: give `scales` to `Codes.from_array`")
    if codes.is_meta or not codes.numel():  # tensors on torch's meta device have no values
        return
    smallest, largest = map(int, codes.aminmax())
    if smallest < 0 or largest >= min(sizes):
        limits = torch.tensor(sizes[: codes.shape[1]], device=codes.device)[:, None]
        wrong = ((codes < 0) | (codes >= limits)).nonzero()
        if not len(wrong):  # the codebooks of a learned quantiser differ in size
            return
        where = wrong[0].tolist()
        raise UserError(
            f"code {int(codes[tuple(where)])} at [batch, codebook, step] = {where}; the codebooks of {config.name} "
            f"have the codewords 0 to {sizes[where[1]] - 1}"
        )


def checked_samples(codes: Codes, config: EncodecConfig) -> int:
    """Length of a coded signal, by default all samples of the last step; refuses codes that a file could not hold."""
    for segment in codes.segments:
        require_codes(segment, config, [config.codebook_size] * config.codebooks())
    hop, steps = config.seanet.hop, [segment.codes.shape[-1] for segment in codes.segments]
    last = min(steps[-1] * hop, config.segment_samples or steps[-1] * hop)
    samples = (len(steps) - 1) * (config.stride_samples or 0) + last if codes.samples is None else codes.samples
    expected = [-(-(end - start) // hop) for start, end in config.segments(samples)]
    if steps != expected:
        raise UserError(
            f"{config.name}: codes of {sum(steps)} steps in {len(steps)} segments, where {samples} samples have "
            f"{sum(expected)} steps in {len(expected)}; give `Codes.from_array` the right `samples` and `steps`"
        )
    return samples
