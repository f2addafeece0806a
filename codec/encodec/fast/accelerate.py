"""EnCodec faster on the CPU: the same functions, by layers made for inference."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from earmark.codec.encodec.config import SEANetConfig
from earmark.codec.encodec.fast.layers import FastConv, FastLSTM, FastResidual, FastUpsampling, Layer
from earmark.codec.encodec.fast.onednn import PackedLinear, supports
from earmark.codec.encodec.layers import LSTM, Conv1d, ConvTranspose1d
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.rvq import ResidualVectorQuantizer
from earmark.codec.encodec.seanet import ResidualUnit, SEANetDecoder, SEANetEncoder, State
from earmark.codec.errors import UserError

_TILE = 150  # latent steps in one go: activations stay near the cache, and memory does not grow with the signal
_SEGMENTS = 8  # that the LSTM takes together: it waits for its weights, and one reading serves them all
_ROWS = 1024  # of which the quantiser compares each with all entries in one go


def accelerate(model: EncodecModel, dtype: torch.dtype = torch.float32) -> None:
    """Make a model's encode(), decode() and streaming faster on the CPU; results stay equal but for rounding.

    To be called once the weights are final, and again if they change: packed copies of them are made. The model's
    parameters, state dict and gradients stay what they are. On another device, where torch has no oneDNN, and while
    gradients are recorded the plain layers go on working.

    Args:
        model: in evaluation mode; its encoder, decoder and quantiser are exchanged.
        dtype: torch.float32, or torch.bfloat16 for half as much speed again, at a precision of two to three digits.

    Raises:
        UserError: bfloat16 on a CPU that has no instructions for it.
    """
    if dtype not in (torch.float32, torch.bfloat16):
        raise ValueError(f"{dtype}: EnCodec is accelerated in float32 or bfloat16")
    if not supports(dtype):
        if dtype == torch.bfloat16:
            raise UserError("bfloat16: this CPU or this build of torch does not compute in it; use float32")
        return
    with torch.no_grad():
        model.encoder = FastEncoder(model.encoder, model.config.seanet, dtype)
        model.decoder = FastDecoder(model.decoder, model.config.seanet, dtype)
        model.quantizer = FastQuantizer(model.quantizer.codebooks)
    model.segments_at_once = _SEGMENTS
    model.train(model.training)


def _usable(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_grad_enabled()


class FastStack:
    """The layers of an encoder or decoder; the first and the last, which meet audio or latent, stay float32.

    Args:
        tile: steps of the input that a causal stack takes in one go.
    """

    def __init__(self, plain: nn.Sequential, causal: bool, tile: int, dtype: torch.dtype) -> None:
        self._made_of = plain, causal, tile, dtype
        self._causal, self._tile = causal, tile
        self._tanh = isinstance(plain[-1], nn.Tanh)
        layers: list[Layer] = []
        convs = [layer for layer in plain if isinstance(layer, Conv1d)]
        elu = False
        for layer in plain:
            if isinstance(layer, Conv1d):
                own = torch.float32 if layer in (convs[0], convs[-1]) else dtype
                layers.append(FastConv(layer, elu, own))
            elif isinstance(layer, ConvTranspose1d):
                layers.append(FastUpsampling(layer, dtype))
            elif isinstance(layer, ResidualUnit):
                layers.append(FastResidual(layer, dtype))
            elif isinstance(layer, LSTM):
                layers.append(FastLSTM(layer, dtype))
            elu = isinstance(layer, nn.ELU)

        self._layers = list(enumerate(layers))
        self._parts = [list(part) for _, part in groupby(self._layers, lambda pair: isinstance(pair[1], FastLSTM))]

    def __reduce__(self) -> Any:
        """Copies and pickles pack anew, since oneDNN's packed weights can be neither copied nor stored."""
        return FastStack, self._made_of

    def whole(self, x: Tensor) -> Tensor:
        """The whole signal, [B, C, T] -> [B, D, U]."""
        if self._causal:
            return self.step(x, {}, last=True)
        # Convolutions one signal at a time, for the sake of the cache; but the LSTM reads its weights from memory at
        # every step, and one reading serves the whole batch.
        x = x.transpose(1, 2)
        for part in self._parts:
            signals = [x] if isinstance(part[0][1], FastLSTM) else x.split(1)
            x = torch.cat([_run(part, signal, {}, last=True) for signal in signals])
        return self._leave(x)

    def step(self, x: Tensor, state: State, last: bool) -> Tensor:
        """Continue with any number of steps, [B, C, n] -> [B, D, m]."""
        tiles = x.transpose(1, 2).split(self._tile, dim=1)
        done = [_run(self._layers, tile, state, last and tile is tiles[-1]) for tile in tiles]
        return self._leave(torch.cat(done, dim=1) if len(done) > 1 else done[0])

    def _leave(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2).contiguous()
        return x.tanh_() if self._tanh else x


