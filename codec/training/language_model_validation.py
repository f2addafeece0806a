"""Validation of a language model in training: what the float and the integer model save in bit rate."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.language_model.network import LanguageModel, shifted
from earmark.codec.language_model.portable_coder import PortableModelCoder
from earmark.codec.language_model.portable_model import Cache, PortableModel


def score(
    model: LanguageModel, portable: PortableModel, excerpts: list[Tensor], codec: EncodecConfig
) -> dict[str, float]:
    """Score both models at every bit rate of the codec.

    Files are coded by the integer model, so the scores are its own.

    Args:
        model: float model.
        portable: integer model made from it.
        excerpts: codes of all codebooks, [codebooks, steps] each.
        codec: config of the codec that made the codes.

    Returns:
        Scores under names such as "kbps@3", where 3 is the bit rate without a language model: bits_per_code, kbps,
        saving_percent, and quantisation_percent, the cost of integers over the float model.
    """
    scores = {}
    for kbps in codec.kbps:
        codebooks = codec.codebooks(kbps)
        codes = [excerpt[:codebooks] for excerpt in excerpts]
        in_float, in_integers = float_bits(model, codes), portable_bits(portable, codes)
        scores[f"bits_per_code@{kbps:g}"] = in_integers
        scores[f"kbps@{kbps:g}"] = in_integers * codebooks * codec.step_rate / 1000
        scores[f"saving_percent@{kbps:g}"] = 100 * (1 - in_integers / math.log2(codec.codebook_size))
        scores[f"quantisation_percent@{kbps:g}"] = 100 * (in_integers / in_float - 1)
    return scores


def decodes(model: PortableModel, codes: Tensor) -> bool:
    """Whether the codes of an excerpt, [codebooks, steps], are decoded correctly after coding."""
    coder, expected = PortableModelCoder(model), codes.numpy().astype(np.uint16)
    bits = (model.config.codebook_size - 1).bit_length()
    [decoded] = coder.decode_all([coder.encode(expected, bits)], len(expected), [expected.shape[1]], bits)
    return np.array_equal(decoded, expected)


@torch.no_grad()
def float_bits(model: LanguageModel, excerpts: list[Tensor]) -> float:
    """Mean bits per code of excerpts, [codebooks, steps] each, by the float model."""
    device = next(model.parameters()).device
    total, count = 0.0, 0
    for codes in excerpts:
        logits, _ = model(shifted(codes[None].to(device)))
        total += float(functional.cross_entropy(logits, codes[None].to(device), reduction="sum")) / math.log(2)
        count += codes.numel()
    return total / count


def portable_bits(model: PortableModel, excerpts: list[Tensor]) -> float:
    """Mean bits per code by the integer model, from the frequencies that the coder uses."""
    total, count = 0.0, 0
    for codes in excerpts:
        frequencies = model.frequencies(shifted(codes[None]).numpy(), Cache(model, 1, codes.shape[1]))[0]
        own = np.take_along_axis(frequencies, codes.T.numpy()[..., None], -1)[..., 0]
        total += float(np.log2(frequencies.sum(axis=-1, dtype=np.int64) / own).sum())
        count += codes.numel()
    return total / count
