"""The Transformer over codes that drives the entropy coder, in float32 (EnCodec paper, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

PERIOD = 10000.0  # of the slowest position channel, over 2 pi
CONTEXT_SECONDS = 3.5


@dataclass(frozen=True)
class LanguageModelConfig:
    """Shape of a language model.

    Args:
        codebooks: the most that it can code; any smaller number works too.
        codebook_size: codewords of each codebook.
        context: latent steps before the present one that it attends to.
    """

    codebooks: int
    context: int
    codebook_size: int = 1024
    dimension: int = 200
    heads: int = 8
    layers: int = 5
    feed_forward: int = 800


@dataclass(frozen=True)
class PastInputs:
    """What a model must remember between calls: the last inputs of every layer, [B, up to context, dimension].

    Inputs and not keys and values, which could be kept instead: the reference projects them anew at every step, and
    only the same products in the same shapes give the same bits as it.
    """

    layers: tuple[Tensor, ...]
    steps: int


class LanguageModel(nn.Module):
    """Predicts the codes of a latent step from those before it, all codebooks at once.

    The names of the parameters are those of the official checkpoints.
    """

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = Transformer(config)
        self.emb = nn.ModuleList(
            nn.Embedding(config.codebook_size + 1, config.dimension) for _ in range(config.codebooks)
        )  # entry 0: no step before
        self.linears = nn.ModuleList(nn.Linear(config.dimension, config.codebook_size) for _ in range(config.codebooks))

    def forward(
        self, before: Tensor, past: PastInputs | None = None, offset: int | Tensor = 0
    ) -> tuple[Tensor, PastInputs]:
        """Logits of consecutive steps.

        Args:
            before: codes + 1 of the step before each, 0 where there is none, [B, codebooks, T].
            past: what the last call returned; None at the start of a segment.
            offset: position of the segment's first step, a number or [B, 1, 1]; drawn at random in training.

        Returns:
            [B, codebook_size, codebooks, T], and the past for the next call.
        """
        count = before.shape[1]
        x = sum(self.emb[k](before[:, k]) for k in range(count))
        assert isinstance(x, Tensor)
        x, past = self.transformer(x, past, offset)
        logits = torch.stack([self.linears[k](x) for k in range(count)], dim=1)
        return logits.permute(0, 3, 1, 2), past


def shifted(codes: Tensor) -> Tensor:
    """What `LanguageModel` takes to predict `codes`, [B, codebooks, T]."""
    return functional.pad(codes[..., :-1] + 1, (1, 0))


class Transformer(nn.Module):
    """A stack of causal layers on normalised inputs with sinusoidal positions."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.context = config.context
        self.norm_in = nn.LayerNorm(config.dimension)
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.layers))

    def forward(self, x: Tensor, past: PastInputs | None, offset: int | Tensor) -> tuple[Tensor, PastInputs]:
        """[B, T, dimension] -> [B, T, dimension]"""
        steps = x.shape[1]
        if past is None:
            # One vector of zeros stands before every segment, so that the first step has something to attend to.
            past = PastInputs(tuple(torch.zeros_like(x[:, :1]) for _ in self.layers), 0)
        times = torch.arange(steps, device=x.device)[None, :, None] + past.steps + offset
        x = self.norm_in(x) + positions(times, x.shape[-1])
        kept = []
        for layer, before in zip(self.layers, past.layers, strict=True):
            inputs = torch.cat([before, x], dim=1)
            x = layer(x, inputs, self.context)
            kept.append(inputs[:, -self.context :])
        return x, PastInputs(tuple(kept), past.steps + steps)


class TransformerLayer(nn.Module):
    """Attention and feed-forward network, each followed by the sum with its input and layer normalisation."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        dimension = config.dimension
        self.self_attn = nn.MultiheadAttention(dimension, config.heads, batch_first=True)
        self.linear1 = nn.Linear(dimension, config.feed_forward)
        self.linear2 = nn.Linear(config.feed_forward, dimension)
        self.norm1 = nn.LayerNorm(dimension)
        self.norm2 = nn.LayerNorm(dimension)

    def forward(self, x: Tensor, inputs: Tensor, context: int) -> Tensor:
        """The outputs of the last T steps, [B, T, dimension].

        Args:
            x: their inputs.
            inputs: those of the steps before and of themselves, [B, earlier + T, dimension].
            context: steps that each looks back.
        """
        last, count = x.shape[1], inputs.shape[1]
        ages = torch.arange(count - last, count, device=x.device)[:, None] - torch.arange(count, device=x.device)
        hidden = (ages < 0) | (ages > context)
        x = self.norm1(x + self.self_attn(x, inputs, inputs, attn_mask=hidden, need_weights=False)[0])
        return self.norm2(x + self.linear2(functional.gelu(self.linear1(x))))


def positions(times: Tensor, dimension: int) -> Tensor:
    """[cos | sin] of `times`, [B, T, 1] -> [B, T, dimension]; the slowest of the frequencies is 1 / PERIOD."""
    half = dimension // 2
    phase = times / PERIOD ** (torch.arange(half, device=times.device) / (half - 1))
    return torch.cat([torch.cos(phase), torch.sin(phase)], dim=-1)
