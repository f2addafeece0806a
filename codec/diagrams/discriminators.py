"""The discriminators of a recipe as a drawing, from their modules (EnCodec paper, Figure 2)."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from earmark.codec.diagrams.canvas import MARGIN, Canvas
from earmark.codec.training import discriminators
from earmark.codec.training.discriminators.mono_stft import MonoSTFT
from earmark.codec.training.discriminators.mpd import MultiPeriod
from earmark.codec.training.discriminators.ms_stft import MultiScaleSTFT
from earmark.codec.training.discriminators.network import SLOPE, DiscriminatorNetwork
from earmark.codec.training.losses.spectrogram import Spectrogram
from earmark.codec.training.recipe import Recipe

WIDTH, HEIGHT, GAP, BETWEEN = 300, 44, 20, 40
NAMES = {
    MultiScaleSTFT: "MS-STFT discriminator", MonoSTFT: "STFT discriminator", MultiPeriod: "Multi-period discriminator",
}  # fmt: skip


def draw(recipe: Recipe) -> str:
    """Draw the discriminators of one bit rate as an SVG file: one column for each, with the layers of its network."""
    networks = discriminators.build(recipe)
    ensemble = networks.of(recipe.model.kbps[-1])
    members = list(ensemble.members)  # type: ignore[arg-type]
    sets = len(networks.ensembles)
    canvas = Canvas(f"{recipe.name}: discriminators")
    if sets > 1:
        canvas.text(MARGIN, 50, f"one set for each of {sets} bit rates", "detail", anchor="start")
    for number, member in enumerate(members):
        x = MARGIN + number * (WIDTH + BETWEEN)
        canvas.text(x + WIDTH / 2, 78, NAMES.get(type(member), "Multi-scale discriminator (MSD)"), "head")
        canvas.text(x + WIDTH / 2, 96, _count(member), "detail")
        canvas.column(x, 112, WIDTH, list(_parts(member)), HEIGHT, GAP)
    return canvas.svg()


def _count(member: nn.Module) -> str:
    windows = [len(part.window) for part in member.modules() if isinstance(part, Spectrogram)]
    networks = [part for part in member.modules() if isinstance(part, DiscriminatorNetwork)]
    if len(windows) > 1:
        return f"{len(networks)} equal networks, one for each STFT"
    return "1 network" if len(networks) == 1 else f"{len(networks)} networks of this shape"


def _parts(member: nn.Module) -> Iterator[tuple[str, str, str]]:
    """The boxes of a discriminator: its input, the layers of its first network, and its output."""
    windows = [len(part.window) for part in member.modules() if isinstance(part, Spectrogram)]
    if windows:
        yield "complex STFT", f"windows {', '.join(map(str, windows))}, hop a quarter", "box"
    else:
        yield "waveform", "each channel for itself", "box"
    network = next(part for part in member.modules() if isinstance(part, DiscriminatorNetwork))
    for layer in network.layers:
        convolutions = [part for part in layer.modules() if isinstance(part, nn.Conv1d | nn.Conv2d)]
        name = "convolution" if len(convolutions) == 1 else f"{len(convolutions)} convolutions"
        shown = max(convolutions, key=lambda conv: (max(conv.stride), conv.out_channels))  # of a residual block
        yield f"{name}, LeakyReLU {SLOPE:g}", _sizes(shown), _style(shown)
    last = next(part for part in network.last.modules() if isinstance(part, nn.Conv1d | nn.Conv2d))
    yield "convolution", f"{_sizes(last)}: logits", "codes"


def _style(conv: nn.Conv1d | nn.Conv2d) -> str:
    return "resample" if max(conv.stride) > 1 else "conv"


def _sizes(conv: nn.Conv1d | nn.Conv2d) -> str:
    text = f"{conv.in_channels} → {conv.out_channels}, kernel {_by(conv.kernel_size)}"
    for name, value in (("stride", conv.stride), ("dilation", conv.dilation)):
        text += f", {name} {_by(value)}" if max(value) > 1 else ""
    return text + (f", {conv.groups} groups" if conv.groups > 1 else "")


def _by(sizes: tuple[int, ...]) -> str:
    return " × ".join(map(str, sizes))
