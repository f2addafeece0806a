"""DiffQ against the formulas of the paper's section A.2.1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from earmark.codec.training.quantizers.diffq import DiffQuantizer


def quantizer(bits: Sequence[float]) -> DiffQuantizer:
    """A quantiser with mean 0, deviation 1 and the given bits: B = 15 sigmoid(5 v) is solved for v."""
    made = DiffQuantizer(len(bits))
    with torch.no_grad():
        made.v.copy_(torch.tensor([math.log(b / (15 - b)) / 5 for b in bits]))
    return made


def latents(dimension: int, seed: int = 0, batch: int = 4, steps: int = 1000) -> Tensor:
    return torch.randn(batch, dimension, steps, generator=torch.Generator().manual_seed(seed))


def test_bits_start_in_the_middle():
    assert DiffQuantizer(3).bits_per_dimension.tolist() == [7.5] * 3
    assert quantizer([2, 0.1, 14]).bits_per_dimension.tolist() == pytest.approx([2, 0.1, 14])


# Test time, equation (7)


def test_levels_and_their_middles_by_hand():
    """Two bits: four levels from -3 to 3, each 1.5 wide, decoded to their middles. Values outside are clamped."""
    diffq = quantizer([2]).eval()
    z = torch.tensor([-100, -3, -1.51, -1.49, -0.01, 0.01, 1.49, 1.51, 3, 100])[None, None]
    codes = diffq.encode(z)
    assert codes.flatten().tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]
    middles = [-2.25, -2.25, -2.25, -0.75, -0.75, 0.75, 0.75, 2.25, 2.25, 2.25]
    assert diffq.decode(codes).flatten().tolist() == pytest.approx(middles)


def test_mean_and_deviation_move_and_scale_the_levels():
    diffq, plain = quantizer([3, 3]).eval(), quantizer([3, 3]).eval()
    diffq.mean.copy_(torch.tensor([10, -1]))
    diffq.deviation.copy_(torch.tensor([2, 0.5]))
    z = latents(2)
    moved = 10 * torch.tensor([[1], [-0.1]]) + torch.tensor([[2], [0.5]]) * z
    assert torch.equal(diffq.encode(moved), plain.encode(z))
    wanted = torch.tensor([[10], [-1]]) + torch.tensor([[2], [0.5]]) * plain.decode(plain.encode(z))
    torch.testing.assert_close(diffq.decode(diffq.encode(moved)), wanted)


def test_bandwidth_of_whole_levels():
    """round(2^B): 4 levels, 10 (2^3.3 = 9.8), 1 (2^0.5 = 1.4): 2 + log2 10 + 0 bits per step."""
    diffq = quantizer([2, 3.3, 0.5])
    assert diffq.levels.tolist() == [4, 10, 1]
    codes = diffq.encode(latents(3))
    assert codes.amax(dim=(0, 2)).tolist() == [3, 9, 0]
    assert diffq.bits_per_step(codes) == pytest.approx(2 + math.log2(10))


def test_a_dimension_without_bits_decodes_to_its_mean():
    diffq = quantizer([0.01, 8])
    diffq.mean.copy_(torch.tensor([5, 0]))
    decoded = diffq.decode(diffq.encode(latents(2)))
    assert (decoded[:, 0] == 5).all()


def test_less_than_a_bit_is_scaled_as_in_training():
    """0.8 bits: round(2^0.8 = 1.74) = 2 levels at +-1.5, times min(B, 1)."""
    diffq = quantizer([0.8])
    decoded = diffq.decode(diffq.encode(torch.tensor([[[-1.0, 2]]])))
    assert decoded.flatten().tolist() == pytest.approx([-1.2, 1.2])


@pytest.mark.parametrize("bits", [1, 3, 5])
def test_the_error_of_rounding_is_that_of_the_noise(bits):
    """Both are uniform over +-L sigma / 2^B with variance 9 / 4^B / 3, if values are uniform and B is an integer."""
    diffq = quantizer([bits])
    z = 3 * (2 * torch.rand(1, 1, 100_000, generator=torch.Generator().manual_seed(0)) - 1)
    error = diffq.decode(diffq.encode(z)).detach() - z
    assert error.square().mean().item() == pytest.approx(9 / 4**bits / 3, rel=0.02)
    assert error.abs().max().item() <= 3 / 2**bits + 1e-6


def test_evaluation_decodes_its_codes():
    diffq = quantizer([4, 6]).eval()
    out = diffq(latents(2), 1)
    assert torch.equal(out.codes, diffq.encode(latents(2)))
    assert torch.equal(out.latent, diffq.decode(out.codes))
    assert out.commitment == 0


# Training, equation (6)


@pytest.mark.parametrize("bits", [1, 4, 10])
def test_noise_has_the_size_of_the_levels(bits):
    z = 5 + 2 * latents(1)
    z = z.clamp(-0.5, 10.5)  # within three standard deviations: nothing is clamped
    torch.manual_seed(1)
    noise = quantizer([bits])(z, 1).latent - z
    reach = 3 * z.std(correction=0).item() / 2**bits
    assert reach * 0.99 < noise.abs().max().item() < reach * 1.0001
    assert abs(noise.mean().item()) < 0.05 * reach
    assert noise.square().mean().item() == pytest.approx(reach**2 / 3, rel=0.05)


def test_outliers_are_clamped():
    z = latents(1)
    z[0, 0, 0] = 1000
    out = quantizer([14])(z, 1).latent
    assert out.max().item() == pytest.approx((z.mean() + 3 * z.std(correction=0)).item(), rel=1e-3)


def test_statistics_are_the_batchs_in_training_and_moving_averages_later():
    diffq = quantizer([8])
    for seed in range(3):
        diffq(7 + 3 * latents(1, seed), 1)
    batches = [7 + 3 * latents(1, seed) for seed in range(3)]
    mean, deviation = 0.0, 1.0
    for z in batches:
        mean = 0.9 * mean + 0.1 * z.mean().item()
        deviation = 0.9 * deviation + 0.1 * z.std(correction=0).item()
    assert diffq.mean.item() == pytest.approx(mean, rel=1e-5)
    assert diffq.deviation.item() == pytest.approx(deviation, rel=1e-5)
    diffq.eval()(100 * latents(1), 1)
    assert diffq.mean.item() == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize(("bits", "most"), [(0.001, 0.03), (8, 1.0)])
def test_sparsity_removes_all_information(bits, most):
    """Correlation r of z with sqrt(B) z + 3 sigma u 2^-B: r^2 = B / (B + 3 / 4^B), about B / 3 near zero.

    Additive noise alone would leave r^2 = 1 / (1 + 3).
    """
    torch.manual_seed(1)  # another seed than the latent's
    z = latents(1, batch=1, steps=100_000)
    out = quantizer([bits])(z, 1).latent
    correlation = torch.corrcoef(torch.cat([z.flatten()[None], out.flatten()[None]]))[0, 1].item()
    assert abs(correlation) < most
    assert bits < 1 or correlation > 0.999


def test_sparse_dimensions_shrink_to_their_mean():
    """The clamped deviation times B, the noise times sqrt(B) at most 3 sigma."""
    z = 4 + latents(1)
    bits = 0.0004
    out = quantizer([bits])(z, 1).latent
    assert (out - 4).abs().max().item() < 0.1 + 3 * math.sqrt(bits) + 3 * bits


@pytest.mark.parametrize("bits", [0.3, 6.0])
def test_the_gradient_of_the_bits(bits):
    """Above 1: z_q - z = n 2^-B, so dz_q/dB = -ln 2 (z_q - z). Below: d/dB [B d + sqrt(B) n 2^-B] with noise n."""
    diffq, z = quantizer([bits]), latents(1).clamp(-2.5, 2.5)
    torch.manual_seed(0)
    out = diffq(z, 1).latent
    out.sum().backward()
    scale = min(bits, 1)
    deviation = z - z.mean()
    noise = out.detach() - z.mean() - scale * deviation  # sqrt(s) n 2^-B
    by_scale = deviation + noise / (2 * bits) if bits < 1 else torch.zeros(())
    by_bits = (by_scale - math.log(2) * noise).sum()
    share = bits / 15
    assert diffq.v.grad.item() == pytest.approx(by_bits.item() * 15 * 5 * share * (1 - share), rel=1e-3)


def test_the_gradient_of_the_latent():
    """Against finite differences, including the path through the batch's mean and standard deviation."""
    diffq, weight = quantizer([1, 3]), latents(2, seed=1, batch=1, steps=5)

    def loss(z: Tensor) -> Tensor:
        torch.manual_seed(0)
        return (diffq(z, 1).latent * weight).sum()

    z = latents(2, batch=1, steps=5).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(z), z)
    with torch.no_grad():
        for d, t in ((0, 0), (0, 3), (1, 2)):
            nudge = torch.zeros_like(z)
            nudge[0, d, t] = 1e-2
            difference = (loss(z + nudge) - loss(z - nudge)) / 2e-2
            assert gradient[0, d, t].item() == pytest.approx(difference.item(), rel=0.02, abs=2e-3)


