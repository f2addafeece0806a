"""Residual vector quantisation while it is trained (EnCodec paper, sections 3.2 and 3.4)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from earmark.codec.encodec.rvq import ResidualVectorQuantizer, nearest
from earmark.codec.training.quantizers.joint_batch import JointBatch, sum_over_processes
from earmark.codec.training.quantizers.kmeans import count_and_sum, kmeans
from earmark.codec.training.quantizers.quantized import Quantized

_STARTING, _REPLACING = 0, 1  # what a random number is for
_FRESH = 2.0  # count of a fresh codeword over the least that keeps it alive: 0.99^70 = 1 / 2


class TrainableResidualVectorQuantizer(ResidualVectorQuantizer):
    """Codebooks that follow the encoder, updated by every `forward` in training mode; `plain()` when it is done.

    A codebook starts from k-means over the vectors that reach it in the first batch that uses it. From then on an
    codeword is the mean of the vectors that chose it: a moving average of their sum divided by one of their number. An
    codeword that is hardly ever chosen gives its place to a random vector of the batch, with a count that lets it stay
    for 70 updates if nothing chooses it either. So no count comes near zero, and none needs smoothing.

    All processes of torch.distributed hold the same codebooks, those that one process would learn from their batches
    put together. What is random is drawn from the seed and the number of updates. Everything that a later update
    depends on is a buffer, so that training continues from a state dict to the bit.

    Args:
        decay: of the moving averages, per update.
        dead_below: a codeword is replaced if it is chosen less often than this share, above 0, of the average.
        iterations: of k-means, at most.
    """

    counts: Tensor
    sums: Tensor
    usage: Tensor
    started: Tensor
    updates: Tensor

    def __init__(
        self, dimension: int, codebooks: int, codebook_size: int = 1024,
        *, decay: float = 0.99, dead_below: float = 0.1, iterations: int = 50, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(dimension, codebooks, codebook_size)
        if dead_below <= 0:
            raise ValueError(f"dead_below {dead_below}: a codeword that nothing chooses has to be replaced some time")
        self.decay = decay
        self.dead_below = dead_below
        self.iterations = iterations
        self.seed = seed
        self.register_buffer("counts", torch.zeros(codebooks, codebook_size))
        self.register_buffer("sums", torch.zeros(codebooks, codebook_size, dimension))
        self.register_buffer("usage", torch.zeros(codebooks, codebook_size))  # share of the choices, replacing left out
        self.register_buffer("started", torch.zeros((), dtype=torch.int64))  # codebooks that k-means has filled
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, latent: Tensor, codebooks: int) -> Quantized:
        """Quantise by the first `codebooks` codebooks and, in training mode, update those.

        The gradient passes to the latent as if nothing had been quantised. The commitment is equation (3), the sum of
        |z_c - q_c(z_c)|^2 over the residual steps c, with the squared norm taken as the mean over batch, time and
        dimension, the MSE of section 3.2. In z_c the earlier steps' codewords are constants, so that the gradient of
        every step reaches the latent.

        Args:
            latent: [B, dimension, T] of any floating-point type; inside, everything is float32.
        """
        with torch.autocast(latent.device.type, enabled=False):
            vectors = latent.float().transpose(1, 2).flatten(0, 1)
            if self.training:
                self._start(vectors.detach(), codebooks)
            residual = vectors
            quantized = torch.zeros_like(vectors)
            commitment = vectors.new_zeros(())
            inputs, codes = [], []
            for book in self.codebooks[:codebooks]:
                inputs.append(residual.detach())
                codes.append(nearest(inputs[-1], book))
                codewords = book[codes[-1]]
                quantized = quantized + codewords
                residual = residual - codewords
                commitment = commitment + residual.square().mean()
            if self.training:
                self._learn(inputs, codes)
            # Adding zero, and not (quantized - vectors), leaves the sum of the codewords what it is to the last bit.
            quantized = quantized + (vectors - vectors.detach())
        batch, _, steps = latent.shape
        return Quantized(
            latent=quantized.reshape(batch, steps, -1).transpose(1, 2),
            codes=torch.stack(codes).reshape(-1, batch, steps).transpose(0, 1),
            commitment=commitment,
            bits=vectors.new_zeros(()),
        )

    @torch.no_grad()
    def start_from(self, codebooks: Tensor, vectors: float) -> None:
        """Begin from the first codebooks of another training instead of k-means.

        Args:
            codebooks: [K, codebook_size, dimension], of which K may be below this quantiser's.
            vectors: vectors per batch. Every codeword starts with an equal share of them as its count, so that one
                that is never chosen lives on for ln(dead_below) / ln(decay) updates.
        """
        known = len(codebooks)
        self.codebooks[:known] = codebooks
        self.counts[:known] = vectors / self.codebooks.shape[1]
        self.sums[:known] = self.counts[:known, :, None] * self.codebooks[:known]
        self.started.fill_(known)

    def plain(self) -> ResidualVectorQuantizer:
        """A quantiser for inference with a copy of the codebooks."""
        codebooks, codebook_size, dimension = self.codebooks.shape
        quantizer = ResidualVectorQuantizer(dimension, codebooks, codebook_size)
        quantizer.codebooks = self.codebooks.clone()
        return quantizer

    def bits_per_step(self, codes: Tensor) -> float:
        """Bits that a latent step of `codes`, [B, K, T], takes."""
        return float(codes.shape[1] * self.bits)

    @property
    def perplexity(self) -> Tensor:
        """2^entropy of each codebook's recent choices, [codebooks]: how many equally used codewords it is worth."""
        return torch.special.entr(self._recent_choices()).sum(dim=1).exp()

    @property
    def used(self) -> Tensor:
        """Share of each codebook's codewords that are chosen often enough to be kept, [codebooks]."""
        return (self._recent_choices() * self.codebooks.shape[1] >= self.dead_below).float().mean(dim=1)

    def _recent_choices(self) -> Tensor:
        return self.usage / self.usage.sum(dim=1, keepdim=True).clamp(min=torch.finfo().tiny)

    @torch.no_grad()
    def _start(self, vectors: Tensor, codebooks: int) -> None:
        """Fill those of the first codebooks that have not been used before from the residuals of this batch."""
        started = int(self.started)
        if started >= codebooks:
            return
        batch = JointBatch(len(vectors), vectors.device)
        everything = torch.arange(batch.size, device=vectors.device)
        draws = self._draws(_STARTING)
        residual = vectors
        for index in range(codebooks):
            if index >= started:
                samples = batch.pick(residual, everything)
                first = samples[_choose(draws, batch.size, self.codebooks.shape[1]).to(samples.device)]
                centroids, counts = kmeans(samples, first, self.iterations)
                self.codebooks[index] = centroids
                self.counts[index] = counts
                self.sums[index] = counts[:, None] * centroids
            book = self.codebooks[index]
            residual = residual - book[nearest(residual, book)]
        self.started.fill_(codebooks)

    @torch.no_grad()
    def _learn(self, inputs: list[Tensor], codes: list[Tensor]) -> None:
        """Move the moving averages, replace dead codewords, and make the codebooks anew from both.

        Args:
            inputs: what each codebook quantised, [n, dimension].
            codes: the codewords chosen, [n].
        """
        used, codebook_size = slice(len(codes)), self.codebooks.shape[1]
        seen = [count_and_sum(vectors, code, codebook_size) for vectors, code in zip(inputs, codes, strict=True)]
        counts = sum_over_processes(torch.stack([count for count, _ in seen]))
        self.counts[used].lerp_(counts, 1 - self.decay)
        self.sums[used].lerp_(sum_over_processes(torch.stack([total for _, total in seen])), 1 - self.decay)
        self.usage[used].lerp_(counts / counts.sum(dim=1, keepdim=True), 1 - self.decay)
        self._replace_dead(inputs, self.dead_below * counts.sum(dim=1) / codebook_size)
        self.codebooks[used] = self.sums[used] / self.counts[used, :, None]
        self.updates += 1

    def _replace_dead(self, inputs: list[Tensor], least: Tensor) -> None:
        """Put random vectors of the batch in the place of codewords whose count is below their codebook's `least`."""
        dead = self.counts[: len(inputs)] < least[:, None]
        books = dead.any(dim=1).nonzero()[:, 0].tolist()
        if not books:
            return
        batch = JointBatch(len(inputs[0]), inputs[0].device)
        draws = self._draws(_REPLACING)
        for index in books:
            places = dead[index].nonzero()[:, 0]
            candidates = batch.pick(inputs[index], _choose(draws, batch.size, len(places)).to(places.device))
            self.counts[index, places] = _FRESH * least[index]
            self.sums[index, places] = _FRESH * least[index] * candidates

    def _draws(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, purpose, int(self.updates)))


def _choose(draws: np.random.Generator, size: int, count: int) -> Tensor:
    """`count` random numbers below `size`, [count]; none comes a second time before all have come."""
    return torch.from_numpy(draws.permutation(size)[np.arange(count) % size])
