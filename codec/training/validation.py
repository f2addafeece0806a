"""Validation: scores of a fixed set of excerpts during a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from earmark.codec.datasets.manifest import CATEGORIES
from earmark.codec.encodec.overlap import overlap_add
from earmark.codec.training.examples.shards import Shards, Stored
from earmark.codec.training.generator import Generator
from earmark.codec.training.scoring import Decoded, Scorer, Scores, mean_scores


@dataclass(frozen=True)
class Excerpt:
    """Part of a recording: float32 [channels, T] at the model's sample rate; `category` is speech, music or sound."""

    name: str
    category: str
    audio: Tensor


def select_excerpts(shards: Sequence[Shards], count: int, seconds: float, split: str = "valid") -> list[Excerpt]:
    """Select excerpts of one split, the same at every call, with the categories in equal numbers.

    Recordings are taken in the order of the shards. If there are too few, several parts of each are taken.

    Args:
        shards: shards to select from.
        count: number of excerpts.
        seconds: length of each excerpt; a shorter recording is taken whole.
        split: split to select from.
    """
    excerpts = []
    categories = [category for category in CATEGORIES if any(_recordings(part, category, split) for part in shards)]
    for index, category in enumerate(categories):
        recordings = [(part, stored) for part in shards for stored in _recordings(part, category, split)]
        wanted = len(range(index, count, len(categories)))
        rounds = -(-wanted // len(recordings))
        for number in range(wanted):
            part, stored = recordings[number % len(recordings)]
            frames = min(stored.frames, round(seconds * part.sample_rate))
            start = (stored.frames - frames) * (number // len(recordings) + 1) // (rounds + 1)
            audio = torch.from_numpy(part.read(stored, start, frames))
            excerpts.append(Excerpt(f"{stored.entry.path}+{start}", category, audio))
    return excerpts


def _recordings(shards: Shards, category: str, split: str) -> list[Stored]:
    return [stored for stored in shards.recordings if (stored.entry.category, stored.entry.split) == (category, split)]


def validate(
    generator: Generator, excerpts: list[Excerpt], rates: tuple[float, ...], scorers: Mapping[str, Scorer]
) -> tuple[Scores, dict[str, Tensor]]:
    """Code and score every excerpt at every bit rate.

    Args:
        generator: model to validate.
        excerpts: excerpts to score.
        rates: bit rates in kbps.
        scorers: metrics by name, used in addition to SI-SNR.

    Returns:
        scores: see mean_scores().
        decoded: see decode().
    """
    decoded, examples = decode(generator, excerpts, rates)
    return mean_scores(scorers, decoded), examples


@torch.no_grad()
def decode(
    generator: Generator, excerpts: list[Excerpt], rates: tuple[float, ...]
) -> tuple[list[Decoded], dict[str, Tensor]]:
    """Code and decode every excerpt at every bit rate, in overlapping segments if the codec has them.

    Returns:
        decoded: the decoded excerpts, to be scored.
        examples: the first decoded excerpt of each category and bit rate, [channels, T], under names such as
            "speech@6".
    """
    config = generator.config
    device = next(generator.parameters()).device
    generator.eval()
    signals: list[Decoded] = []
    examples: dict[str, Tensor] = {}
    for kbps in rates:
        for excerpt in excerpts:
            samples = excerpt.audio.shape[-1]
            audio = excerpt.audio[None].to(device)
            parts = [generator(audio[..., a:b], config.codebooks(kbps)).decoded for a, b in config.segments(samples)]
            decoded = overlap_add(parts, config.stride_samples or samples)[0].cpu()
            examples.setdefault(f"{excerpt.category}@{kbps:g}", decoded)
            reference, output = (signal.mean(dim=0).numpy() for signal in (excerpt.audio, decoded))
            ratio = si_snr(excerpt.audio, decoded)
            signals.append(Decoded(excerpt.category, kbps, reference, output, config.sample_rate, ratio))
    generator.train()
    return signals, examples


def si_snr(reference: Tensor, decoded: Tensor) -> float:
    """SI-SNR in dB of two signals [channels, T], NaN for silence. See eval/metrics/si_snr.py for the definition."""
    x, y = ((signal - signal.mean(dim=-1, keepdim=True)).flatten().double() for signal in (reference, decoded))
    if not x.any() or not y.any():
        return float("nan")
    target = (y @ x) / (x @ x) * x
    return float(10 * torch.log10(target.square().sum() / (y - target).square().sum().clamp(min=1e-30)))
