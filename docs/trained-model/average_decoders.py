"""Average the decoders of two models with the same encoder and codebooks, weight by weight.

    python docs/trained-model/average_decoders.py FIRST SECOND --share 0.5 --out AVERAGE

Training on moved the weights little, so that their mean computes something between the two. Files and language models
of FIRST stay valid for AVERAGE; licence, data and recipe in its metadata are those of SECOND.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from earmark.codec.checkpoints import identities, loading

KEPT = ("licence", "data", "recipe", "updates")


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second decoder")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    first, second = loading.load(options.first), loading.load(options.second)
    if identities.codes_identity(first) != identities.codes_identity(second):
        raise SystemExit("the encoders or codebooks differ")
    earlier = identities.identity(first)
    for weight, other in zip(first.decoder.parameters(), second.decoder.parameters(), strict=True):
        weight.lerp_(other, options.share)
    _, metadata = loading.read(options.second)
    kept = {name: metadata[name] for name in KEPT if name in metadata}
    loading.save(first, options.out, earlier_identities=earlier, **kept)


if __name__ == "__main__":
    main()
