"""Models in the layouts of other programs: transformers, the public EnCodec, and ONNX."""

from __future__ import annotations

import warnings
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from earmark.codec.checkpoints.foreign_configs import to_transformers
from earmark.codec.checkpoints.hub import CONFIG, WEIGHTS
from earmark.codec.checkpoints.identities import folded_state
from earmark.codec.checkpoints.layouts import CODEBOOK, CODEBOOKS, WEIGHT_NORMS, Layout, owner_in
from earmark.codec.encodec.config import PRESETS
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.rvq import ResidualVectorQuantizer
from earmark.codec.errors import UserError
from earmark.codec.files import write_text, written_whole

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
OPSET = 17  # of ONNX, from 2022


def to_huggingface(model: EncodecModel, folder: Path) -> None:
    """Write a folder that `transformers.EncodecModel.from_pretrained` loads.

    Raises:
        UserError: if transformers cannot have the model's shape or quantiser.
        WriteError: if the folder cannot be written or the disk is full.
    """
    _require_rvq(model, "huggingface")
    description = to_transformers(model.config)
    state = _state(model, "hugging face", *WEIGHT_NORMS[1])
    with written_whole(folder / WEIGHTS[0]) as aside:
        safetensors.torch.save_file(state, aside, {"format": "pt"})
    write_text(folder / CONFIG, description)


def to_encodec(model: EncodecModel, path: Path) -> None:
    """Write a state dict that the public EnCodec (encodec 0.1.1) loads.

    Raises:
        UserError: if the model has another shape than the two public ones, which that program alone can make.
        WriteError: if the folder cannot be written or the disk is full.
    """
    _require_rvq(model, "encodec")
    preset = PRESETS.get(model.config.name)
    if preset is None or (preset.seanet, preset.codebook_size, preset.codebooks(), preset.codebook_dim) != (
        model.config.seanet, model.config.codebook_size, model.config.codebooks(), model.config.codebook_dim,
    ):  # fmt: skip
        raise UserError(
            f"{model.config.name}: the public EnCodec makes the shapes of {' and '.join(PRESETS)} only, with all their "
            "codebooks; export it as huggingface"
        )
    state = _state(model, "official", *WEIGHT_NORMS[0])
    with written_whole(path) as aside:
        torch.save(state, aside)


def to_onnx(model: EncodecModel, folder: Path) -> None:
    """Write encoder.onnx and decoder.onnx, for any length and batch.

    The encoder takes `audio`, float32 [batch, channels, samples], and gives `codes` of all codebooks, int64
    [batch, codebooks, steps]; the first of them are the codes of a lower bit rate. The decoder takes codes of any
    number of codebooks and gives `audio`. A model that normalises also has `scale`, float32 [batch], as output of the
    encoder and input of the decoder. The graphs of a model with segments code one segment. The shortest signal has
    seven steps, the padding of the deepest layer.

    Raises:
        WriteError: if the folder cannot be written or the disk is full.
    """
    _require_rvq(model, "onnx")
    config = model.config
    scaled = ["scale"] if config.normalize else []
    steps = 2 * 7 + 1
    audio = torch.zeros(2, config.channels, steps * config.seanet.hop - 1)
    codes = torch.zeros(2, config.codebooks(), steps, dtype=torch.long)
    scale = (torch.ones(2),) if config.normalize else ()
    _write_graph(_EncoderGraph(model), (audio,), folder / ENCODER, ["audio"], ["codes", *scaled])
    _write_graph(_DecoderGraph(model), (codes, *scale), folder / DECODER, ["codes", *scaled], ["audio"])


def _require_rvq(model: EncodecModel, form: str) -> None:
    if model.config.quantizer != "rvq":
        raise UserError(
            f"--format {form}: no such form for the quantiser {model.config.quantizer} of {model.config.name}, which "
            "Earmark alone has; use --format earmark"
        )
    if model.config.seanet.film:
        raise UserError(f"--format {form}: no place for the switch for denoising; use --format earmark")


class _EncoderGraph(nn.Module):
    def __init__(self, model: EncodecModel) -> None:
        super().__init__()
        self.model, self.count = model, model.config.codebooks()

    def forward(self, audio: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        latent, scale = self.model.latent_of(audio)
        codes = self.model.quantizer.encode(latent, self.count)
        return codes if scale is None else (codes, scale)


class _DecoderGraph(nn.Module):
    """Decoder for any number of codebooks: a graph holds no loop over them, so all codewords are in one table."""

    def __init__(self, model: EncodecModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, codes: Tensor, scale: Tensor | None = None) -> Tensor:
        quantizer = self.model.quantizer
        assert isinstance(quantizer, ResidualVectorQuantizer)
        books, size, dimension = quantizer.codebooks.shape
        first = torch.arange(books)[: codes.shape[1]] * size
        codewords = quantizer.codebooks.reshape(books * size, dimension)
        latent = nn.functional.embedding(codes + first[:, None], codewords).sum(dim=1).transpose(1, 2)
        audio: Tensor = self.model.decoder(latent)
        return audio if scale is None else audio * scale[:, None, None]


AXES = {
    "audio": {0: "batch", 2: "samples"}, "codes": {0: "batch", 1: "codebooks", 2: "steps"}, "scale": {0: "batch"},
}  # fmt: skip


def _write_graph(
    graph: nn.Module, example: tuple[Tensor, ...], path: Path, inputs: list[str], outputs: list[str]
) -> None:
    with written_whole(path) as aside, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about lengths that the trace takes as fixed; the tests use others
        torch.onnx.export(
            graph.eval(), example, str(aside), dynamo=False, opset_version=OPSET, input_names=inputs,
            output_names=outputs, dynamic_axes={name: AXES[name] for name in (*inputs, *outputs)},
        )  # fmt: skip


def _state(model: EncodecModel, layout: Layout, g: str, v: str) -> dict[str, Tensor]:
    """Tensors of a model by their keys in a layout, with weight norm as magnitude `g` and direction `v`."""
    state: dict[str, Tensor] = {}
    for name, tensor in folded_state(model).items():
        if name == CODEBOOKS:
            state |= _codebooks(tensor, CODEBOOK[layout])
            continue
        owner = owner_in(layout, name, model)
        if name.endswith(".conv.weight") and model.config.seanet.norm == "weight_norm":
            state[f"{owner}.{g}"], state[f"{owner}.{v}"] = _magnitudes(tensor), tensor
        else:
            state[f"{owner}.{name.rpartition('.')[2]}"] = tensor
    return state


def _codebooks(codebooks: Tensor, stem: str) -> dict[str, Tensor]:
    """The buffers of each codebook in other programs; all but `embed` serve training."""
    state = {}
    for index, book in enumerate(codebooks):
        for name, value in (
            ("embed", book), ("embed_avg", book), ("inited", torch.ones(1)), ("cluster_size", torch.ones(len(book))),
        ):  # fmt: skip
            state[stem.format(index) + name] = value.clone()
    return state


def _magnitudes(weight: Tensor) -> Tensor:
    """Norms of a weight over all axes but the first, with which weight norm computes the same weight."""
    return weight.flatten(1).norm(dim=1).reshape(-1, *[1] * (weight.ndim - 1))
