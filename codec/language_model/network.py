"""Transformer over codes, whose predictions drive the entropy coder, in float32 (EnCodec paper, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

PERIOD = 10000.0  # period of the slowest position channel in steps, divided by 2 pi
CONTEXT_SECONDS = 3.5  # the paper's receptive field of a layer


@dataclass(frozen=True)
class LanguageModelConfig:
    """Shape of a language model.

    Args:
        codebooks: maximum number of codebooks; the model also works with fewer.
        context: number of previous steps that each layer attends to.
        codebook_size: codewords per codebook.
        dimension: channels of the Transformer.
        heads: attention heads per layer.
        layers: number of layers.
        feed_forward: hidden channels of the feed-forward network in a layer.
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
    """State between calls: the last inputs of every layer, [B, up to context, dimension], and the steps so far.

    Keeping keys and values would save their projection at every step. But the public reference projects the inputs
    again, and only the same products of the same shapes give the same bits as it does.
    """

    layers: tuple[Tensor, ...]
    steps: int


class LanguageModel(nn.Module):
    """Transformer that predicts the codes of a step from those of previous steps (EnCodec paper, section 3.3).

    The input of step t is the sum of one learned embedding per codebook of the codes at t - 1. Five causal layers
    attend to the last 3.5 s. A linear layer per codebook gives the logits; the codebooks of a step are treated as
    independent, so one call predicts all of them. Parameters have the names of the official checkpoints.

    Examples:
        >>> logits, past = model(shifted(codes))    # a whole segment, codes [B, codebooks, T]
        >>> bits = torch.nn.functional.cross_entropy(logits, codes, reduction="sum") / math.log(2)

    Args:
        config: shape of the model.
    """

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = Transformer(config)
        self.emb = nn.ModuleList(
            nn.Embedding(config.codebook_size + 1, config.dimension) for _ in range(config.codebooks)
        )  # index 0: no previous step
        self.linears = nn.ModuleList(nn.Linear(config.dimension, config.codebook_size) for _ in range(config.codebooks))

    def forward(
        self, previous: Tensor, past: PastInputs | None = None, offset: int | Tensor = 0
    ) -> tuple[Tensor, PastInputs]:
        """Predict consecutive steps.

        Args:
            previous: codes + 1 of the step before each predicted step, [B, codebooks, T]; 0 if there is none. See
                `shifted`.
            past: state that the last call returned; None at the start of a segment.
            offset: position of the first step of the segment, an int or [B, 1, 1]; random in training.

        Returns:
            Logits, [B, codebook_size, codebooks, T], and the state for the next call.
        """
        count = previous.shape[1]
        x = sum(self.emb[k](previous[:, k]) for k in range(count))
        assert isinstance(x, Tensor)
        x, past = self.transformer(x, past, offset)
        logits = torch.stack([self.linears[k](x) for k in range(count)], dim=1)
        return logits.permute(0, 3, 1, 2), past


def shifted(codes: Tensor) -> Tensor:
    """Input of `LanguageModel` that predicts `codes`, [B, codebooks, T]: codes + 1, one step later, after a 0."""
    return functional.pad(codes[..., :-1] + 1, (1, 0))


class Transformer(nn.Module):
    """Stack of causal layers on normalised inputs plus sinusoidal positions."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.context = config.context
        self.norm_in = nn.LayerNorm(config.dimension)
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.layers))

    def forward(self, x: Tensor, past: PastInputs | None, offset: int | Tensor) -> tuple[Tensor, PastInputs]:
        """Continue a segment with T steps, [B, T, dimension] -> [B, T, dimension]."""
        steps = x.shape[1]
        if past is None:
            # A vector of zeros precedes every segment, so that the first step has something to attend to.
            past = PastInputs(tuple(torch.zeros_like(x[:, :1]) for _ in self.layers), 0)
        times = torch.arange(steps, device=x.device)[None, :, None] + past.steps + offset
        x = self.norm_in(x) + positions(times, x.shape[-1])
        kept = []
        for layer, earlier in zip(self.layers, past.layers, strict=True):
            inputs = torch.cat([earlier, x], dim=1)
            x = layer(x, inputs, self.context)
            kept.append(inputs[:, -self.context :])
        return x, PastInputs(tuple(kept), past.steps + steps)


class TransformerLayer(nn.Module):
    """Attention, then a feed-forward network; each is added to its input and followed by layer normalisation."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        dimension = config.dimension
        self.self_attn = nn.MultiheadAttention(dimension, config.heads, batch_first=True)
        self.linear1 = nn.Linear(dimension, config.feed_forward)
        self.linear2 = nn.Linear(config.feed_forward, dimension)
        self.norm1 = nn.LayerNorm(dimension)
        self.norm2 = nn.LayerNorm(dimension)

    def forward(self, x: Tensor, inputs: Tensor, context: int) -> Tensor:
        """Outputs of the last T steps, [B, T, dimension].

        Args:
            x: inputs of these steps, [B, T, dimension].
            inputs: inputs of earlier steps and of these, [B, earlier + T, dimension].
            context: number of previous steps that each step attends to.
        """
        new, count = x.shape[1], inputs.shape[1]
        ages = torch.arange(count - new, count, device=x.device)[:, None] - torch.arange(count, device=x.device)
        hidden = (ages < 0) | (ages > context)
        x = self.norm1(x + self.self_attn(x, inputs, inputs, attn_mask=hidden, need_weights=False)[0])
        return self.norm2(x + self.linear2(functional.gelu(self.linear1(x))))


def positions(times: Tensor, dimension: int) -> Tensor:
    """Position channels [cos | sin] of `times`, [B, T, 1] -> [B, T, dimension]; angular frequencies 1 to 1 / PERIOD."""
    half = dimension // 2
    phase = times / PERIOD ** (torch.arange(half, device=times.device) / (half - 1))
    return torch.cat([torch.cos(phase), torch.sin(phase)], dim=-1)
