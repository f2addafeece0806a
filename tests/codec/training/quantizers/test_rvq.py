"""Trainable residual vector quantisation."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

from earmark.codec.encodec.rvq import ResidualVectorQuantizer
from earmark.codec.training.quantizers.kmeans import count_and_sum, kmeans
from earmark.codec.training.quantizers.quantized import Quantized
from earmark.codec.training.quantizers.rvq import TrainableResidualVectorQuantizer

BUFFERS = ("codebooks", "counts", "sums", "usage", "started", "updates")


def latents(seed: int, batch: int = 4, dimension: int = 8, steps: int = 50, centre: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return centre + torch.randn(batch, dimension, steps, generator=generator)


def row(*values: float) -> Tensor:
    """A latent of one dimension."""
    return torch.tensor(values)[None, None]


def flat(latent: Tensor) -> Tensor:
    return latent.transpose(1, 2).flatten(0, 1)


def nearby(vector: Tensor, among: Tensor) -> int | None:
    """Index of the vector in [n, D] that equals a given one within rounding."""
    distance, index = (among - vector).abs().amax(dim=1).min(dim=0)
    return int(index) if distance < 1e-5 else None


# k-means


@pytest.mark.parametrize(("samples", "clusters", "dimension"), [(300, 10, 4), (1000, 64, 16), (50, 2, 1)])
@pytest.mark.parametrize("iterations", [1, 3, 10])
def test_kmeans_equals_scipy(samples, clusters, dimension, iterations):
    data = torch.randn(samples, dimension, generator=torch.Generator().manual_seed(samples))
    centroids, counts = kmeans(data, data[:clusters], iterations)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an empty cluster
        wanted, _ = kmeans2(data.double().numpy(), data[:clusters].double().numpy(), iterations, minit="matrix")
    np.testing.assert_allclose(centroids.numpy(), wanted, atol=1e-5)
    nearest = ((data[:, None].double() - torch.from_numpy(wanted)) ** 2).sum(dim=2).argmin(dim=1)
    assert counts.tolist() == np.bincount(nearest, minlength=clusters).tolist()


def test_kmeans_does_not_move_centroids_without_samples():
    centroids, counts = kmeans(torch.tensor([[0.0], [2.0], [9.0]]), torch.tensor([[1.0], [10.0], [100.0]]), 5)
    assert centroids.flatten().tolist() == [1, 9, 100]
    assert counts.tolist() == [2, 1, 0]


# The start of a codebook


def test_the_first_update_keeps_the_kmeans_centroids():
    """Three vectors at 1 and one at 8: the sums are 3 and 8, the counts 3 and 1, and 3/3 = 1, 8/1 = 8.

    With centroids instead of sums, the codeword 1 would become about (0.99 * 1 + 0.01 * 3) / 3 = 0.34.
    """
    quantizer = TrainableResidualVectorQuantizer(1, codebooks=1, codebook_size=2)
    quantizer(row(1, 8, 1, 1), 1)
    assert sorted(quantizer.codebooks.flatten().tolist()) == pytest.approx([1, 8])
    assert sorted(quantizer.counts.flatten().tolist()) == pytest.approx([1, 3])
    assert sorted(quantizer.sums.flatten().tolist()) == pytest.approx([3, 8])


def test_every_codebook_starts_from_kmeans_of_its_residual():
    """Fixed point of Lloyd's algorithm: in each codebook, every codeword is the mean of the vectors that chose it."""
    quantizer = TrainableResidualVectorQuantizer(8, codebooks=3, codebook_size=8, iterations=200)
    latent = latents(0)
    codes = quantizer(latent, 3).codes
    residual = flat(latent)
    for book, code in zip(quantizer.codebooks, codes.unbind(1), strict=True):
        counts, sums = count_and_sum(residual, code.flatten(), 8)
        torch.testing.assert_close(book, sums / counts[:, None])
        residual = residual - book[code.flatten()]


def test_later_batches_start_only_new_codebooks():
    quantizer = TrainableResidualVectorQuantizer(8, codebooks=3, codebook_size=16)
    quantizer(latents(0), 1)
    assert not quantizer.codebooks[1:].any()
    before = quantizer.codebooks[0].clone()
    quantizer(latents(1), 3)
    assert quantizer.codebooks.any(dim=2).all()
    assert (quantizer.codebooks[0] - before).abs().max() < 0.1  # moved by one update, not initialised again


