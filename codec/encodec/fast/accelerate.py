"""Faster EnCodec on the CPU: replaces encoder, decoder and quantiser by versions for inference."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from earmark.codec.encodec.config import SEANetConfig
from earmark.codec.encodec.fast.layers import FastConv, FastResidual, FastUpsampling, Layer
from earmark.codec.encodec.fast.lstm import FastLSTM
from earmark.codec.encodec.fast.onednn import PackedLinear, supports
from earmark.codec.encodec.layers import Conv1d, ConvTranspose1d
from earmark.codec.encodec.lstm import LSTM
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.precision import has_bfloat16
from earmark.codec.encodec.rvq import ResidualVectorQuantizer
from earmark.codec.encodec.seanet import ResidualUnit, SEANetDecoder, SEANetEncoder, State
from earmark.codec.errors import UserError

_TILE = 150  # steps per call of the layers: activations stay near the cache, and memory does not grow with the signal
_SEGMENTS = 8  # segments per call of the LSTM, which is limited by reading its weights: they are read once for all
_ROWS = 1024  # steps that the quantiser compares with all codewords at once


def accelerate(model: EncodecModel, dtype: torch.dtype = torch.float32) -> None:
    """Speed up `encode`, `decode` and streaming of a model on the CPU; results stay equal up to rounding.

    The fast layers hold packed copies of the weights, and pack them again at the next call if the weights have changed.
    The model's parameters, state dict and gradients are unaffected, so it can be trained and exported as before: the
    plain layers still run while gradients are recorded, while torch traces, on other devices, in other types, and
    without oneDNN. They also run with other activations, blocks or quantisers than the paper's.

    Args:
        model: model in evaluation mode; its encoder, decoder and quantiser are replaced in place.
        dtype: torch.float32, or torch.bfloat16, which is 1.5 times as fast and precise to two or three digits.

    Raises:
        UserError: if bfloat16 is requested and the CPU has no instructions for it, or the build of torch lacks them.
        ValueError: if `dtype` is another type.
    """
    if dtype not in (torch.float32, torch.bfloat16):
        raise ValueError(f"{dtype}: EnCodec is accelerated in float32 or bfloat16")
    if not supports(dtype):
        if dtype == torch.bfloat16:
            raise UserError("bfloat16: this CPU, or this build of torch, has no instructions for it; use float32")
        return
    seanet = model.config.seanet
    if seanet.activation == "elu" and seanet.encoder_block == seanet.decoder_block == "residual":
        model.encoder = FastEncoder(model.encoder, seanet, dtype)
        model.decoder = FastDecoder(model.decoder, seanet, dtype)
    if type(model.quantizer) is ResidualVectorQuantizer:
        model.quantizer = FastQuantizer(model.quantizer.codebooks)
    model.segments_at_once = _SEGMENTS
    model.train(model.training)


def set_precision(model: EncodecModel, precision: str) -> None:
    """Prepare a model for inference on its device in a precision; on the CPU, by accelerated layers.

    Args:
        precision: "float32", "bfloat16", or "auto": bfloat16 where the device has instructions for it.

    Raises:
        UserError: if the precision has another name, or the device does not compute in bfloat16.
    """
    if precision not in ("float32", "bfloat16", "auto"):
        raise UserError(f"precision={precision!r}: choose float32, bfloat16 or auto")
    device = model.device
    low = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
    if low and not has_bfloat16(device):
        raise UserError(f"precision='bfloat16': {device} has no instructions for it; use float32")
    if device.type == "cpu":
        accelerate(model, torch.bfloat16 if low else torch.float32)
    elif low:
        model.bfloat16()


def _usable(x: Tensor, weights: Weights) -> bool:
    if x.device.type != "cpu" or x.dtype != torch.float32 or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return not (torch.is_grad_enabled() and (x.requires_grad or weights.need_gradients()))


class Weights:
    """The tensors of a module, to notice when one of them is replaced or changed in place."""

    def __init__(self, module: nn.Module) -> None:
        parts = module.modules()
        self._slots = [(d, name) for part in parts for d in (part._parameters, part._buffers) for name in d]

    def _tensors(self) -> Iterator[Tensor]:
        return (tensor for owner, name in self._slots if (tensor := owner[name]) is not None)

    def version(self) -> tuple[tuple[int, int], ...]:
        """Value that differs after any change; tensors made in inference mode count no changes in place."""
        return tuple((t.data_ptr(), 0 if t.is_inference() else t._version) for t in self._tensors())

    def need_gradients(self) -> bool:
        """Whether a result depends on a weight that records gradients."""
        return any(tensor.requires_grad for tensor in self._tensors())


class FastStack:
    """Fast layers of an encoder or decoder; the first and the last convolution always compute in float32.

    Args:
        plain: layers of the plain encoder or decoder.
        causal: whether they are causal.
        tile: input steps that a causal stack processes per call of its layers.
        dtype: type of the layers between the first and the last convolution.
    """

    def __init__(self, plain: nn.Sequential, causal: bool, tile: int, dtype: torch.dtype) -> None:
        self._made_of = plain, causal, tile, dtype
        self._causal, self._tile = causal, tile
        self._tanh = isinstance(plain[-1], nn.Tanh)
        self._plain, self._dtype = plain, dtype
        self._weights = Weights(plain)
        self._pack()

    def __reduce__(self) -> Any:
        """Pack the weights again in copies and pickles: oneDNN's packed weights can be neither copied nor stored."""
        return FastStack, self._made_of

    def usable(self, x: Tensor) -> bool:
        """Whether the fast layers compute x; packs the weights again if they have changed."""
        if not _usable(x, self._weights):
            return False
        if self._weights.version() != self._packed:
            self._pack()
        return True

    def _pack(self) -> None:
        self._packed = self._weights.version()
        with torch.no_grad():
            self._layers = list(enumerate(_fast_layers(self._plain, self._dtype)))
        self._parts = [list(part) for _, part in groupby(self._layers, lambda pair: isinstance(pair[1], FastLSTM))]

    def whole(self, x: Tensor) -> Tensor:
        """Process a whole signal, [B, C, T] -> [B, D, U]."""
        if self._causal:
            return self.step(x, {}, last=True)
        # The convolutions take one signal at a time, so that activations stay in the cache. The LSTM takes the whole
        # batch: it reads its weights from memory at every step, once for all signals.
        x = x.transpose(1, 2)
        for part in self._parts:
            signals = [x] if isinstance(part[0][1], FastLSTM) else x.split(1)
            x = torch.cat([_run(part, signal, {}, last=True) for signal in signals])
        return self._leave(x)

    def step(self, x: Tensor, state: State, last: bool) -> Tensor:
        """Continue a signal with any number of input steps, [B, C, n] -> [B, D, m]; `last` ends the signal."""
        tiles = x.transpose(1, 2).split(self._tile, dim=1)
        done = [_run(self._layers, tile, state, last and tile is tiles[-1]) for tile in tiles]
        return self._leave(torch.cat(done, dim=1) if len(done) > 1 else done[0])

    def _leave(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2).contiguous()
        return x.tanh_() if self._tanh else x


