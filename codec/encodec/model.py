"""EnCodec: encoder, quantiser and decoder (EnCodec paper, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earmark.codec.encodec.batches import runs_of_one_shape, stack, unstack
from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.encodec.overlap import overlap_add
from earmark.codec.encodec.rvq import ResidualVectorQuantizer
from earmark.codec.encodec.seanet import SEANetDecoder, SEANetEncoder
from earmark.codec.errors import UserError


class EncodecModel(nn.Module):
    """EnCodec (arXiv 2210.13438): a neural codec from audio to codes and back.

    A SEANet encoder turns audio into a latent of `dimension` channels at 75 or 150 steps per second, residual vector
    quantisation turns each step into one code per codebook, and a SEANet decoder turns the quantised latent into
    audio. A lower bit rate uses fewer codebooks of the same model. The model for 48 kHz codes segments of 1 s that
    overlap by 1 %, each divided by its RMS.

    Load one with trained weights by `earmark.load_model`; the constructor makes an untrained one. Call `eval()` before
    coding. Use `StreamingEncoder` and `StreamingDecoder` for signals that arrive in parts, and `earmark.codec.ecdc` to
    read and write files.

    Examples:
        >>> codes = model.encode(audio, kbps=6)     # audio: [channels, time], tensor or numpy array
        >>> decoded = model.decode(codes)           # [1, channels, time], of the same type

    Attributes:
        config: shape of the model and its bit rates.
        encoder: audio [B, channels, T] -> latent [B, dimension, ceil(T / hop)].
        quantizer: latent [B, dimension, T] -> codes [B, codebooks, T] and back.
        decoder: latent [B, dimension, T] -> audio [B, channels, T * hop].
        segments_at_once: number of segments of equal length that run as one batch; `accelerate` raises it.

    Args:
        config: shape of the model and its bit rates; see `PRESETS` for those of the paper.
    """

    segments_at_once = 1

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SEANetEncoder(config.seanet)
        self.quantizer = ResidualVectorQuantizer(config.seanet.dimension, config.codebooks(), config.codebook_size)
        self.decoder = SEANetDecoder(config.seanet)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.quantizer.codebooks.device

    @torch.inference_mode()
    def encode(
        self, audio: Tensor | NDArray[np.float32], kbps: float | None = None, lengths: Sequence[int] | None = None
    ) -> Codes:
        """Encode a signal, or a batch of signals.

        Args:
            audio: [channels, T] or [B, channels, T] at the model's sample rate, full scale at +-1.
            kbps: one of the model's bit rates; default: the highest.
            lengths: number of samples of each signal in the batch, if they differ. Each signal is then coded as if it
                were alone.

        Returns:
            Codes of all segments; see `Codes`.

        Raises:
            UserError: if the model was not trained for this bit rate, if the shape or type of the audio does not suit
                the model (see `signal`), or if the lengths do not suit the batch.
        """
        signal = self.signal(audio)
        count = self.config.codebooks(kbps)
        if lengths is not None:
            lengths = self._require_lengths(lengths, signal)
        if lengths is None or set(lengths) == {signal.shape[-1]}:
            bounds = self.config.segments(signal.shape[-1])
            segments = tuple(self.encode_segments([signal[..., start:end] for start, end in bounds], count))
        else:
            alone = [self.encode(signal[i : i + 1, :, :n], kbps).segments for i, n in enumerate(lengths)]
            segments = tuple(stack(column) for column in zip_longest(*alone))
        return Codes(segments, signal.shape[-1], tuple(lengths) if lengths else None, isinstance(audio, np.ndarray))

    @torch.inference_mode()
    def decode(self, codes: Codes) -> Tensor | NDArray[np.float32]:
        """Decode a signal, or a batch of signals.

        Args:
            codes: codes on any device; they are moved to the model's device.

        Returns:
            Audio, [B, channels, T], with silence after the end of shorter signals in a batch. A numpy array if the
            codes come from `Codes.from_array` or if a numpy array was encoded, otherwise a tensor.

        Raises:
            UserError: if the codes use more codebooks, or larger codebooks, than the model has.
        """
        codes = codes.to(self.device)
        for segment in codes.segments:
            self._require_codes(segment.codes)
        if not codes.segments:
            audio = self.quantizer.codebooks.new_zeros(1, self.config.channels, codes.samples)
        elif codes.segments[0].mask is None:
            parts = self.decode_segments(codes.segments)
            audio = overlap_add(parts, self.config.stride_samples or 0)[..., : codes.samples]
        else:
            assert codes.lengths is not None
            audio = self.quantizer.codebooks.new_zeros(len(codes.lengths), self.config.channels, codes.samples)
            for index, length in enumerate(codes.lengths):
                parts = self.decode_segments([p for s in codes.segments if (p := unstack(s, index)) is not None])
                audio[index, :, :length] = overlap_add(parts, self.config.stride_samples or 0)[0, :, :length]
        return audio.cpu().numpy() if codes.from_numpy else audio

    def encode_segments(self, audio: Sequence[Tensor], codebooks: int) -> list[Segment]:
        """Encode segments, each [B, channels, T], in batches of `segments_at_once`."""
        segments: list[Segment] = []
        for parts in runs_of_one_shape(audio, lambda part: part.shape, self.segments_at_once):
            batch = self.encode_segment(torch.cat(parts), codebooks)
            scales = [None] * len(parts) if batch.scale is None else batch.scale.chunk(len(parts))
            segments += map(Segment, batch.codes.chunk(len(parts)), scales)
        return segments

    def decode_segments(self, segments: Sequence[Segment]) -> list[Tensor]:
        """Decode segments to audio, each [B, channels, T * hop], in batches of `segments_at_once`."""
        audio: list[Tensor] = []
        for parts in runs_of_one_shape(segments, lambda segment: segment.codes.shape, self.segments_at_once):
            scales = [part.scale for part in parts if part.scale is not None]
            batch = Segment(torch.cat([part.codes for part in parts]), torch.cat(scales) if scales else None)
            audio += self.decode_segment(batch).chunk(len(parts))
        return audio

    def encode_segment(self, audio: Tensor, codebooks: int) -> Segment:
        """Encode one segment, [B, channels, T], with the first `codebooks` codebooks.

        A model that normalises divides by the scale sqrt(mean(mono^2)) + 1e-8, where mono is the mean of the channels.
        """
        scale = None
        if self.config.normalize:
            scale = audio.mean(dim=1).square().mean(dim=1).sqrt() + 1e-8
            audio = audio / scale[:, None, None]
        return Segment(self.quantizer.encode(self.encoder(audio), codebooks), scale)

    def decode_segment(self, segment: Segment) -> Tensor:
        """Decode one segment to audio, [B, channels, T * hop]."""
        audio: Tensor = self.decoder(self.quantizer.decode(segment.codes))
        return audio if segment.scale is None else audio * segment.scale[:, None, None]

    def signal(self, audio: Tensor | NDArray[np.float32]) -> Tensor:
        """Convert audio to the model's input: [B, channels, T], float32, on the model's device.

        Args:
            audio: [channels, T] or [B, channels, T], floating point.

        Raises:
            UserError: if the number of channels is not the model's, if there are no samples, or if the type is an
                integer type, whose full scale is not 1.
        """
        if isinstance(audio, np.ndarray):
            audio = torch.from_numpy(np.ascontiguousarray(audio))
        if not audio.is_floating_point():
            raise UserError(f"{self.config.name}: audio of {audio.dtype}; it takes floating point, full scale at +-1")
        signal = audio.to(self.device, torch.float32)
        if signal.ndim == 2:
            signal = signal[None]
        if signal.ndim != 3 or signal.shape[1] != self.config.channels or signal.shape[2] == 0:
            raise UserError(
                f"{self.config.name}: audio of shape {tuple(signal.shape)}; it takes [{self.config.channels}, time]"
            )
        return signal

    def _require_codes(self, codes: Tensor) -> None:
        codebooks, size, _ = self.quantizer.codebooks.shape
        if codes.shape[1] > codebooks:
            raise UserError(f"codes of {codes.shape[1]} codebooks; {self.config.name} has {codebooks}")
        if codes.is_meta or not codes.numel():  # tensors on torch's meta device have no values
            return
        if (largest := int(codes.amax())) >= size:
            raise UserError(f"code {largest}; the codebooks of {self.config.name} have the codewords 0 to {size - 1}")

    def _require_lengths(self, lengths: Sequence[int], signal: Tensor) -> list[int]:
        batch, _, longest = signal.shape
        lengths = [int(length) for length in lengths]
        if len(lengths) != batch or not all(1 <= length <= longest for length in lengths):
            raise UserError(
                f"{self.config.name}: lengths {lengths} for a batch of {batch}; give one from 1 to {longest} per signal"
            )
        return lengths
