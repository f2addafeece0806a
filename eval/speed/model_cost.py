"""Size and computation of a neural codec: parameters, bytes, and FLOPs per second of audio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from earmark.codec.encodec.model import EncodecModel
    from earmark.codec.language_model.network import LanguageModelConfig

SECONDS = 2  # of audio for the count; segments of the 48 kHz model overlap, which adds 1 %


@dataclass(frozen=True)
class ModelCost:
    """Size and computation of a model.

    Args:
        encode_flops, decode_flops: per second of audio; a multiplication and an addition count as two.
    """

    parameters: int
    weight_bytes: int
    encode_flops: float
    decode_flops: float

    def __add__(self, other: ModelCost) -> ModelCost:
        return ModelCost(
            self.parameters + other.parameters,
            self.weight_bytes + other.weight_bytes,
            self.encode_flops + other.encode_flops,
            self.decode_flops + other.decode_flops,
        )


def model_cost(source: str | Path, kbps: float) -> ModelCost:
    """Cost of a checkpoint, "encodec_24khz" or a file, at a bit rate.

    Counts convolutions, LSTMs and matrix products. Element-wise operations, a few percent of the time, are ignored.

    Raises:
        UserError: the checkpoint cannot be loaded.
    """
    from earmark.codec.checkpoints import loading as checkpoints

    return cost_of(checkpoints.load(source), kbps)


def language_model_cost(source: str | Path, checkpoint: str | Path, kbps: float) -> ModelCost:
    """Cost of the language model that codes a checkpoint's codes; see `model_cost`.

    Raises:
        UserError: one of them cannot be loaded, or they do not fit together.
    """
    from earmark.codec.checkpoints import loading as checkpoints
    from earmark.codec.language_model.files import load_portable

    codec = checkpoints.load(checkpoint).config
    model = load_portable(source, codec)
    weight_bytes = sum(tensor.nbytes for tensor in model.tensors.values())
    return language_model_cost_of(model.config, codec.codebooks(kbps), codec.step_rate, weight_bytes)


def language_model_cost_of(config: LanguageModelConfig, codebooks: int, steps: float, weight_bytes: int) -> ModelCost:
    """Cost of a language model, from its matrix products with a full context at every step.

    Args:
        codebooks: number of coded codebooks; each has an output layer.
        steps: steps per second.
    """
    import torch

    from earmark.codec.language_model.network import LanguageModel

    width = config.dimension
    layer = 4 * width**2 + 2 * (config.context + 1) * width + 2 * width * config.feed_forward
    flops = 2 * steps * (config.layers * layer + codebooks * width * config.codebook_size)
    with torch.device("meta"):
        parameters = sum(weight.numel() for weight in LanguageModel(config).parameters())
    return ModelCost(parameters, weight_bytes, flops, flops)


def cost_of(model: EncodecModel, kbps: float) -> ModelCost:
    """Cost of a model as loaded, before `accelerate` replaces its layers by packed operators."""
    import torch

    config = model.config
    audio = torch.zeros(1, config.channels, SECONDS * config.sample_rate)
    codebooks = config.codebooks(kbps)
    parts = [audio[..., start:end] for start, end in config.segments(audio.shape[-1])]
    latents = [torch.zeros(1, config.seanet.dimension, -(-part.shape[-1] // config.seanet.hop)) for part in parts]
    with torch.no_grad():  # networks as a whole: a long signal would pass them part by part, without the counted calls
        with _counted(model) as encoding:
            for part in parts:
                model.encoder(part)
        with _counted(model) as decoding:
            for latent in latents:
                model.decoder(latent)
    steps = sum(latent.shape[-1] for latent in latents)
    books = getattr(model.quantizer, "codebooks", None)  # DiffQ has none, and rounds
    search = 0 if books is None else 2 * steps * codebooks * books[0].numel()  # an inner product with every codeword
    weights = [*model.parameters(), *model.buffers()]
    return ModelCost(
        parameters=sum(weight.numel() for weight in weights),
        weight_bytes=sum(weight.numel() * weight.element_size() for weight in weights),
        encode_flops=(sum(encoding) + search) / SECONDS,
        decode_flops=sum(decoding) / SECONDS,
    )


@contextmanager
def _counted(model: nn.Module) -> Iterator[list[int]]:
    """Collect the FLOPs of every layer call within the block."""
    from torch import nn

    from earmark.codec.encodec.lstm import LSTM

    flops: list[int] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        x = inputs[0]
        if isinstance(layer, nn.ConvTranspose1d):  # the whole kernel applies to every input sample
            flops.append(2 * x.numel() * layer.out_channels // layer.groups * layer.kernel_size[0])
        elif isinstance(layer, nn.Conv1d):  # the whole kernel applies to every output sample
            flops.append(2 * output.numel() * layer.in_channels // layer.groups * layer.kernel_size[0])
        elif isinstance(layer, LSTM):  # four gates, each with input and state
            size = layer.lstm.hidden_size
            flops.append(2 * x.numel() // size * 4 * size * 2 * size * layer.lstm.num_layers)

    counted = (nn.Conv1d, nn.ConvTranspose1d, LSTM)
    hooks = [layer.register_forward_hook(count) for layer in model.modules() if isinstance(layer, counted)]
    try:
        yield flops
    finally:
        for hook in hooks:
            hook.remove()
