"""Coded signals: the codes of every segment, and their conversion to and from numpy. Importing it loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earmark.codec.errors import UserError
from earmark.codec.extras import require

if TYPE_CHECKING:  # torch takes seconds to import, and a light install lacks it
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Segment:
    """Codes of one segment, of one signal or of a batch of B signals.

    Args:
        codes: index of a codeword per codebook and step, [B, codebooks, T], int64.
        scale: factor for the decoded segment, [B]; None if the model does not normalise.
        mask: False after the end of shorter signals in a batch, [B, T]; None if all have the same length.
    """

    codes: Tensor
    scale: Tensor | None
    mask: Tensor | None = None

    @classmethod
    def from_numpy(cls, codes: NDArray[np.integer], scale: float | None = None) -> Segment:
        """Make a segment of one signal on the CPU from codes [codebooks, T]."""
        require("torch", extra="encodec", for_="Segment.from_numpy")
        import torch

        tensor = torch.from_numpy(codes.astype(np.int64))[None]
        return cls(tensor, None if scale is None else torch.tensor([scale]))

    def to_numpy(self) -> tuple[NDArray[np.uint16], float | None]:
        """Convert the segment of one signal, on any device, to codes [codebooks, T] and scale.

        Raises:
            ValueError: if the segment belongs to a batch of several signals.
        """
        if self.codes.shape[0] != 1:
            raise ValueError(f"a segment of a batch of {self.codes.shape[0]} signals; convert them one by one")
        codes = self.codes[0].cpu().numpy().astype(np.uint16)
        return codes, None if self.scale is None else float(self.scale[0])

    def to(self, device: torch.device) -> Segment:
        """Copy the segment to another device."""
        scale, mask = (None if tensor is None else tensor.to(device) for tensor in (self.scale, self.mask))
        return Segment(self.codes.to(device), scale, mask)


@dataclass(frozen=True)
class Codes:
    """Coded signal, or a batch of coded signals.

    `codes.array` returns the codes as integers, and `Codes.from_array` makes a coded signal from such integers. A model
    with segments (encodec_48khz) also needs `steps=codes.steps`, and `scales=codes.scales` if it normalises.

    Examples:
        >>> codes = model.encode(audio, kbps=6)
        >>> same = Codes.from_array(codes.array, codes.samples)

    Args:
        segments: codes of each segment, in order.
        samples: length of the signal, or of the longest signal in a batch.
        lengths: length of each signal in a batch, if they differ.
        from_numpy: whether decoding gives a numpy array instead of a tensor.
    """

    segments: tuple[Segment, ...]
    samples: int
    lengths: tuple[int, ...] | None = None
    from_numpy: bool = False

    @classmethod
    def from_array(
        cls,
        array: NDArray[np.integer],
        samples: int,
        *,
        steps: Sequence[int] | None = None,
        scales: NDArray[np.floating] | None = None,
    ) -> Codes:
        """Make a coded signal from an array of codes; a model decodes it to a numpy array.

        Args:
            array: codes, [B, codebooks, steps], or [codebooks, steps] for one signal; integers. Segments are
                concatenated along the steps.
            samples: length of the decoded signal; at most steps * hop for a model without segments.
            steps: number of steps of each segment; default: a single segment.
            scales: scale of each segment, [B, segments], for a model that normalises.

        Raises:
            UserError: if `array` does not contain codes, or if `steps` or `scales` do not match it.
        """
        require("torch", extra="encodec", for_="Codes.from_array")
        import torch

        array = np.asarray(array)
        array = array[None] if array.ndim == 2 else array
        _require_codes(array)
        batch, _, total = array.shape
        steps = (total,) if steps is None else steps
        if sum(steps) != total or min(steps, default=1) < 1:
            raise UserError(f"codes of {total} steps cannot be cut into segments of {[*steps]} steps")
        if scales is not None and scales.shape != (batch, len(steps)):
            raise UserError(f"scales of shape {[*scales.shape]}; these codes need {[batch, len(steps)]}")
        codes = torch.from_numpy(array.astype(np.int64)).split([*steps], dim=-1)
        per_segment = [None] * len(codes) if scales is None else torch.from_numpy(np.float32(scales)).unbind(1)
        return cls(tuple(map(Segment, codes, per_segment)), samples, from_numpy=True)

    @property
    def array(self) -> NDArray[np.int64]:
        """Codes as integers, [B, codebooks, steps]. Segments, which may overlap in time, are concatenated.

        Raises:
            UserError: if the signals of a batch have different lengths, or if there are no samples.
        """
        if any(segment.mask is not None for segment in self.segments):
            raise UserError(
                "signals of different lengths have no common array of codes; encode them one by one, or use the "
                "`codes` and `mask` of each of `segments`"
            )
        if not self.segments:
            raise UserError("no codes: the signal has no samples")
        return np.concatenate([segment.codes.cpu().numpy() for segment in self.segments], axis=-1)

    @property
    def steps(self) -> tuple[int, ...]:
        """Number of steps of each segment."""
        return tuple(segment.codes.shape[-1] for segment in self.segments)

    @property
    def scales(self) -> NDArray[np.float32] | None:
        """Scale of each segment, [B, segments]; None if the model does not normalise."""
        scales = [segment.scale.cpu().numpy() for segment in self.segments if segment.scale is not None]
        return np.stack(scales, axis=1) if scales else None

    def to(self, device: torch.device) -> Codes:
        """Copy the codes to another device."""
        return replace(self, segments=tuple(segment.to(device) for segment in self.segments))


def _require_codes(array: NDArray[np.integer]) -> None:
    if array.ndim != 3 or array.dtype.kind not in "iu" or 0 in array.shape:
        raise UserError(
            f"codes of shape {[*array.shape]} and type {array.dtype}; they are integers [batch, codebooks, steps]"
        )
    if array.min() < 0:
        raise UserError(f"codes down to {array.min()}; a code is the number of a codeword, from 0")
