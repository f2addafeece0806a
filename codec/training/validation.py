"""Scores of a fixed set of excerpts while a training goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.codec.datasets.manifest import KINDS
from earmark.codec.encodec.overlap import overlap_add
from earmark.codec.training.examples.shards import Shards, Stored
from earmark.codec.training.generator import Generator

# Category of the recording, reference, decoded (both [time]), sample rate in Hz -> score; NaN if undefined.
Scorer = Callable[[str, NDArray[np.float32], NDArray[np.float32], int], float]


@dataclass(frozen=True)
class Excerpt:
    """Part of a recording: float32 [channels, T] at the model's rate; `kind` is speech, music or sound."""

    name: str
    kind: str
    audio: Tensor


def excerpts_of(shards: Sequence[Shards], count: int, seconds: float, split: str = "valid") -> list[Excerpt]:
    """Excerpts of one split, the same ones at every call, as many of each kind as there are kinds.

    Recordings are taken in the shards' order; where there are fewer than excerpts, several parts of each.
    """
    excerpts = []
    kinds = [kind for kind in KINDS if any(_of(part, kind, split) for part in shards)]
    for index, kind in enumerate(kinds):
        recordings = [(part, stored) for part in shards for stored in _of(part, kind, split)]
        wanted = len(range(index, count, len(kinds)))
        rounds = -(-wanted // len(recordings))
        for number in range(wanted):
            part, stored = recordings[number % len(recordings)]
            frames = min(stored.frames, round(seconds * part.sample_rate))
            start = (stored.frames - frames) * (number // len(recordings) + 1) // (rounds + 1)
            audio = torch.from_numpy(part.read(stored, start, frames))
            excerpts.append(Excerpt(f"{stored.entry.path}+{start}", kind, audio))
    return excerpts


def _of(shards: Shards, kind: str, split: str) -> list[Stored]:
    return [stored for stored in shards.recordings if (stored.entry.kind, stored.entry.split) == (kind, split)]


@torch.no_grad()
def validate(
    generator: Generator, excerpts: list[Excerpt], rates: tuple[float, ...], scorers: Mapping[str, Scorer]
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Code every excerpt at every bit rate, in overlapping segments where the codec has them.

    Returns:
        Means, by "si_snr@6" and the like over all kinds, and by "si_snr@6 speech" of each; and the first excerpt of
        each kind as it comes out, [channels, T], by "speech@6".
    """
    config = generator.config
    device = next(generator.parameters()).device
    generator.eval()
    scores: dict[str, list[float]] = {}
    sounds: dict[str, Tensor] = {}
    for kbps in rates:
        for excerpt in excerpts:
            samples = excerpt.audio.shape[-1]
            audio = excerpt.audio[None].to(device)
            parts = [generator(audio[..., a:b], config.codebooks(kbps)).decoded for a, b in config.segments(samples)]
            decoded = overlap_add(parts, config.stride_samples or samples)[0].cpu()
            sounds.setdefault(f"{excerpt.kind}@{kbps:g}", decoded)
            found = {"si_snr": si_snr(excerpt.audio, decoded)}
            for name, scorer in scorers.items():
                reference, ours = (signal.mean(dim=0).numpy() for signal in (excerpt.audio, decoded))
                found[name] = scorer(excerpt.kind, reference, ours, config.sample_rate)
            for name, score in found.items():
                for key in (f"{name}@{kbps:g}", f"{name}@{kbps:g} {excerpt.kind}"):
                    scores.setdefault(key, []).append(score)
    generator.train()
    return {key: float(torch.tensor(values).nanmean()) for key, values in scores.items()}, sounds


def si_snr(reference: Tensor, decoded: Tensor) -> float:
    """SI-SNR in dB of [channels, T], NaN for silence; eval/metrics/si_snr.py has the definition."""
    x, y = ((signal - signal.mean(dim=-1, keepdim=True)).flatten().double() for signal in (reference, decoded))
    if not x.any() or not y.any():
        return float("nan")
    target = (y @ x) / (x @ x) * x
    return float(10 * torch.log10(target.square().sum() / (y - target).square().sum().clamp(min=1e-30)))
