"""Trainable residual vector quantisation (EnCodec paper, sections 3.2 and 3.4)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from earmark.codec.encodec.rvq import ResidualVectorQuantizer, nearest
from earmark.codec.training.gpu import reading_waits
from earmark.codec.training.quantizers.joint_batch import JointBatch, is_distributed, sum_over_processes
from earmark.codec.training.quantizers.kmeans import count_and_sum, kmeans
from earmark.codec.training.quantizers.permutations import permutations
from earmark.codec.training.quantizers.quantized import Quantized
from earmark.codec.training.quantizers.usage import CodewordUsage

_FRESH = 2.0  # count of a new codeword, relative to the lowest count that keeps it: 0.99^70 = 1 / 2


class TrainableResidualVectorQuantizer(CodewordUsage, ResidualVectorQuantizer):
    """Codebooks that are updated by every forward pass in training mode; `plain()` returns the trained quantiser.

    A codebook starts from k-means over the vectors that reach it in the first batch that uses it. After that, a
    codeword is the mean of the vectors that chose it: the moving average of their sum over the moving average of their
    number. A codeword that is hardly ever chosen is replaced by a random vector of the batch, with a count that keeps
    it for 70 updates even if it is never chosen. No count comes near zero, so none needs smoothing. A batch with NaN or
    infinity teaches nothing.

    Once the codebooks have started, nothing is read from the device in a single process: a GPU need not be waited for.

    All processes of torch.distributed hold the same codebooks: those that one process would learn from the joint batch.
    Random numbers depend on the seed and the number of updates. Everything that a later update depends on is a buffer,
    so training continues from a state dict bit for bit.

    Args:
        dimension: size of a vector.
        codebooks: number of codebooks.
        codebook_size: codewords per codebook.
        decay: decay of the moving averages per update.
        dead_below: a codeword is replaced if it is chosen less often than this share of the average; above 0.
        iterations: most iterations of k-means.
        seed: seed of the random numbers.

    Attributes:
        learns: whether the codebooks change in training mode; if not, only the log's usage of codewords does.
    """

    counts: Tensor
    sums: Tensor
    usage: Tensor
    started: Tensor
    updates: Tensor
    learns = True

    def __init__(
        self, dimension: int, codebooks: int, codebook_size: int = 1024,
        *, decay: float = 0.99, dead_below: float = 0.1, iterations: int = 50, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(dimension, codebooks, codebook_size)
        if dead_below <= 0:
            raise ValueError(f"dead_below {dead_below}: must be above 0, or unused codewords would never be replaced")
        self.decay = decay
        self.dead_below = dead_below
        self.iterations = iterations
        self.seed = seed
        self._known: tuple[Tensor, int, int] | None = None  # `started`, its version, and its value
        self.register_buffer("counts", torch.zeros(codebooks, codebook_size))
        self.register_buffer("sums", torch.zeros(codebooks, codebook_size, dimension))
        self.register_buffer("usage", torch.zeros(codebooks, codebook_size))  # share of choices, replacement ignored
        self.register_buffer("started", torch.zeros((), dtype=torch.int64))  # codebooks that k-means has initialised
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, latent: Tensor, codebooks: int) -> Quantized:
        """Quantise with the first `codebooks` codebooks and, in training mode, update them.

        The gradient passes to the latent as if it were not quantised (straight-through estimator). The commitment loss
        is equation (3), the sum of |z_c - q_c(z_c)|^2 over the codebooks c. The squared norm is the mean over batch,
        time and dimension, the MSE of section 3.2. In z_c, codewords of earlier codebooks are constants, so the
        gradient of every term reaches the latent.

        Args:
            latent: [B, dimension, T] of any floating-point type; computed in float32.
            codebooks: number of codebooks to use.
        """
        with torch.autocast(latent.device.type, enabled=False):
            vectors = latent.float().transpose(1, 2).flatten(0, 1)
            if self.training and self.learns:
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
            # Adding zero, not vectors + (quantized - vectors), keeps the sum of the codewords exact to the last bit.
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
        """Start from the codebooks of another training instead of k-means.

        Args:
            codebooks: first codebooks, [K, codebook_size, dimension]; K may be lower than the number of codebooks, and
                surplus ones are ignored.
            vectors: vectors per batch. Every codeword starts with an equal share of them as its count, so one that is
                never chosen is kept for ln(dead_below) / ln(decay) updates.
        """
        known = min(len(codebooks), len(self.codebooks))
        self.codebooks[:known] = codebooks[:known]
        self.counts[:known] = vectors / self.codebooks.shape[1]
        self.sums[:known] = self.counts[:known, :, None] * self.codebooks[:known]
        self.started.fill_(known)

    def plain(self) -> ResidualVectorQuantizer:
        """A quantiser for inference with a copy of the codebooks."""
        codebooks, codebook_size, dimension = self.codebooks.shape
        quantizer = ResidualVectorQuantizer(dimension, codebooks, codebook_size)
        quantizer.codebooks = self.codebooks.clone()
        return quantizer

    @property
    def _started(self) -> int:
        """`started`, which is read from the device only after it has changed."""
        tensor, version = self.started, self.started._version
        if self._known is None or self._known[0] is not tensor or self._known[1] != version:
            self._known = tensor, version, int(tensor)
        return self._known[2]

    @torch.no_grad()
    def _start(self, vectors: Tensor, codebooks: int) -> None:
        """Initialise those of the first codebooks that were not used before, by k-means on the residuals."""
        started = self._started
        if started >= codebooks or not bool(_all_finite([vectors])):
            return
        batch = JointBatch(len(vectors), vectors.device)
        all_vectors = torch.arange(batch.size, device=vectors.device)
        draws = np.random.default_rng((self.seed, int(self.updates)))
        residual = vectors
        for index in range(codebooks):
            if index >= started:
                samples = batch.pick(residual, all_vectors)
                first = samples[_choose(draws, batch.size, self.codebooks.shape[1]).to(samples.device)]
                centroids, counts = kmeans(samples, first, self.iterations)
                self.codebooks[index] = centroids
                self.counts[index] = counts
                self.sums[index] = counts[:, None] * centroids
            book = self.codebooks[index]
            residual = residual - book[nearest(residual, book)]
        self.started.fill_(codebooks)
        self._known = self.started, self.started._version, codebooks

    @torch.no_grad()
    def _learn(self, inputs: list[Tensor], codes: list[Tensor]) -> None:
        """Update the moving averages, replace dead codewords, and recompute the codebooks.

        Args:
            inputs: vectors that each codebook quantised, [n, dimension].
            codes: codes that each codebook chose, [n].
        """
        finite = _all_finite(inputs)
        used, codebook_size = slice(len(codes)), self.codebooks.shape[1]
        seen = [count_and_sum(vectors, code, codebook_size) for vectors, code in zip(inputs, codes, strict=True)]
        counts = sum_over_processes(torch.stack([count for count, _ in seen]))
        self._average(self.usage[used], counts / counts.sum(dim=1, keepdim=True), finite)
        if not self.learns:
            return
        self._average(self.counts[used], counts, finite)
        self._average(self.sums[used], sum_over_processes(torch.stack([total for _, total in seen])), finite)
        self._replace_dead(inputs, self.dead_below * counts.sum(dim=1) / codebook_size, finite)
        codebooks = self.sums[used] / self.counts[used, :, None]
        self.codebooks[used] = torch.where(finite, codebooks, self.codebooks[used])
        self.updates += finite

    def _average(self, average: Tensor, values: Tensor, finite: Tensor) -> None:
        """Include values in a moving average if the batch is finite."""
        average.copy_(torch.where(finite, average.lerp(values, 1 - self.decay), average))

    def _replace_dead(self, inputs: list[Tensor], least: Tensor, finite: Tensor) -> None:
        """Replace codewords whose count is below their codebook's `least` by random vectors of the batch."""
        used = slice(len(inputs))
        dead = (self.counts[used] < least[:, None]) & finite
        # Looking is cheaper than replacing nothing, except on a GPU, which would have to be waited for.
        if (is_distributed() or not reading_waits(dead.device)) and not bool(dead.any()):
            return
        batch = JointBatch(len(inputs[0]), inputs[0].device)
        order = permutations(len(inputs), batch.size, self.seed, self.updates)
        number = (dead.cumsum(dim=1) - 1).clamp(min=0)  # of a dead codeword among those of its codebook
        chosen = order.gather(1, number % batch.size)
        candidates = torch.stack([batch.pick(own, index) for own, index in zip(inputs, chosen, strict=True)])
        fresh = _FRESH * least[:, None]
        self.counts[used] = torch.where(dead, fresh, self.counts[used])
        self.sums[used] = torch.where(dead[..., None], fresh[..., None] * candidates, self.sums[used])


def _all_finite(vectors: list[Tensor]) -> Tensor:
    """Whether no vector of the joint batch holds NaN or infinity, which a moving average would never forget."""
    bad = torch.stack([~each.isfinite().all() for each in vectors]).any()
    return sum_over_processes(bad.float()) == 0


def _choose(draws: np.random.Generator, size: int, count: int) -> Tensor:
    """Draw `count` numbers below `size`, [count], without repeating any before all were drawn."""
    return torch.from_numpy(draws.permutation(size)[np.arange(count) % size])
