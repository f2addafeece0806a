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
    """Codes of one segment.

    Args:
        codes: [B, codebooks, T], the index of a codeword per codebook and step.
        scale: [B], factor for the decoded segment; None if the model does not normalise.
        mask: [B, T], False after the end of the shorter signals of a batch; None if all have one length.
    """

    codes: Tensor
    scale: Tensor | None
    mask: Tensor | None = None

    @classmethod
    def from_numpy(cls, codes: NDArray[np.integer], scale: float | None = None) -> Segment:
        """A segment of one signal, in main memory, from codes [codebooks, T]."""
        require("torch", extra="encodec", for_="Segment.from_numpy")
        import torch

        tensor = torch.from_numpy(codes.astype(np.int64))[None]
        return cls(tensor, None if scale is None else torch.tensor([scale]))

    def to_numpy(self) -> tuple[NDArray[np.uint16], float | None]:
        """Codes [codebooks, T] and scale of one signal, wherever its tensors are."""
        if self.codes.shape[0] != 1:
            raise ValueError(f"a segment of a batch of {self.codes.shape[0]} signals; convert them one by one")
        codes = self.codes[0].cpu().numpy().astype(np.uint16)
        return codes, None if self.scale is None else float(self.scale[0])

    def to(self, device: torch.device) -> Segment:
        """The same segment on another device."""
        scale, mask = (None if tensor is None else tensor.to(device) for tensor in (self.scale, self.mask))
        return Segment(self.codes.to(device), scale, mask)


@dataclass(frozen=True)
class Codes:
    """A coded signal, or a batch of them.

    `codes.array` gives the codes as integers, and `Codes.from_array` makes a coded signal from such integers:

        codes = model.encode(audio, kbps=6)
        same = Codes.from_array(codes.array, codes.samples)

    A model with segments (encodec_48khz) also needs `steps=codes.steps`, and `scales=codes.scales` if it normalises.

    Args:
        samples: length of the signal, the longest one of a batch.
        lengths: length of each signal of a batch, if they differ.
        from_numpy: the signal was a numpy array, so that its decoding will be one too.
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
        """A coded signal from an array of codes; a model decodes it to a numpy array.

        Args:
            array: integers [B, codebooks, steps], or [codebooks, steps] for one signal; segments follow each other.
            samples: length of the decoded signal; steps * hop if nothing is to be cut off at the end.
            steps: latent steps of each segment; one segment by default.
            scales: [B, segments], for a model that normalises its segments.

        Raises:
            UserError: `array` does not hold codes, or `steps` or `scales` do not fit it.
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
        """The codes as integers [B, codebooks, steps]; segments, which may overlap in time, follow each other.

        Raises:
            UserError: the signals of the batch have different lengths.
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
        """Latent steps of each segment."""
        return tuple(segment.codes.shape[-1] for segment in self.segments)

    @property
    def scales(self) -> NDArray[np.float32] | None:
        """Scales [B, segments]; None if the model does not normalise."""
        scales = [segment.scale.cpu().numpy() for segment in self.segments if segment.scale is not None]
        return np.stack(scales, axis=1) if scales else None

    def to(self, device: torch.device) -> Codes:
        """The same codes on another device."""
        return replace(self, segments=tuple(segment.to(device) for segment in self.segments))


def _require_codes(array: NDArray[np.integer]) -> None:
    if array.ndim != 3 or array.dtype.kind not in "iu" or 0 in array.shape:
        raise UserError(
            f"codes of shape {[*array.shape]} and type {array.dtype}; they are integers [batch, codebooks, steps]"
        )
    if array.min() < 0:
        raise UserError(f"codes down to {array.min()}; a code is the number of a codeword, from 0")