@pytest.mark.parametrize(("codebooks", "over"), [(1, 3.0), (2, 0.0)])
def test_bits_in_excess_of_the_budget(codebooks, over):
    """6 + 7 bits with codebooks of 10 bits: three in excess of one codebook, within the budget of two."""
    diffq = quantizer([6, 7])
    bits = diffq(latents(2), codebooks).bits
    assert bits.item() == pytest.approx(over, abs=1e-5)
    (gradient,) = torch.autograd.grad(bits, diffq.v)
    shares = torch.tensor([6, 7]) / 15
    torch.testing.assert_close(gradient, 75 * shares * (1 - shares) * (over > 0))


def test_a_constant_latent_is_finite():
    z = torch.zeros(1, 2, 3, requires_grad=True)
    diffq = DiffQuantizer(2)
    out = diffq(z, 1)
    out.latent.sum().backward()
    assert out.latent.abs().max() < 1e-3
    assert z.grad.isfinite().all()
    assert diffq.v.grad.isfinite().all()


def test_training_spends_the_bits_where_they_matter():
    """Two of four dimensions matter. They get all bits of a budget of ten."""
    torch.manual_seed(0)
    diffq, matters = DiffQuantizer(4), torch.tensor([1.0, 1, 1e-7, 1e-7])[:, None]
    optimizer = torch.optim.Adam(diffq.parameters(), lr=0.02)
    for seed in range(300):
        z = latents(4, seed, batch=1, steps=200)
        out = diffq(z, 1)
        loss = ((out.latent - z).square() * matters).mean() + 0.01 * out.bits
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert diffq.levels[2:].tolist() == [1, 1]
    assert diffq.levels[:2].min() >= 16
    assert diffq.bits_per_step(out.codes) == pytest.approx(10, abs=0.7)
    decoded = diffq.eval()(z, 1).latent
    assert ((decoded - z)[:, :2].square().mean()) < 0.02


def test_float32_inside_autocast():
    diffq, z = quantizer([8, 4]), latents(2).bfloat16().requires_grad_()
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = diffq(z, 1)
    torch.manual_seed(0)
    full = quantizer([8, 4])(z.float(), 1)
    assert mixed.latent.dtype == torch.float32
    assert torch.equal(mixed.latent, full.latent)
    mixed.latent.sum().backward()
    assert z.grad.any()


def test_a_batch_that_is_not_finite_teaches_nothing():
    quantizer = DiffQuantizer(4)
    quantizer(torch.randn(2, 4, 9), 1)
    before = quantizer.mean.clone(), quantizer.deviation.clone()
    for bad in (float("nan"), float("inf")):
        latent = torch.randn(2, 4, 9)
        latent[1, 2, 3] = bad
        quantizer(latent, 1)
    assert torch.equal(quantizer.mean, before[0])
    assert torch.equal(quantizer.deviation, before[1])