def _run(layers: list[tuple[int, Layer]], x: Tensor, state: State, last: bool) -> Tensor:
    for index, layer in layers:
        if index not in state:
            state[index] = layer.new_state()
        x = layer(x, state[index], last)
    return x


class FastEncoder(SEANetEncoder):
    """`SEANetEncoder` with the same parameters."""

    def __init__(self, plain: SEANetEncoder, config: SEANetConfig, dtype: torch.dtype) -> None:
        nn.Module.__init__(self)
        self.layers = plain.layers
        self._fast = FastStack(plain.layers, config.causal, _TILE * config.hop, dtype)

    def forward(self, audio: Tensor) -> Tensor:
        return self._fast.whole(audio) if _usable(audio) else super().forward(audio)

    def step(self, audio: Tensor, state: State, last: bool) -> Tensor:
        return self._fast.step(audio, state, last) if _usable(audio) else super().step(audio, state, last)


class FastDecoder(SEANetDecoder):
    """`SEANetDecoder` with the same parameters."""

    def __init__(self, plain: SEANetDecoder, config: SEANetConfig, dtype: torch.dtype) -> None:
        nn.Module.__init__(self)
        self.layers = plain.layers
        self._fast = FastStack(plain.layers, config.causal, _TILE, dtype)

    def forward(self, latent: Tensor) -> Tensor:
        return self._fast.whole(latent) if _usable(latent) else super().forward(latent)

    def step(self, latent: Tensor, state: State, last: bool) -> Tensor:
        return self._fast.step(latent, state, last) if _usable(latent) else super().step(latent, state, last)


class FastQuantizer(ResidualVectorQuantizer):
    """`ResidualVectorQuantizer` with the same codebooks, always in float32."""

    def __init__(self, codebooks: Tensor) -> None:
        nn.Module.__init__(self)
        self.register_buffer("codebooks", codebooks)
        self._scores = [PackedLinear(book, -book.square().sum(1) / 2, torch.float32) for book in codebooks]

    def __reduce__(self) -> Any:
        return FastQuantizer, (self.codebooks,)

    def encode(self, latent: Tensor, count: int | None = None) -> Tensor:
        if not _usable(latent):
            return super().encode(latent, count)
        batch, dimension, steps = latent.shape
        tiles = latent.transpose(1, 2).reshape(-1, dimension).split(_ROWS)
        codes = torch.cat([self._nearest(tile, count) for tile in tiles], dim=1)
        return codes.reshape(-1, batch, steps).transpose(0, 1)

    def _nearest(self, residual: Tensor, count: int | None) -> Tensor:
        """Codes of latent steps, [n, D] -> [count, n]."""
        codes = []
        for book, scores in zip(self.codebooks[:count], self._scores, strict=False):
            codes.append(scores(residual).argmax(dim=1))  # argmin |r - e|^2 = argmax r.e - |e|^2 / 2
            residual = residual - book.index_select(0, codes[-1])
        return torch.stack(codes)
