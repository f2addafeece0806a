"""Average the decoders of two models with the same encoder and codebooks, weight by weight.

    python docs/trained-model/average_decoders.py FIRST SECOND --share 0.5 --metadata metadata.json --out AVERAGE

Training on moved the weights little, so that their mean computes something between the two. Files and language models
of FIRST stay valid for AVERAGE. `metadata.json` has the updates, data, licences and scores of the model in the package.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from earmark.codec.checkpoints import identities, loading


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second decoder")
    parser.add_argument("--metadata", type=Path, help="JSON object whose values the file carries")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    first, second = loading.load(options.first), loading.load(options.second)
    codes = identities.codes_identity(first)
    if codes != identities.codes_identity(second):
        raise SystemExit("the encoders or codebooks differ")
    earlier = (identities.identity(first), *identities.earlier_identities(first))
    for weight, other in zip(first.decoder.parameters(), second.decoder.parameters(), strict=True):
        weight.lerp_(other, options.share)
    identities.continue_from(first, codes, earlier)
    given = json.loads(options.metadata.read_text(encoding="utf-8")) if options.metadata else {}
    stored = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    recipe = loading.read(options.second)[1].get("recipe")
    loading.save(first, options.out, **({"recipe": recipe} if recipe else {}), **stored)


if __name__ == "__main__":
    main()