@pytest.mark.parametrize("steps", [1, 3, 7])
def test_fewer_vectors_than_codewords(steps):
    quantizer = TrainableResidualVectorQuantizer(8, codebooks=2, codebook_size=32)
    for seed in range(3):
        out = quantizer(latents(seed, batch=1, steps=steps), 2)
        assert out.latent.isfinite().all()
        assert quantizer.codebooks.isfinite().all()
    first = TrainableResidualVectorQuantizer(8, codebooks=1, codebook_size=32)
    latent = latents(0, batch=1, steps=steps)
    torch.testing.assert_close(first(latent, 1).latent, latent)  # one codeword per vector


# Updates


def test_codewords_are_moving_sums_over_moving_counts():
    """Codewords 0 (two vectors) and 10 (one), then a batch of 1, 9 and 9, with a decay of 0.9."""
    quantizer = TrainableResidualVectorQuantizer(1, codebooks=1, codebook_size=2, decay=0.9)
    quantizer(row(0, 0, 10), 1)
    quantizer(row(1, 9, 9), 1)
    low = (0.9 * 0 + 0.1 * 1) / (0.9 * 2 + 0.1 * 1)
    high = (0.9 * 10 + 0.1 * 18) / (0.9 * 1 + 0.1 * 2)
    assert sorted(quantizer.codebooks.flatten().tolist()) == pytest.approx([low, high])


def test_only_the_codebooks_in_use_are_updated():
    quantizer = TrainableResidualVectorQuantizer(8, codebooks=3, codebook_size=16)
    quantizer(latents(0), 3)
    before = {name: getattr(quantizer, name).clone() for name in ("codebooks", "counts", "sums", "usage")}
    quantizer(latents(1), 2)
    for name, was in before.items():
        assert torch.equal(getattr(quantizer, name)[2], was[2])
        assert not torch.equal(getattr(quantizer, name)[1], was[1])


def test_evaluation_updates_nothing():
    quantizer = TrainableResidualVectorQuantizer(8, codebooks=2, codebook_size=16)
    quantizer(latents(0), 2)
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer.eval()(latents(1), 2)
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())


# Dead codewords


def dying() -> tuple[TrainableResidualVectorQuantizer, int]:
    """A quantiser with codewords 0, 1, 2 and 50, and the code of 50, which was hardly ever chosen."""
    quantizer = TrainableResidualVectorQuantizer(1, codebooks=1, codebook_size=4)
    quantizer(row(0, 1, 2, 50), 1)
    code = int(quantizer.codebooks.argmax())
    quantizer.counts[0, code] = 0.1
    quantizer.sums[0, code] = 5
    return quantizer, code


def test_a_dead_codeword_becomes_a_vector_of_the_batch_in_the_same_update():
    """Eight vectors for four codewords, two on average: a codeword is kept from 0.2 on, a new one starts with 0.4."""
    quantizer, code = dying()
    batch = [-0.2, 0.3, 1.2, 0.0, 1.1, -0.1, 2.2, 1.9]
    quantizer(row(*batch), 1)
    codeword = quantizer.codebooks[0, code].item()
    assert min(abs(codeword - value) for value in batch) < 1e-6
    assert quantizer.counts[0, code].item() == pytest.approx(0.4)
    assert quantizer.sums[0, code].item() == pytest.approx(0.4 * codeword, abs=1e-6)


def test_a_new_codeword_is_kept_for_a_while():
    """Without being chosen, its count halves in 69 updates (0.99^69 = 0.4998), from twice the limit to the limit."""
    quantizer, code = dying()
    batch = row(0, 0, 0, 0, 1, 1, 2, 2)
    quantizer(batch, 1)
    quantizer.codebooks[0, code] = 1000
    quantizer.sums[0, code] = 1000 * quantizer.counts[0, code]
    for _ in range(68):
        quantizer(batch, 1)
    assert quantizer.codebooks[0, code].item() == pytest.approx(1000)
    quantizer(batch, 1)
    quantizer(batch, 1)
    assert quantizer.codebooks[0, code].item() < 2.1


