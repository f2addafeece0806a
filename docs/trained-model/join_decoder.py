"""Join the encoder and codebooks of one model with the decoder of another that was trained on from it.

    python docs/trained-model/join_decoder.py CODES DECODER SHARDS... --out JOINED

The codes, and so files and language models, stay those of CODES. The latents of the two models differ by then: the best
linear map from the one to the other, by least squares over two-second excerpts of the training data at every bit rate,
becomes part of the decoder's first layer. A training of the decoder alone does the rest.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from earmark.codec.checkpoints import loading
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.training.examples.shards import Shards

EXCERPTS, SECONDS = 30, 2  # per folder of shards
SKIPPED = 5  # steps at the start of an excerpt, where the encoder has seen little


def excerpts(folders: Sequence[Path], rng: np.random.Generator) -> Iterator[Tensor]:
    """Excerpts of the training split, [1, channels, T]."""
    for folder in folders:
        shards = Shards(folder)
        frames = SECONDS * shards.sample_rate
        long = [stored for stored in shards.recordings if stored.entry.split == "train" and stored.frames > frames]
        for index in rng.choice(len(long), EXCERPTS, replace=False):
            yield torch.from_numpy(np.array(shards.read(long[index], 0, frames)))[None]


def latents(model: EncodecModel, audio: Tensor) -> Tensor:
    """Quantised latents at all bit rates, [steps, dimension]."""
    return torch.cat([model.quantized_latent(model.encode(audio, k))[0].T[SKIPPED:] for k in model.config.kbps])


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("codes", type=Path, help="model whose encoder and codebooks stay")
    parser.add_argument("decoder", type=Path, help="model whose decoder is taken")
    parser.add_argument("shards", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    model, other = loading.load(options.codes), loading.load(options.decoder)
    pairs = [(latents(model, x), latents(other, x)) for x in excerpts(options.shards, np.random.default_rng(0))]
    ours, theirs = (torch.cat(side).double() for side in zip(*pairs, strict=True))
    inputs = torch.cat([ours, torch.ones(len(ours), 1)], dim=1)
    solution = torch.linalg.lstsq(inputs, theirs).solution
    spread = (theirs - theirs.mean(0)).square().sum()
    for name, error in (("before", ours - theirs), ("mapped", inputs @ solution - theirs)):
        print(f"{name}: {float(error.square().sum() / spread):.3f} of the variance of the latents differs")
    model.decoder.load_state_dict(other.decoder.state_dict())
    first = model.decoder.layers[0].conv
    weight = other.decoder.layers[0].conv.weight.double()  # [out, in, kernel]
    first.weight.copy_(torch.einsum("oik,ji->ojk", weight, solution[:-1]))
    first.bias += torch.einsum("oik,i->o", weight, solution[-1]).float()
    loading.save(model, options.out)


if __name__ == "__main__":
    main()
