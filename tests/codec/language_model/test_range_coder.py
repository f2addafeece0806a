"""The range coder: any distribution, any sequence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from earmark.codec.language_model.range_coder import MOST_TOTAL, RangeDecoder, RangeEncoder


def coded(entries: np.ndarray, tables: np.ndarray) -> bytes:
    """Bytes of `entries`, [n], by the frequencies `tables`, [n, entries]."""
    encoder = RangeEncoder()
    for entry, widths in zip(entries.tolist(), tables.astype(np.int64), strict=True):
        encoder.push(int(widths[:entry].sum()), int(widths[entry]), int(widths.sum()))
    return encoder.finish()


def decoded(data: bytes, tables: np.ndarray) -> list[int]:
    decoder = RangeDecoder(data)
    return [decoder.pull(widths.astype(np.int64).cumsum().tolist()) for widths in tables]


def information(entries: np.ndarray, tables: np.ndarray) -> float:
    own = np.take_along_axis(tables, entries[:, None], axis=1)[:, 0]
    return float(np.log2(tables.sum(axis=1) / own).sum())


@pytest.mark.parametrize("seed", range(40))
def test_any_entries_of_any_distributions_come_back_within_the_entropy(seed):
    """Flat, peaked and extreme tables, entries drawn by them or against them; 0.1 % and 16 bits over -log2 p."""
    rng = np.random.default_rng(seed)
    count, size = int(rng.integers(0, 400)), int(rng.integers(1, 1200))
    tables = np.maximum(1, (MOST_TOTAL // size * rng.random((count, size)) ** rng.choice([1, 5, 60])).astype(np.int64))
    if rng.random() < 0.5 and count:
        entries = np.array([rng.choice(size, p=widths / widths.sum()) for widths in tables])
    else:
        entries = rng.integers(0, size, count)
    data = coded(entries, tables)
    assert decoded(data, tables) == entries.tolist()
    assert 8 * len(data) <= 1.001 * information(entries, tables) + 16


def test_the_last_and_the_least_likely_entry_again_and_again():
    """Each costs 30 bits: 1 of 2 ** 30."""
    tables = np.tile([MOST_TOTAL - 1, 1], (500, 1))
    entries = np.ones(500, int)
    data = coded(entries, tables)
    assert decoded(data, tables) == entries.tolist()
    assert 8 * len(data) <= 1.001 * 30 * 500 + 16


def test_carries_run_through_all_bytes_written_so_far():
    """Halves: the entries are the bits of the number, so that 0.0111... + 0.0...01 turns every bit over."""
    tables = np.tile([1, 1], (4000, 1))
    entries = np.ones(4000, int)
    entries[0] = 0
    data = coded(entries, tables)
    assert decoded(data, tables) == entries.tolist()
    assert len(data) <= 500


def test_nothing_and_certainty_cost_nothing():
    assert RangeEncoder().finish() == b""
    assert coded(np.zeros(1000, int), np.full((1000, 1), 7)) == b""
    assert decoded(b"", np.full((1000, 1), 7)) == [0] * 1000


def test_uniform_codes_cost_their_bits():
    """1000 codes of 1024: 10 bits each, 1250 bytes."""
    entries = np.random.default_rng(0).integers(0, 1024, 1000)
    assert math.isclose(len(coded(entries, np.ones((1000, 1024), int))), 1250, abs_tol=2)


def test_bytes_that_no_encoder_wrote_still_give_entries():
    tables = np.tile([3, 5, 7], (300, 1))
    assert set(decoded(bytes([255]) * 50, tables)) <= {0, 1, 2}
