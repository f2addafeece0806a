"""Range coder for any distribution and any sequence of symbols."""

from __future__ import annotations

import math

import numpy as np
import pytest

from earmark.codec.language_model.range_coder import MOST_TOTAL, RangeDecoder, RangeEncoder


def coded(symbols: np.ndarray, tables: np.ndarray) -> bytes:
    """Encode symbols, [n], with the frequencies `tables`, [n, number of different symbols]."""
    encoder = RangeEncoder()
    for symbol, widths in zip(symbols.tolist(), tables.astype(np.int64), strict=True):
        encoder.push(int(widths[:symbol].sum()), int(widths[symbol]), int(widths.sum()))
    return encoder.finish()


def decoded(data: bytes, tables: np.ndarray) -> list[int]:
    decoder = RangeDecoder(data)
    return [decoder.pull(widths.astype(np.int64).cumsum().tolist()) for widths in tables]


def information(symbols: np.ndarray, tables: np.ndarray) -> float:
    """Sum of -log2 p over all symbols, in bits."""
    own = np.take_along_axis(tables, symbols[:, None], axis=1)[:, 0]
    return float(np.log2(tables.sum(axis=1) / own).sum())


@pytest.mark.parametrize("seed", range(40))
def test_any_symbols_of_any_distribution_come_back_within_the_entropy(seed):
    """Flat, peaked and extreme tables, with matching or uniform symbols; at most 0.1 % + 16 bits above -log2 p."""
    rng = np.random.default_rng(seed)
    count, size = int(rng.integers(0, 400)), int(rng.integers(1, 1200))
    tables = np.maximum(1, (MOST_TOTAL // size * rng.random((count, size)) ** rng.choice([1, 5, 60])).astype(np.int64))
    if rng.random() < 0.5 and count:
        symbols = np.array([rng.choice(size, p=widths / widths.sum()) for widths in tables])
    else:
        symbols = rng.integers(0, size, count)
    data = coded(symbols, tables)
    assert decoded(data, tables) == symbols.tolist()
    assert 8 * len(data) <= 1.001 * information(symbols, tables) + 16


def test_the_least_likely_symbol_repeated():
    """Each costs 30 bits: its probability is 1 / 2 ** 30."""
    tables = np.tile([MOST_TOTAL - 1, 1], (500, 1))
    symbols = np.ones(500, int)
    data = coded(symbols, tables)
    assert decoded(data, tables) == symbols.tolist()
    assert 8 * len(data) <= 1.001 * 30 * 500 + 16


def test_carries_run_through_all_bytes_written_so_far():
    """With probabilities of 1/2 the symbols are the bits of the number, and 0.0111... + 0.0...01 changes every bit."""
    tables = np.tile([1, 1], (4000, 1))
    symbols = np.ones(4000, int)
    symbols[0] = 0
    data = coded(symbols, tables)
    assert decoded(data, tables) == symbols.tolist()
    assert len(data) <= 500


def test_nothing_and_certainty_cost_nothing():
    assert RangeEncoder().finish() == b""
    assert coded(np.zeros(1000, int), np.full((1000, 1), 7)) == b""
    assert decoded(b"", np.full((1000, 1), 7)) == [0] * 1000


def test_uniform_codes_cost_their_bits():
    """1000 codes of 1024: 10 bits each, 1250 bytes."""
    symbols = np.random.default_rng(0).integers(0, 1024, 1000)
    assert math.isclose(len(coded(symbols, np.ones((1000, 1024), int))), 1250, abs_tol=2)


def test_bytes_that_no_encoder_wrote_still_give_symbols():
    tables = np.tile([3, 5, 7], (300, 1))
    assert set(decoded(bytes([255]) * 50, tables)) <= {0, 1, 2}
