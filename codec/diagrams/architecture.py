"""The architecture of a model as a drawing, from its modules (EnCodec paper, Figure 1)."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from earmark.codec.diagrams.canvas import Canvas
from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.encodec.film import FiLM
from earmark.codec.encodec.layers import Conv1d, ConvTranspose1d
from earmark.codec.encodec.learned_quantizers import DiffQuantizer, LearnedQuantizer
from earmark.codec.encodec.lstm import LSTM
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.seanet import ResidualUnit

Part = tuple[str, str, str]  # name, detail and style of a box

WIDTH, HEIGHT, GAP = 260, 44, 18
LEFT, TOP = 20, 96
MIDDLE = LEFT + WIDTH + 90
RIGHT = MIDDLE + WIDTH + 90
BOOKS_SHOWN = 3


def draw(model: EncodecModel) -> str:
    """Draw encoder, quantiser and decoder as an SVG file.

    Args:
        model: any model; its weights are not used, so that it may be on torch's meta device.
    """
    config = model.config
    canvas = Canvas(f"{config.name}: encoder, quantiser and decoder")
    encoder, decoder = list(parts_of(model.encoder.layers)), list(parts_of(model.decoder.layers))
    rows = max(len(encoder), len(decoder))
    bottom = TOP + rows * (HEIGHT + GAP) - GAP
    canvas.text(LEFT + WIDTH / 2, 66, "Encoder", "head")
    canvas.text(RIGHT + WIDTH / 2, 66, "Decoder", "head")
    canvas.text(LEFT + WIDTH / 2, 84, f"audio {signal_of(config)}", "detail")
    canvas.text(RIGHT + WIDTH / 2, 84, f"decoded audio {signal_of(config)}", "detail")
    _column(canvas, LEFT, bottom - (len(encoder) * (HEIGHT + GAP) - GAP), encoder)
    _column(canvas, RIGHT, bottom - (len(decoder) * (HEIGHT + GAP) - GAP), decoder[::-1], upwards=True)
    top = _quantizer(canvas, model, bottom)
    low, high, turn = bottom - HEIGHT / 2, top + HEIGHT / 2, MIDDLE - 36
    canvas.arrow((LEFT + WIDTH, low), (turn, low), (turn, high), (MIDDLE, high))
    canvas.text(LEFT + WIDTH + 30, low - 8, "latent", "detail")
    canvas.arrow((MIDDLE + WIDTH + 16, bottom - HEIGHT / 2), (RIGHT, bottom - HEIGHT / 2))
    canvas.text(RIGHT - 42, bottom - HEIGHT / 2 - 8, "quantised", "detail")
    for line, text in enumerate(facts_of(config)):
        canvas.text(MIDDLE + WIDTH / 2, top - 34 - 17 * (len(facts_of(config)) - line), text, "detail")
    return canvas.svg()


def _column(canvas: Canvas, x: float, y: float, parts: list[Part], upwards: bool = False) -> None:
    """Boxes below each other in the order in which they are drawn; the signal may run upwards."""
    for number, (name, detail, style) in enumerate(parts):
        top = y + number * (HEIGHT + GAP)
        canvas.box(x, top, WIDTH, HEIGHT, name, detail, style)
        if number and upwards:
            canvas.arrow((x + WIDTH / 2, top), (x + WIDTH / 2, top - GAP))
        elif number:
            canvas.arrow((x + WIDTH / 2, top - GAP), (x + WIDTH / 2, top))


def parts_of(layers: nn.Sequential) -> Iterator[Part]:
    """The boxes of a stack; an activation is named in the box of the layer behind it."""
    before = ""
    for layer in layers:
        if isinstance(layer, nn.ELU):
            before = "ELU, "
            continue
        if isinstance(layer, nn.Tanh):
            yield "Tanh", "", "box"
            continue
        yield _part(layer, before)
        before = ""


def _part(layer: nn.Module, before: str) -> Part:
    if isinstance(layer, ResidualUnit):
        first, second = layer.block[1].conv, layer.block[3].conv
        skip = "identity" if isinstance(layer.shortcut, nn.Identity) else "convolved"
        detail = f"kernels {first.kernel_size[0]}, {second.kernel_size[0]}, dilation {first.dilation[0]}, {skip} skip"  # type: ignore[index, union-attr]
        return f"Residual unit, {second.out_channels} channels", detail, "box"  # type: ignore[union-attr]
    if isinstance(layer, LSTM):
        return f"LSTM, {layer.lstm.num_layers} layers", f"{layer.lstm.hidden_size} channels, with skip", "lstm"
    if isinstance(layer, FiLM):
        return "FiLM", "denoising on or off", "lstm"
    if isinstance(layer, ConvTranspose1d):
        conv = layer.conv
        return f"{before}transposed convolution, × {layer.stride}", _sizes(conv), "resample"
    assert isinstance(layer, Conv1d)
    if layer.stride > 1:
        return f"{before}convolution, ÷ {layer.stride}", _sizes(layer.conv), "resample"
    return f"{before}convolution", _sizes(layer.conv), "conv"


def _sizes(conv: nn.Conv1d | nn.ConvTranspose1d) -> str:
    stride = f", stride {conv.stride[0]}" if conv.stride[0] > 1 else ""
    return f"{conv.in_channels} → {conv.out_channels} channels, kernel {conv.kernel_size[0]}{stride}"


def signal_of(config: EncodecConfig) -> str:
    """Channels and sample rate: "1 × 24 kHz"."""
    return f"{config.channels} × {config.sample_rate / 1000:g} kHz"


def facts_of(config: EncodecConfig) -> list[str]:
    """Lines on the whole model."""
    seanet = config.seanet
    norms = {"none": "no normalisation", "weight_norm": "weight norm", "layer_norm": "layer norm",
             "time_group_norm": "layer norm over time and channels"}  # fmt: skip
    lines = [
        f"{'causal' if seanet.causal else 'not causal'} convolutions, {norms[seanet.norm]}",
        f"{seanet.hop} samples per step, {config.step_rate:g} steps per second",
    ]
    if config.segment is not None:
        lines.append(f"segments of {config.segment:g} s, overlapping by {100 * config.overlap:g} %")
    if config.normalize:
        lines.append("each segment divided by its RMS")
    return lines


def _quantizer(canvas: Canvas, model: EncodecModel, bottom: float) -> float:
    """Draw the quantiser in the middle column, down to `bottom`; returns its top."""
    config, quantizer = model.config, model.quantizer
    rates = f"{', '.join(f'{kbps:g}' for kbps in config.kbps)} kbps"
    if isinstance(quantizer, DiffQuantizer):
        heading = "DiffQ (A.2.1)"
        parts = [("rounding", f"{config.seanet.dimension} dimensions, learned levels", "codes")]
    else:
        size, count = config.codebook_size, config.codebooks()
        detail = f"{size} codewords of {config.seanet.dimension}"
        numbers = [*range(1, min(count, BOOKS_SHOWN) + 1)]
        parts = [(f"codebook {number}", detail, "codes") for number in numbers]
        if count > BOOKS_SHOWN:
            parts += [("…", "", "box")] * (count > BOOKS_SHOWN + 1) + [(f"codebook {count}", detail, "codes")]
        learned = isinstance(quantizer, LearnedQuantizer)
        heading = "Gumbel-softmax (A.2.2)" if learned else "Residual vector quantisation"
    height = len(parts) * (HEIGHT + GAP) - GAP
    top = bottom - height
    for number, (name, detail, style) in enumerate(parts):
        y = top + number * (HEIGHT + GAP)
        canvas.box(MIDDLE, y, WIDTH, HEIGHT, name, detail, style)
        if number and isinstance(quantizer, LearnedQuantizer):
            continue
        if number:
            canvas.arrow((MIDDLE + WIDTH / 2, y - GAP), (MIDDLE + WIDTH / 2, y))
            canvas.text(MIDDLE + WIDTH / 2 + 8, y - GAP / 2 + 4, "residual", "detail", anchor="start")
    canvas.frame(MIDDLE - 16, top - 16, WIDTH + 32, height + 32)
    canvas.text(MIDDLE + WIDTH / 2, top - 24, f"{heading}: {rates}", "head")
    return top