def test_dead_codewords_get_different_vectors():
    quantizer = TrainableResidualVectorQuantizer(8, codebooks=1, codebook_size=64)
    quantizer(latents(0), 1)
    quantizer.counts.zero_()  # all are dead: with 200 vectors for 64 codewords, the limit is 0.3
    quantizer.sums.zero_()
    latent = latents(1)
    quantizer(latent, 1)
    chosen = {nearby(codeword, flat(latent)) for codeword in quantizer.codebooks[0]}
    assert None not in chosen
    assert len(chosen) == 64


def test_dead_codewords_of_a_later_codebook_get_its_residual():
    quantizer = TrainableResidualVectorQuantizer(8, codebooks=2, codebook_size=16)
    quantizer(latents(0), 2)
    quantizer.counts[1, 5] = quantizer.sums[1, 5] = 0
    book, latent = quantizer.codebooks[0].clone(), latents(1)
    codes = quantizer(latent, 2).codes
    residual = flat(latent) - book[codes[:, 0].flatten()]
    assert nearby(quantizer.codebooks[1, 5], residual) is not None


def test_codebooks_follow_an_encoder_that_jumps():
    """The codebooks become useless at once. After 400 updates nearly all codewords are in use again."""
    quantizer = TrainableResidualVectorQuantizer(8, codebooks=2, codebook_size=64)
    for seed in range(20):
        quantizer(latents(seed), 2)
    assert quantizer.used.min() > 0.9
    for seed in range(20, 420):
        out = quantizer(latents(seed, centre=30), 2)
    assert quantizer.used.min() > 0.9
    assert quantizer.perplexity.min() > 48
    assert (out.latent - latents(419, centre=30)).square().mean() < 0.5  # the variance is 1


# Gradients


def test_the_gradient_passes_exactly_and_the_value_is_the_sum_of_the_codewords():
    quantizer = TrainableResidualVectorQuantizer(8, codebooks=3, codebook_size=16)
    quantizer(latents(0), 3)
    latent = latents(1).requires_grad_()
    plain, weight = quantizer.plain(), latents(2)
    out = quantizer(latent, 3)
    assert torch.equal(out.latent, plain.decode(out.codes))
    assert torch.equal(out.codes, plain.encode(latent.detach()))
    (out.latent * weight).sum().backward()
    assert torch.equal(latent.grad, weight)


def test_commitment_and_its_gradient_in_every_codebook():
    """l_w = sum_c mean (z - Q_c)^2 with Q_c the sum of the first c codewords: gradient 2 (z - Q_c) / n for each c."""
    quantizer = TrainableResidualVectorQuantizer(8, codebooks=3, codebook_size=16)
    quantizer(latents(0), 3)
    plain = quantizer.plain()
    latent = latents(1).requires_grad_()
    losses, gradients = [], []
    for count in (1, 2, 3):
        quantizer.eval()
        (gradient,) = torch.autograd.grad(quantizer(latent, count).commitment, latent)
        losses.append(quantizer(latent, count).commitment.item())
        gradients.append(gradient)
    left = [latent.detach() - plain.decode(plain.encode(latent.detach(), count)) for count in (1, 2, 3)]
    steps = [part.square().mean().item() for part in left]
    assert losses == pytest.approx(np.cumsum(steps).tolist())
    for count in range(3):
        wanted = sum(2 * part / latent.numel() for part in left[: count + 1])
        torch.testing.assert_close(gradients[count], wanted)


def test_commitment_affects_the_encoder_only():
    quantizer = TrainableResidualVectorQuantizer(8, codebooks=2, codebook_size=16)
    assert not list(quantizer.parameters())
    latent = latents(0).requires_grad_()
    quantizer(latent, 2).commitment.backward()
    assert latent.grad.any()
    assert not any(buffer.requires_grad for buffer in quantizer.buffers())


def test_shapes():
    out = TrainableResidualVectorQuantizer(8, codebooks=3, codebook_size=16)(latents(0, batch=4, steps=50), 2)
    assert isinstance(out, Quantized)
    assert out.latent.shape == (4, 8, 50)
    assert out.codes.shape == (4, 2, 50)
    assert out.commitment.shape == out.bits.shape == ()
    assert out.bits == 0


