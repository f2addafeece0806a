"""Long signals: the delay is found by pieces, and memory does not grow with the length."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from earmark.eval.alignment import blocks, recent, search
from earmark.eval.alignment.aligner import align
from earmark.eval.alignment.plain import height_at, match_near
from earmark.eval.alignment.result import DOCUMENTED, SEARCH, Rule
from earmark.eval.alignment.search import find_delay

RATE = 16_000


def noise(seconds: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((channels, seconds * RATE), np.float32) / 8


@pytest.fixture
def short_pieces(monkeypatch):
    """Signals of more than 2 s are searched by pieces."""
    monkeypatch.setattr(search, "LONGEST", 4 * RATE)
    monkeypatch.setattr(search, "SHORT", 2 * RATE)
    monkeypatch.setattr(search, "PIECE", RATE)
    monkeypatch.setattr(search, "FIRST", RATE // 2)
    monkeypatch.setattr(search, "NEAR", RATE // 4)
    monkeypatch.setattr(search, "STEP", RATE // 8)
    monkeypatch.setattr(search, "AROUND", 2 * RATE)
    monkeypatch.setattr(blocks, "BLOCK", 2**12)
    monkeypatch.setattr(recent, "_last", recent.Kept(b""))


def peak_memory(seconds: int, rule: Rule) -> int:
    """Bytes that alignment takes beside its arguments and its result; NumPy tells tracemalloc of its arrays."""
    source = noise(seconds)
    decoded = np.pad(source, [(0, 0), (37, 0)])
    tracemalloc.start()
    try:
        aligned = align(source, decoded, RATE, rule)
        assert aligned.audio.shape == source.shape
        return tracemalloc.get_traced_memory()[1] - aligned.audio.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("rule", [SEARCH, DOCUMENTED, Rule("given", 37.0), Rule("shared", 37.0)], ids=lambda x: x.mode)
def test_memory_does_not_grow_with_the_length(short_pieces, rule):
    """Whole copies of a signal, 4 bytes a sample in two channels, would add 2.5 MB from 20 to 40 s."""
    shorter, longer = peak_memory(20, rule), peak_memory(40, rule)
    assert longer - shorter < 20 * RATE  # less than a byte for each more of the source's time


@pytest.mark.parametrize("delay", [37, -300, 5 * RATE, 25 * RATE])
def test_the_delay_of_a_long_signal_is_found_by_pieces(short_pieces, delay):
    """By 2 s around the same time, or anywhere."""
    source = noise(30, 1)
    decoded = np.pad(source, [(0, 0), (delay, 0)]) if delay > 0 else source[:, -delay:]
    found = find_delay(source, decoded, RATE)
    assert found.lag == pytest.approx(delay, abs=0.01)
    assert found.clear


def test_unrelated_long_signals_have_no_delay(short_pieces):
    other = np.random.default_rng(4).standard_normal((1, 20 * RATE), np.float32)
    assert find_delay(noise(20, 1), other, RATE).lag is None


@pytest.mark.parametrize("size", [2**12 - 1, 2**12, 2**12 + 1, 3 * 2**12 + 5])
@pytest.mark.parametrize("lag", [-2000, -3, 0, 9, 4097])
def test_blocks_change_no_sum(monkeypatch, size, lag):
    """Against sums over whole signals in float64."""
    monkeypatch.setattr("earmark.eval.alignment.plain.BLOCK", 2**10)
    monkeypatch.setattr(blocks, "BLOCK", 2**10)
    rng = np.random.default_rng(size)
    source = rng.standard_normal((2, 5000)).astype(np.float32) + 0.1
    decoded = (-np.roll(np.resize(source, (2, size)), max(lag, 0), axis=1)).astype(np.float32)
    x, y = (audio.astype(float) - audio.mean(axis=1, keepdims=True, dtype=float) for audio in (source, decoded))
    first = max(0, -lag)
    last = max(first, min(x.shape[1], size - lag))
    part_x, part_y = x[:, first:last], y[:, first + lag : last + lag]
    product = (part_x * part_y).sum(axis=1)
    expected = np.abs(product).sum() / np.sqrt((part_x**2).sum() * (y**2).sum()) if last > first else 0
    height, sign = height_at(source, decoded, lag)
    assert height == pytest.approx(expected, abs=1e-6)
    assert sign == (-1 if product.sum() < 0 else 1)
    assert match_near(source, decoded, lag, reach=0).height == pytest.approx(expected, abs=1e-6)


def test_what_is_kept_of_a_source_changes_no_result():
    """The same signal in a new array, changed in place, and with decoded signals of several lengths."""
    source = noise(2)
    decoded = np.pad(source, [(0, 0), (37, 0)])
    first = find_delay(source, decoded, RATE)
    assert find_delay(source.copy(), decoded, RATE) == first
    assert find_delay(source, decoded[:, :-RATE], RATE).lag == pytest.approx(37, abs=0.01)
    source[:] = source[:, ::-1].copy()
    assert find_delay(source, decoded, RATE).lag is None
    source[:] = source[:, ::-1].copy()
    assert find_delay(source, decoded, RATE) == first
