"""EnCodec for whole signals and batches of them (EnCodec paper, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.codec.encodec.batches import stack, unstack
from earmark.codec.encodec.checks import checked_lengths, checked_signal, require_codes, require_sample_rate
from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.lengths import run_lengths
from earmark.codec.encodec.overlap import overlap_add
from earmark.codec.encodec.segments import SegmentCodec
from earmark.codec.errors import UserError


class EncodecModel(SegmentCodec):
    """EnCodec (arXiv 2210.13438): a neural codec from audio to codes and back.

    A SEANet encoder turns audio into a latent of `dimension` channels at 75 or 150 steps per second, residual vector
    quantisation turns each step into one code per codebook, and a SEANet decoder turns the quantised latent into
    audio. A lower bit rate uses fewer codebooks of the same model. The model for 48 kHz codes segments of 1 s that
    overlap by 1 %, each divided by its RMS.

    Load one with trained weights by `earmark.load_model`; the constructor makes an untrained one. Call `eval()` before
    coding. Use `StreamingEncoder` and `StreamingDecoder` for signals that arrive in parts, and `earmark.codec.ecdc` to
    read and write files. `encode` and `decode` record no gradients, but return ordinary tensors, on which a model can
    be trained; calling the model records gradients. It computes in the type of its weights (`half()`, `bfloat16()`),
    on their device.

    Examples:
        >>> codes = model.encode(audio, kbps=6)     # audio: [channels, time], tensor or numpy array
        >>> decoded = model.decode(codes)           # [1, channels, time], of the same type
        >>> loss = (model(audio, kbps=6) - audio).abs().mean()

    Attributes:
        config: shape of the model and its bit rates.
        encoder: audio [B, channels, T] -> latent [B, dimension, ceil(T / hop)].
        quantizer: latent [B, dimension, T] -> codes [B, codebooks, T] and back.
        decoder: latent [B, dimension, T] -> audio [B, channels, T * hop].
        segments_at_once: number of segments of equal length that run as one batch; `accelerate` raises it.

    Args:
        config: shape of the model and its bit rates; see `PRESETS` for those of the paper.
    """

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.quantizer.like.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights, in which the model computes."""
        return self.quantizer.like.dtype

    @property
    def denoise(self) -> bool:
        """Whether `encode` leaves out the noise around speech, for a model that was trained with this switch.

        Setting it raises UserError for a model without the switch (SoundStream, section III-F).
        """
        film = self.encoder.film
        return film is not None and bool(film.enabled)

    @denoise.setter
    def denoise(self, enabled: bool) -> None:
        if self.encoder.film is not None:
            self.encoder.film.enabled = enabled
        elif enabled:
            raise UserError(
                f"{self.config.name}: has no switch for denoising; train one by `earmark train soundstream_denoise`"
            )

    def forward(self, audio: Tensor | NDArray[np.float32], kbps: float | None = None) -> Tensor:
        """Encode and decode a signal, or a batch of signals, with gradients.

        The quantiser passes the gradient of its output straight through to the encoder (Bengio et al. 2013; EnCodec
        paper, section 3.2). The codebooks get no gradient.

        Args:
            audio, kbps: see `encode`.

        Returns:
            Decoded audio, [B, channels, T].

        Raises:
            UserError: see `encode`.
        """
        signal = self.signal(audio)
        count = self.config.codebooks(kbps)
        parts = []
        for start, end in self.config.segments(signal.shape[-1]):
            latent, scale = self.latent_of(signal[..., start:end])
            quantized = self.quantizer.decode(self.quantizer.encode(latent.detach(), count))
            parts.append(self.decoded_of(latent + (quantized - latent).detach(), scale))
        return overlap_add(parts, self.config.stride_samples or 0)[..., : signal.shape[-1]]

    def latent(self, audio: Tensor | NDArray[np.float32]) -> Tensor:
        """Output of the encoder before quantisation, with gradients.

        Args:
            audio: see `encode`.

        Returns:
            Latent, [B, dimension, steps], on the steps of `Codes.array`: segments are concatenated.

        Raises:
            UserError: see `encode`.
        """
        signal = self.signal(audio)
        bounds = self.config.segments(signal.shape[-1])
        return torch.cat([self.latent_of(signal[..., start:end])[0] for start, end in bounds], dim=-1)

    def quantized_latent(self, codes: Codes) -> Tensor:
        """Sum of the codewords of each step: what the decoder receives, [B, dimension, steps].

        Raises:
            UserError: if the codes are not the model's; see `decode`. Signals of different lengths have no common
                latent.
        """
        codes = codes.to(self.device)
        for segment in codes.segments:
            require_codes(segment, self.config, self.quantizer.sizes)
        return self.quantizer.decode(codes.tensor)

    @torch.no_grad()
    def encode(
        self,
        audio: Tensor | NDArray[np.float32],
        kbps: float | None = None,
        lengths: Sequence[int] | None = None,
        sample_rate: int | None = None,
    ) -> Codes:
        """Encode a signal, or a batch of signals.

        Args:
            audio: [channels, T] or [B, channels, T] at the model's sample rate, full scale at +-1.
            kbps: one of the model's bit rates; default: the highest.
            lengths: number of samples of each signal in the batch, if they differ. Each signal is then coded as if it
                were alone.
            sample_rate: sample rate of the audio in Hz, to be checked.

        Returns:
            Codes of all segments; see `Codes`.

        Raises:
            UserError: if the model was not trained for this bit rate, if the audio has another sample rate, if its
                shape, type or values do not suit the model (see `signal`), or if the lengths do not suit the batch.
        """
        if sample_rate is not None:
            require_sample_rate(sample_rate, self.config)
        signal = self.signal(audio)
        count = self.config.codebooks(kbps)
        if lengths is not None:
            lengths = checked_lengths(lengths, signal, self.config)
        if lengths is None or set(lengths) == {signal.shape[-1]}:
            bounds = self.config.segments(signal.shape[-1])
            segments = tuple(self.encode_segments([signal[..., start:end] for start, end in bounds], count))
        else:
            segments = self._encode_lengths(signal, lengths, count)
        return Codes(segments, signal.shape[-1], tuple(lengths) if lengths else None, isinstance(audio, np.ndarray))

    @torch.no_grad()
    def decode(self, codes: Codes | Tensor | NDArray[np.integer]) -> Tensor | NDArray[np.float32]:
        """Decode a signal, or a batch of signals.

        Args:
            codes: codes on any device; they are moved to the model's device. An array of integers,
                [B, codebooks, steps] or [codebooks, steps], stands for `Codes.from_array` of it.

        Returns:
            Audio, [B, channels, T], with silence after the end of shorter signals in a batch. A numpy array if the
            codes come from `Codes.from_array` or if a numpy array was encoded, otherwise a tensor.

        Raises:
            UserError: if a code is not the number of a codeword, if there are more codebooks than the model has, or if
                the codes lack the scales that the model needs.
        """
        codes = (codes if isinstance(codes, Codes) else Codes.from_array(codes)).to(self.device)
        for segment in codes.segments:
            require_codes(segment, self.config, self.quantizer.sizes)
        if not codes.segments:
            audio = self.quantizer.like.new_zeros(1, self.config.channels, codes.samples or 0)
        elif codes.segments[0].mask is None:
            parts = self.decode_segments(codes.segments)
            audio = overlap_add(parts, self.config.stride_samples or 0)[..., : codes.samples]
        else:
            audio = self._decode_lengths(codes)
        return audio.float().cpu().numpy() if codes.from_numpy else audio

    def _encode_lengths(self, signal: Tensor, lengths: list[int], count: int) -> tuple[Segment, ...]:
        """Encode signals of different lengths, [B, channels, T], each as if it were alone."""
        config = self.config
        if self._as_one_segment():
            latents = run_lengths(self.encoder, signal, lengths, self.part_steps(len(lengths)) * config.seanet.hop)
            return (stack([Segment(self.quantizer.encode(latent, count), None) for latent in latents]),)
        bounds = [config.segments(length) for length in lengths]
        parts = [signal[i : i + 1, :, start:end] for i, own in enumerate(bounds) for start, end in own]
        coded = iter(self.encode_segments(parts, count))
        alone = [[next(coded) for _ in own] for own in bounds]
        return tuple(stack(column) for column in zip_longest(*alone))

    def _decode_lengths(self, codes: Codes) -> Tensor:
        """Decode signals of different lengths, [B, channels, T], with silence after the end of each."""
        assert codes.lengths is not None
        assert codes.samples is not None
        audio = self.quantizer.like.new_zeros(len(codes.lengths), self.config.channels, codes.samples)
        if self._as_one_segment():
            (segment,) = codes.segments
            assert segment.mask is not None
            latent, steps = self.quantizer.decode(segment.codes), segment.mask.sum(dim=1).tolist()
            parts = run_lengths(self.decoder, latent, steps, self.part_steps(len(steps)))
            for own, part, length in zip(audio, parts, codes.lengths, strict=True):
                own[:, :length] = part[0, :, :length]
            return audio
        for index, length in enumerate(codes.lengths):
            decoded = self.decode_segments([p for s in codes.segments if (p := unstack(s, index)) is not None])
            audio[index, :, :length] = overlap_add(decoded, self.config.stride_samples or 0)[0, :, :length]
        return audio

    def _as_one_segment(self) -> bool:
        """Whether a signal is one segment through causal layers, which allows to run it part by part."""
        return self.config.seanet.causal and self.config.segment is None and not self.config.normalize

    def signal(self, audio: Tensor | NDArray[np.float32]) -> Tensor:
        """Convert audio to the model's input: [B, channels, T], in the model's type and on its device.

        Args:
            audio: [channels, T] or [B, channels, T], floating point.

        Raises:
            UserError: if the number of channels is not the model's, if there are no samples, if the type is an integer
                type, whose full scale is not 1, or if a sample is NaN or infinite.
        """
        return checked_signal(audio, self.config, self.quantizer.like)
