"""Packing of codes, compared with the public reference's packer and with examples by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest

from earmark.codec.ecdc.bits import BLOCK, pack, packed_size, unpack


def test_three_codes_by_hand():
    """1, 2, 3 in 10 bits each, least significant bit first: bits 0, 11, 20 and 21 are set, so bytes 1, 8, 48, 0."""
    assert pack(np.array([1, 2, 3]), 10) == bytes([0b1, 0b1000, 0b110000, 0])


@pytest.mark.parametrize("width", range(1, 17))
def test_bytes_are_those_of_the_reference(reference_package, width):
    from encodec.binary import BitPacker

    codes = np.random.default_rng(width).integers(0, 1 << width, 1001)
    theirs = io.BytesIO()
    packer = BitPacker(width, theirs)
    for code in codes.tolist():
        packer.push(code)
    packer.flush()
    assert pack(codes, width) == theirs.getvalue()


@pytest.mark.parametrize("width", range(1, 17))
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, BLOCK - 1, BLOCK, BLOCK + 1])
def test_unpacking_inverts_packing(width, count):
    codes = np.random.default_rng(count).integers(0, 1 << width, count)
    data = pack(codes, width)
    assert len(data) == packed_size(count, width)
    np.testing.assert_array_equal(unpack(data, count, width), codes)


def test_smallest_and_largest_code_fit():
    for width in (1, 10, 16):
        codes = np.array([0, (1 << width) - 1])
        assert unpack(pack(codes, width), 2, width).tolist() == codes.tolist()


@pytest.mark.parametrize("code", [-1, 1024])
def test_codes_that_do_not_fit_are_refused(code):
    with pytest.raises(ValueError, match="do not fit into 10 bits"):
        pack(np.array([5, code]), 10)


def test_too_few_bytes_are_refused():
    with pytest.raises(ValueError, match="less than 4 codes"):
        unpack(bytes(4), 4, 10)
