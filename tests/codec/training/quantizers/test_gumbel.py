"""Gumbel-softmax quantisation against the formulas in section A.2.2 of the paper."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from earmark.codec.training.quantizers.gumbel import GumbelQuantizer


def latents(dimension: int, seed: int = 0, batch: int = 2, steps: int = 20) -> Tensor:
    return torch.randn(batch, dimension, steps, generator=torch.Generator().manual_seed(seed))


def with_distribution(q: Tensor, prior: Tensor) -> GumbelQuantizer:
    """One codebook of unit vectors, which have the probabilities q for a latent of zero."""
    quantizer = GumbelQuantizer(len(q), codebooks=1, codebook_size=len(q))
    with torch.no_grad():
        quantizer.codebooks.copy_(torch.eye(len(q))[None])
        quantizer.bias.copy_(q.log()[None])
        quantizer.prior.copy_(prior.log()[None])
    return quantizer


def test_the_most_probable_codeword_is_taken():
    """softmax(C z + b): products 2, 1, 3 and the bias 0, 2.5, 0 make the second the largest, 3.5."""
    quantizer = GumbelQuantizer(2, codebooks=1, codebook_size=3)
    with torch.no_grad():
        quantizer.codebooks.copy_(torch.tensor([[[2.0, 0], [0, 1], [1, 2]]]))
        quantizer.bias.copy_(torch.tensor([[0, 2.5, 0]]))
    z = torch.tensor([[[1.0], [1.0]]])
    assert quantizer.encode(z).tolist() == [[[1]]]
    assert quantizer.decode(quantizer.encode(z)).flatten().tolist() == [0, 1]


def test_evaluation_sums_the_codewords_of_the_codebooks_in_use():
    quantizer = GumbelQuantizer(4, codebooks=3, codebook_size=8).eval()
    z = latents(4)
    out = quantizer(z, 2)
    assert out.codes.shape == (2, 2, 20)
    assert torch.equal(out.codes, quantizer.encode(z, 2))
    for b, t in ((0, 0), (1, 13)):
        wanted = sum(quantizer.codebooks[k, out.codes[b, k, t]] for k in range(2))
        torch.testing.assert_close(out.latent[b, :, t], wanted)
    for k in range(2):
        logits = torch.einsum("nd,bdt->btn", quantizer.codebooks[k], z)
        assert torch.equal(out.codes[:, k], logits.argmax(dim=-1))


def test_training_draws_codewords_with_probability_q():
    """The largest of log q + Gumbel noise is codeword k with probability q_k: within four standard errors."""
    torch.manual_seed(0)
    q, draws = torch.tensor([0.6, 0.3, 0.1]), 20_000
    quantizer = with_distribution(q, torch.ones(3) / 3)
    mixture = quantizer(torch.zeros(1, 3, draws), 1).latent[0]
    torch.testing.assert_close(mixture.sum(dim=0), torch.ones(draws))
    frequency = torch.bincount(mixture.argmax(dim=0), minlength=3) / draws
    assert ((frequency - q).abs() < 4 * (q * (1 - q) / draws).sqrt()).all()


def test_the_temperature_is_a_half():
    """tau log(m_1 / m_2) = log(q_1 / q_2) + the difference of two Gumbel variables: logistic, of variance pi^2 / 3."""
    torch.manual_seed(0)
    quantizer = with_distribution(torch.tensor([0.6, 0.4]), torch.ones(2) / 2)
    mixture = quantizer(torch.zeros(1, 2, 50_000), 1).latent[0].double().clamp(min=1e-38)
    odds = 0.5 * (mixture[0] / mixture[1]).log()
    assert odds.mean().item() == pytest.approx(math.log(0.6 / 0.4), abs=0.04)
    assert odds.var().item() == pytest.approx(math.pi**2 / 3, rel=0.05)


def test_codebooks_add_up_in_training():
    torch.manual_seed(0)
    quantizer = GumbelQuantizer(4, codebooks=3, codebook_size=8)
    with torch.no_grad():
        quantizer.bias[:, 5] = 100  # nearly certain
    wanted = quantizer.codebooks[:2, 5].sum(dim=0)
    out = quantizer(latents(4), 2)
    torch.testing.assert_close(out.latent, wanted[:, None].expand(2, 4, 20))
    assert (out.codes == 5).all()


# The rate


def test_a_uniform_prior_needs_all_bits():
    quantizer = GumbelQuantizer(4, codebooks=3, codebook_size=8)
    out = quantizer(latents(4), 3)
    assert out.bits.item() == pytest.approx(3 * 3, abs=1e-5)
    assert quantizer.bits_per_step(out.codes) == pytest.approx(3 * 3, abs=1e-5)
    assert out.commitment == 0


def test_the_cross_entropy_by_hand():
    """q = 3/4, 1/4 and p = 1/2, 1/2 in one, p = 1/8, 7/8 in the other: 1 bit, and 0.75 * 3 + 0.25 * 0.193."""
    z = torch.zeros(1, 2, 5)
    q = torch.tensor([0.75, 0.25])
    assert with_distribution(q, torch.tensor([0.5, 0.5]))(z, 1).bits.item() == pytest.approx(1)
    skewed = with_distribution(q, torch.tensor([0.125, 0.875]))
    assert skewed(z, 1).bits.item() == pytest.approx(0.75 * 3 - 0.25 * math.log2(0.875))
    codes = torch.tensor([[[0, 0, 1]]])
    assert skewed.bits_per_step(codes) == pytest.approx((3 + 3 - math.log2(0.875)) / 3)


def test_the_rate_pulls_the_prior_towards_q():
    """d/dl of -sum q log2 softmax(l) is (p - mean q) / ln 2."""
    quantizer = GumbelQuantizer(4, codebooks=2, codebook_size=8)
    with torch.no_grad():
        quantizer.prior.copy_(latents(8, seed=1, batch=1, steps=2)[0].T)
    z = latents(4)
    (gradient,) = torch.autograd.grad(quantizer(z, 2).bits, quantizer.prior)
    logits = torch.einsum("knd,bdt->bktn", quantizer.codebooks, z)
    wanted = (quantizer.prior.softmax(dim=-1) - logits.softmax(dim=-1).mean(dim=(0, 2))) / math.log(2)
    torch.testing.assert_close(gradient, wanted)


def test_the_rate_pulls_the_encoder_towards_the_prior():
    """With q = 1/2, 1/2 and p = 1/8, 7/8: d/db_k of -sum q log2 p is q_k (H - log2 p_k), H the mean of log2 p."""
    quantizer = with_distribution(torch.tensor([0.5, 0.5]), torch.tensor([0.125, 0.875]))
    (gradient,) = torch.autograd.grad(quantizer(torch.zeros(1, 2, 3), 1).bits, quantizer.bias)
    mean = 0.5 * (-3 + math.log2(0.875))
    assert gradient[0].tolist() == pytest.approx([0.5 * (mean + 3), 0.5 * (mean - math.log2(0.875))])


def test_minimising_the_rate_alone_fits_the_prior_to_the_entropy():
    """The minimum of the cross entropy over p is the entropy of q, H(3/4, 1/4) = 0.811 bits."""
    quantizer = with_distribution(torch.tensor([0.75, 0.25]), torch.tensor([0.2, 0.8]))
    optimizer = torch.optim.Adam([quantizer.prior], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        bits = quantizer(torch.zeros(1, 2, 3), 1).bits
        bits.backward()
        optimizer.step()
    assert bits.item() == pytest.approx(0.8113, abs=1e-3)
    torch.testing.assert_close(quantizer.prior.softmax(dim=-1)[0], torch.tensor([0.75, 0.25]), atol=0.01, rtol=0)


def test_all_parameters_have_a_gradient():
    torch.manual_seed(0)
    quantizer, z = GumbelQuantizer(4, codebooks=3, codebook_size=8), latents(4).requires_grad_()
    out = quantizer(z, 2)
    (out.latent.square().sum() + out.bits).backward()
    assert z.grad.any()
    for parameter in quantizer.parameters():
        assert parameter.grad[:2].any()
        assert not parameter.grad[2].any()


def test_training_preserves_the_latent():
    """Two codebooks of four codewords represent sixteen points in the plane and lose at most a third of the energy."""
    torch.manual_seed(0)
    grid = torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0)).T[None] - 1.5
    quantizer = GumbelQuantizer(2, codebooks=2, codebook_size=4)
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        out = quantizer(grid.repeat(8, 1, 1), 2)
        (out.latent - grid).square().mean().backward()
        optimizer.step()
    decoded = quantizer.eval()(grid, 2).latent
    assert (decoded - grid).square().mean() < grid.square().mean() / 3


def test_float32_inside_autocast():
    quantizer, z = GumbelQuantizer(4, codebooks=2, codebook_size=8), latents(4).bfloat16().requires_grad_()
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = quantizer(z, 2)
    torch.manual_seed(0)
    full = quantizer(z.float(), 2)
    assert mixed.latent.dtype == torch.float32
    assert torch.equal(mixed.latent, full.latent)
    assert torch.equal(mixed.bits, full.bits)
    mixed.latent.sum().backward()
    assert z.grad.any()
