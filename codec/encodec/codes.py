"""Coded signals: the codes of every segment, and their conversion to and from numpy. Importing it loads no torch."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from earmark.codec.errors import UserError
from earmark.codec.extras import require
from earmark.codec.files import written_whole

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

    def to(self, device: torch.device | str) -> Segment:
        """Move the segment to a device; the same tensors if they are there."""
        scale, mask = (None if tensor is None else tensor.to(device) for tensor in (self.scale, self.mask))
        return Segment(self.codes.to(device), scale, mask)


@dataclass(frozen=True)
class Codes:
    """Coded signal, or a batch of coded signals.

    `codes.array` and `codes.tensor` return the codes as integers, and `Codes.from_array` makes a coded signal from such
    integers. A model with segments (encodec_48khz) also needs `steps=codes.steps`, and `scales=codes.scales` if it
    normalises.

    Examples:
        >>> codes = model.encode(audio, kbps=6)
        >>> same = Codes.from_array(codes.array, codes.samples)

    Args:
        segments: codes of each segment, in order.
        samples: length of the signal, or of the longest signal in a batch; None for all samples of the last step.
        lengths: length of each signal in a batch, if they differ.
        from_numpy: whether decoding gives a numpy array instead of a tensor.
    """

    segments: tuple[Segment, ...]
    samples: int | None
    lengths: tuple[int, ...] | None = None
    from_numpy: bool = False

    @classmethod
    def from_array(
        cls,
        array: NDArray[np.integer] | Tensor,
        samples: int | None = None,
        *,
        steps: Sequence[int] | None = None,
        scales: NDArray[np.floating] | Tensor | None = None,
    ) -> Codes:
        """Make a coded signal from integers; a model decodes an array to an array, and a tensor to a tensor.

        Args:
            array: codes, [B, codebooks, steps], or [codebooks, steps] for one signal; integers of any type. Segments
                are concatenated along the steps.
            samples: length of the decoded signal; default: all samples of the last step.
            steps: number of steps of each segment; default: a single segment.
            scales: scale of each segment, [B, segments], for a model that normalises.

        Raises:
            UserError: if `array` does not contain codes, or if `steps` or `scales` do not match it.
        """
        require("torch", extra="encodec", for_="Codes.from_array")
        import torch

        from_numpy = not isinstance(array, torch.Tensor)
        codes = array if isinstance(array, torch.Tensor) else torch.as_tensor(_as_int64(array))
        codes = codes[None] if codes.ndim == 2 else codes
        codes = _require_codes(codes)
        batch, _, total = codes.shape
        steps = (total,) if steps is None else steps
        if sum(steps) != total or min(steps, default=1) < 1:
            raise UserError(f"codes of {total} steps cannot be cut into segments of {[*steps]} steps")
        if scales is not None and tuple(scales.shape) != (batch, len(steps)):
            raise UserError(f"scales of shape {[*scales.shape]}; these codes need {[batch, len(steps)]}")
        parts = codes.split([*steps], dim=-1)
        per_segment: Sequence[Tensor | None] = [None] * len(parts)
        if scales is not None:
            per_segment = torch.as_tensor(scales, dtype=torch.float32, device=codes.device).unbind(1)
        return cls(tuple(map(Segment, parts, per_segment)), samples, from_numpy=from_numpy)

    @property
    def tensor(self) -> Tensor:
        """Codes as int64, [B, codebooks, steps], on their device; segments, which may overlap, are concatenated.

        Raises:
            UserError: if the signals of a batch have different lengths, or if there are no samples.
        """
        import torch

        if any(segment.mask is not None for segment in self.segments):
            raise UserError(
                "signals of different lengths have no common array of codes; encode them one by one, or use the "
                "`codes` and `mask` of each of `segments`"
            )
        if not self.segments:
            raise UserError("no codes: the signal has no samples")
        return torch.cat([segment.codes for segment in self.segments], dim=-1)

    @property
    def array(self) -> NDArray[np.int64]:
        """`tensor` as a numpy array.

        Raises:
            UserError: see `tensor`.
        """
        return self.tensor.cpu().numpy()

    @property
    def steps(self) -> tuple[int, ...]:
        """Number of steps of each segment."""
        return tuple(segment.codes.shape[-1] for segment in self.segments)

    @property
    def scales(self) -> NDArray[np.float32] | None:
        """Scale of each segment, [B, segments]; None if the model does not normalise."""
        scales = [segment.scale.cpu().numpy() for segment in self.segments if segment.scale is not None]
        return np.stack(scales, axis=1) if scales else None

    def to(self, device: torch.device | str) -> Codes:
        """Move the codes to a device."""
        return replace(self, segments=tuple(segment.to(device) for segment in self.segments))

    def save(self, path: str | Path) -> None:
        """Write the codes to a .npz file, which numpy reads too; `Codes.load` reads it back.

        For files that detect damage and are as small as the bit rate says, see `earmark.codec.ecdc`.

        Raises:
            WriteError: if the folder cannot be written or the disk is full.
        """
        arrays: dict[str, NDArray[Any]] = {"steps": np.array(self.steps, np.int64)}
        if self.segments:
            arrays["codes"] = np.concatenate([s.codes.cpu().numpy().astype(np.uint16) for s in self.segments], axis=-1)
        if self.scales is not None:
            arrays["scales"] = self.scales
        masks = [segment.mask.cpu().numpy() for segment in self.segments if segment.mask is not None]
        if masks:
            arrays["masks"], arrays["lengths"] = np.concatenate(masks, axis=-1), np.array(self.lengths, np.int64)
        if self.samples is not None:
            arrays["samples"] = np.array(self.samples, np.int64)
        arrays["from_numpy"] = np.array(self.from_numpy)
        with written_whole(Path(path)) as aside, aside.open("wb") as file:
            np.savez_compressed(file, **cast("Any", arrays))

    @classmethod
    def load(cls, path: str | Path) -> Codes:
        """Read codes from a file that `save` wrote.

        Raises:
            UserError: if there is no such file, or if it does not hold codes.
        """
        require("torch", extra="encodec", for_="Codes.load")
        import torch

        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: torch.from_numpy(np.asarray(file[name])) for name in file.files}
            steps = arrays["steps"].tolist()
            codes = arrays["codes"].long().split(steps, dim=-1) if steps else ()
            scales = arrays["scales"].unbind(1) if "scales" in arrays else [None] * len(steps)
            masks = arrays["masks"].split(steps, dim=-1) if "masks" in arrays else [None] * len(steps)
            samples = int(arrays["samples"]) if "samples" in arrays else None
            lengths = tuple(arrays["lengths"].tolist()) if "lengths" in arrays else None
            segments = tuple(map(Segment, codes, scales, masks))
            return cls(segments, samples, lengths, bool(arrays["from_numpy"]))
        except FileNotFoundError as error:
            raise UserError(f"{path}: no such file") from error
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: holds no codes that `Codes.save` wrote; encode the audio again") from error


def _as_int64(array: Any) -> NDArray[np.integer]:
    array = np.asarray(array)
    return array.astype(np.int64) if array.dtype.kind in "iu" else array


def _require_codes(codes: Tensor) -> Tensor:
    """Codes as int64, after a check of shape, type and sign."""
    type_name = str(codes.dtype).removeprefix("torch.")
    if codes.ndim != 3 or 0 in codes.shape or not type_name.startswith(("int", "uint")):
        raise UserError(
            f"codes of shape {[*codes.shape]} and type {type_name}; they are integers [batch, codebooks, steps]"
        )
    codes = codes.long()
    if not codes.is_meta and int(codes.amin()) < 0:
        where = (codes < 0).nonzero()[0].tolist()
        raise UserError(
            f"code {int(codes[tuple(where)])} at [batch, codebook, step] = {where}; a code is the number of a "
            "codeword, from 0"
        )
    return codes