def _fast_layers(plain: nn.Sequential, dtype: torch.dtype) -> Iterator[Layer]:
    """Fast versions of the layers of a stack; each takes over the ELU before it."""
    convs = [layer for layer in plain if isinstance(layer, Conv1d)]
    elu = False
    for layer in plain:
        if isinstance(layer, Conv1d):
            yield FastConv(layer, elu, torch.float32 if layer in (convs[0], convs[-1]) else dtype)
        elif isinstance(layer, ConvTranspose1d):
            yield FastUpsampling(layer, dtype)
        elif isinstance(layer, ResidualUnit):
            yield FastResidual(layer, dtype)
        elif isinstance(layer, LSTM):
            yield FastLSTM(layer, dtype)
        elu = isinstance(layer, nn.ELU)


def _run(layers: list[tuple[int, Layer]], x: Tensor, state: State, last: bool) -> Tensor:
    """Continue a signal, [B, n, C] -> [B, m, D], through layers given with their index in `state`."""
    for index, layer in layers:
        if index not in state:
            state[index] = layer.new_state()
        x = layer(x, state[index], last)
    return x


class FastEncoder(SEANetEncoder):
    """`SEANetEncoder` with the same parameters and fast layers."""

    def __init__(self, plain: SEANetEncoder, config: SEANetConfig, dtype: torch.dtype) -> None:
        nn.Module.__init__(self)
        self.layers = plain.layers
        self._fast = FastStack(plain.layers, config.causal, _TILE * config.hop, dtype)

    def forward(self, audio: Tensor) -> Tensor:
        return self._switched(self._fast.whole(audio)) if self._fast.usable(audio) else super().forward(audio)

    def step(self, audio: Tensor, state: State, last: bool) -> Tensor:
        if not self._fast.usable(audio):
            return super().step(audio, state, last)
        return self._switched(self._fast.step(audio, state, last))

    def _switched(self, latent: Tensor) -> Tensor:
        return latent if self.film is None else self.film(latent)


class FastDecoder(SEANetDecoder):
    """`SEANetDecoder` with the same parameters and fast layers."""

    def __init__(self, plain: SEANetDecoder, config: SEANetConfig, dtype: torch.dtype) -> None:
        nn.Module.__init__(self)
        self.layers = plain.layers
        self._fast = FastStack(plain.layers, config.causal, _TILE, dtype)

    def forward(self, latent: Tensor) -> Tensor:
        return self._fast.whole(latent) if self._fast.usable(latent) else super().forward(latent)

    def step(self, latent: Tensor, state: State, last: bool) -> Tensor:
        return self._fast.step(latent, state, last) if self._fast.usable(latent) else super().step(latent, state, last)


class FastQuantizer(ResidualVectorQuantizer):
    """`ResidualVectorQuantizer` with the same codebooks and a faster search, always in float32."""

    def __init__(self, codebooks: Tensor) -> None:
        nn.Module.__init__(self)
        self.register_buffer("codebooks", codebooks)
        self._weights = Weights(self)
        self._pack()

    def _pack(self) -> None:
        self._packed = self._weights.version()
        with torch.no_grad():
            self._scores = [PackedLinear(book, -book.square().sum(1) / 2, torch.float32) for book in self.codebooks]

    def __reduce__(self) -> Any:
        return FastQuantizer, (self.codebooks,)

    def encode(self, latent: Tensor, count: int | None = None) -> Tensor:
        if not _usable(latent, self._weights):
            return super().encode(latent, count)
        if self._weights.version() != self._packed:
            self._pack()
        batch, dimension, steps = latent.shape
        tiles = latent.transpose(1, 2).reshape(-1, dimension).split(_ROWS)
        codes = torch.cat([self._nearest(tile, count) for tile in tiles], dim=1)
        return codes.reshape(-1, batch, steps).transpose(0, 1)

    def _nearest(self, residual: Tensor, count: int | None) -> Tensor:
        """Codes of the latent at n steps, [n, D] -> [count, n]."""
        codes = []
        for book, scores in zip(self.codebooks[:count], self._scores, strict=False):
            codes.append(scores(residual).argmax(dim=1))  # argmin |r - e|^2 = argmax r.e - |e|^2 / 2
            residual = residual - book.index_select(0, codes[-1])
        return torch.stack(codes)