# State


def test_plain_is_the_quantiser_for_inference():
    quantizer = TrainableResidualVectorQuantizer(8, codebooks=3, codebook_size=16)
    quantizer(latents(0), 3)
    plain = ResidualVectorQuantizer(8, 3, 16)
    plain.load_state_dict(quantizer.plain().state_dict())
    assert torch.equal(plain.encode(latents(1)), quantizer.encode(latents(1)))
    quantizer(latents(2), 3)
    assert not torch.equal(plain.codebooks, quantizer.codebooks)
    assert quantizer.bits_per_step(quantizer.encode(latents(1), 2)) == 2 * 4


@pytest.mark.parametrize("interrupted_after", [0, 1, 4, 7])
def test_training_continues_bit_for_bit(interrupted_after):
    """The third batch initialises codebooks, and dead codewords are replaced throughout."""

    def make() -> TrainableResidualVectorQuantizer:
        return TrainableResidualVectorQuantizer(8, codebooks=2, codebook_size=64, seed=3)

    def train(quantizer: TrainableResidualVectorQuantizer, updates: range) -> None:
        for seed in updates:
            quantizer(latents(seed, batch=1, centre=seed), 1 if seed < 2 else 2)

    through, first, second = make(), make(), make()
    train(through, range(10))
    train(first, range(interrupted_after))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file))
    train(second, range(interrupted_after, 10))
    for name in BUFFERS:
        assert torch.equal(getattr(through, name), getattr(second, name)), name


def test_the_seed_determines_the_codebooks():
    books = []
    for seed in (0, 0, 1):
        quantizer = TrainableResidualVectorQuantizer(8, codebooks=2, codebook_size=16, seed=seed)
        torch.manual_seed(len(books))  # torch's generator must not matter
        quantizer(latents(0), 2)
        books.append(quantizer.codebooks)
    assert torch.equal(books[0], books[1])
    assert not torch.equal(books[0], books[2])


def test_every_update_draws_other_vectors():
    quantizer = TrainableResidualVectorQuantizer(8, codebooks=1, codebook_size=64)
    books = []
    for _ in range(3):
        quantizer.counts.zero_()
        quantizer.sums.zero_()
        quantizer(latents(0), 1)
        books.append(quantizer.codebooks.clone())
    assert not torch.equal(books[1], books[2])


def test_float32_inside_autocast():
    quantizers = [TrainableResidualVectorQuantizer(8, codebooks=2, codebook_size=16) for _ in range(2)]
    encoder = torch.nn.Conv1d(8, 8, 1)
    with torch.autocast("cpu", torch.bfloat16):
        latent = encoder(latents(0))
        assert latent.dtype == torch.bfloat16
        mixed = quantizers[0](latent, 2)
    full = quantizers[1](latent.float(), 2)
    assert mixed.latent.dtype == torch.float32
    assert torch.equal(mixed.latent, full.latent)
    assert torch.equal(mixed.commitment, full.commitment)
    for name in BUFFERS:
        assert torch.equal(getattr(quantizers[0], name), getattr(quantizers[1], name))
    (mixed.latent.sum() + mixed.commitment).backward()
    assert encoder.weight.grad.any()


# Statistics


def test_perplexity_and_use():
    """Shares of 1/2, 1/4, 1/4 and 0: an entropy of 1.5 bits, a perplexity of 2^1.5 = 2.83, three of four used."""
    quantizer = TrainableResidualVectorQuantizer(1, codebooks=2, codebook_size=4)
    quantizer.codebooks[0] = torch.tensor([[0.0], [10], [20], [30]])
    quantizer.counts[0] = 2
    quantizer.sums[0] = 2 * quantizer.codebooks[0]
    quantizer.started.fill_(1)
    quantizer(row(0, 0, 0, 0, 10, 10, 20, 20), 1)
    assert quantizer.perplexity.tolist() == pytest.approx([2**1.5, 1])
    assert quantizer.used.tolist() == [0.75, 0]


def test_replacement_cannot_be_turned_off():
    with pytest.raises(ValueError, match="dead_below 0"):
        TrainableResidualVectorQuantizer(8, codebooks=2, dead_below=0)
