"""Packed convolutions, products and ELU against torch's own, both below and above the limits for small inputs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from earmark.codec.encodec.fast.onednn import NarrowConv, PackedConv, PackedLinear, elu, elu_into, follow, supports

pytestmark = pytest.mark.skipif(not supports(torch.float32), reason="torch has no oneDNN here")


@pytest.fixture(autouse=True, params=["few products by torch", "all by oneDNN"])
def _route(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "all by oneDNN":
            patch.setattr("earmark.codec.encodec.fast.onednn._FEW_PRODUCTS", 0)
            patch.setattr("earmark.codec.encodec.fast.onednn._FEW_VALUES", 0)
        with torch.inference_mode():
            yield


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def convolved(x: Tensor, weight: Tensor, bias: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    return F.conv1d(x.transpose(1, 2), weight, bias, stride, dilation=dilation).transpose(1, 2)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("length", [9, 10, 40, 3001])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(1, 1, 1), (7, 1, 1), (3, 1, 4), (4, 2, 1), (8, 4, 1)])
def test_convolution(kernel, stride, dilation, length, batch):
    weight, bias, x = noise(12, 5, kernel), noise(12), noise(batch, length, 5)
    y = PackedConv(weight, bias, torch.float32, stride, dilation)(x)
    torch.testing.assert_close(y, convolved(x, weight, bias, stride, dilation), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("outputs", [1, 2, 7])
@pytest.mark.parametrize("steps", [*range(1, 18), 1000, 1001])
def test_convolution_to_few_channels(steps, outputs):
    """Numbers of steps around 8, which it computes at once."""
    weight, bias, x = noise(outputs, 6, 7), noise(outputs), noise(2, steps + 6, 6)
    y = NarrowConv(weight, bias, torch.float32)(x)
    torch.testing.assert_close(y, convolved(x, weight, bias), rtol=1e-4, atol=1e-5)


def test_convolution_of_part_of_a_signal():
    """A view of a batch whose signals are not contiguous in memory."""
    weight, bias, x = noise(12, 5, 3), noise(12), noise(2, 50, 5)[:, 7:33]
    y = PackedConv(weight, bias, torch.float32)(x)
    torch.testing.assert_close(y, convolved(x, weight, bias), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 7, 2000])
def test_product(rows):
    weight, bias, x, other = noise(12, 5), noise(12), noise(2, rows, 5), noise(2, rows, 12)
    product = PackedLinear(weight, bias, torch.float32)
    torch.testing.assert_close(product(x), F.linear(x, weight, bias))
    kept = other.clone()
    torch.testing.assert_close(product(x, plus=other), F.linear(x, weight, bias) + other)
    assert torch.equal(other, kept)


@pytest.mark.parametrize("length", [3, 100_000])
def test_elu(length):
    """Compares with torch's ELU in float64, also for large arguments and zeros."""
    x = torch.cat([torch.linspace(-120, 120, length), torch.tensor([0.0, -0.0, -1e-8, 1e30, -1e30])])[None, :, None]
    torch.testing.assert_close(elu(x).double(), F.elu(x.double()), rtol=1e-7, atol=2e-7)


def test_elu_of_infinities_and_nan():
    x = torch.tensor([torch.inf, -torch.inf, torch.nan]).reshape(1, 3, 1)
    out = torch.empty_like(x)
    elu_into(out, x)
    torch.testing.assert_close(out.flatten(), torch.tensor([torch.inf, -1.0, torch.nan]), equal_nan=True)


@pytest.mark.parametrize(("left", "right"), [(0, 0), (2, 3)])
@pytest.mark.parametrize("length", [0, 5, 3000])
def test_follow_concatenates_and_leaves_room(length, left, right):
    before, x = noise(2, 4, 6), noise(2, length, 6)
    for with_elu, expected in ((False, x), (True, F.elu(x))):
        both = follow(before, x, with_elu, torch.float32, left, right)
        assert both.shape == (2, left + 4 + length + right, 6)
        torch.testing.assert_close(both[:, left : left + 4 + length], torch.cat([before, expected], dim=1))
        alone = follow(None, x, with_elu, torch.float32, left, right)
        torch.testing.assert_close(alone[:, left : left + length], expected)
