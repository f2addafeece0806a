"""Difference between our EnCodec and the public reference on real clips, at every bit rate, with random weights.

    python benchmarks/encodec_equality.py [SEEDS]

Counts the steps whose codes differ, and measures how far the first difference in each is from a tie and by how much the
decoded audio differs, for the plain layers and the accelerated ones. Both sides decode the reference's codes, so that a
tie does not count twice. Needs the reference (pip install --no-deps encodec einops) and the clips in ../shared/audio.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from encodec_speed import CLIPS, reference_model, same_model
from torch import Tensor

from earmark.codec.audio import read, resample
from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.fast.accelerate import accelerate
from earmark.codec.encodec.model import EncodecModel

SECONDS = 5
FOLDER = Path(__file__).resolve().parents[2] / "shared" / "audio"


def clips(rate: int, channels: int) -> list[Tensor]:
    """The first SECONDS of every clip, each [1, channels, T]."""
    signals = []
    for path in sorted(FOLDER.iterdir()):
        recording = read(path)
        samples = resample(recording.samples[:, : SECONDS * recording.sample_rate], recording.sample_rate, rate)
        if samples.shape[0] > channels:
            samples = samples.mean(axis=0, keepdims=True)
        signals.append(torch.from_numpy(np.repeat(samples, channels // samples.shape[0], axis=0).copy())[None])
    return signals


def margins(model: EncodecModel, latent: Tensor, ours: Tensor, theirs: Tensor) -> list[float]:
    """Difference of the squared distances to both codewords, at the first difference in each step.

    Args:
        latent: [D, T].
        ours: our codes, [K, T].
        theirs: codes of the reference, [K, T].
    """
    results = []
    for step in (ours != theirs).any(dim=0).nonzero()[:, 0].tolist():
        book = int((ours[:, step] != theirs[:, step]).nonzero()[0])
        residual = latent[:, step].clone()
        for earlier in range(book):
            residual -= model.quantizer.codebooks[earlier][theirs[earlier, step]]
        both = model.quantizer.codebooks[book][[int(ours[book, step]), int(theirs[book, step])]]
        distances = (both - residual).square().sum(dim=1)
        results.append(abs(float(distances[0] - distances[1])))
    return results


def compare(reference: Any, models: dict[str, EncodecModel], clip: Tensor, tally: dict[str, dict[str, float]]) -> None:
    """Add one clip to the tally of each of our models."""
    config = models["plain"].config
    reference.set_target_bandwidth(config.kbps[-1])
    theirs = reference.encode(clip)
    for label, model in models.items():
        counts = tally[label]
        ours = model.encode(clip)
        for index, (segment, (codes, scale)) in enumerate(zip(ours.segments, theirs, strict=True)):
            start, end = config.segments(clip.shape[-1])[index]
            part = clip[..., start:end]
            latent = reference.encoder(part if scale is None else part / scale[:, :, None])[0]
            far = margins(model, latent, segment.codes[0], codes[0])
            counts["steps"] += codes.shape[-1]
            counts["differ"] += len(far)
            counts["farthest from a tie"] = max([counts["farthest from a tie"], *far])
        for kbps in config.kbps:
            books = config.codebooks(kbps)
            cut = [(codes[:, :books], scale) for codes, scale in theirs]
            expected = reference.decode(cut)[..., : clip.shape[-1]]
            segments = tuple(Segment(codes, None if scale is None else scale[:, 0]) for codes, scale in cut)
            decoded = model.decode(Codes(segments, clip.shape[-1]))
            counts["audio differs by"] = max(counts["audio differs by"], float((decoded - expected).abs().max()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seeds", type=int, nargs="?", default=3, help="number of random models; default: 3")
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    print(f"{'model':<15}{'seed':>5}  {'layers':<12}{'steps':>8}{'differ':>8}{'farthest from a tie':>22}{'audio':>10}")
    with torch.inference_mode():
        for name in CLIPS:
            for seed in range(seeds):
                reference = reference_model(name, seed)
                plain = same_model(reference)
                fast = copy.deepcopy(plain)
                accelerate(fast)
                models = {"plain": plain, "accelerated": fast}
                tally = {
                    m: dict.fromkeys(("steps", "differ", "farthest from a tie", "audio differs by"), 0.0)
                    for m in models
                }
                for clip in clips(plain.config.sample_rate, plain.config.channels):
                    compare(reference, models, clip, tally)
                for label, counts in tally.items():
                    steps, differ, margin, audio = counts.values()
                    print(
                        f"{name:<15}{seed:>5}  {label:<12}{steps:>8.0f}{differ:>8.0f}{margin:>22.1e}{audio:>10.1e}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
