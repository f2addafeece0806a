"""k-means clustering (Lloyd's algorithm) for the initial codebooks (EnCodec paper, sections 3.2 and A.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from earmark.codec.encodec.rvq import nearest


def kmeans(samples: Tensor, start: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Move centroids to the means of their nearest samples until no assignment changes.

    A centroid without samples does not move.

    Args:
        samples: [n, D].
        start: initial centroids, [N, D]; N may exceed n.
        iterations: most iterations.

    Returns:
        centroids: [N, D], float32.
        counts: number of samples per centroid, [N], float32.
    """
    centroids = start
    owner = nearest(samples, centroids)
    for _ in range(iterations):
        counts, sums = count_and_sum(samples, owner, len(centroids))
        centroids = torch.where(counts[:, None] > 0, sums / counts[:, None].clamp(min=1), centroids)
        previous, owner = owner, nearest(samples, centroids)
        if torch.equal(owner, previous):
            break
    return centroids, count_and_sum(samples, owner, len(centroids))[0]


def count_and_sum(samples: Tensor, owner: Tensor, codewords: int) -> tuple[Tensor, Tensor]:
    """Counts, [N], and sums, [N, D], of the samples, [n, D], that are assigned to each codeword."""
    counts = samples.new_zeros(codewords).index_add_(0, owner, samples.new_ones(len(samples)))
    sums = samples.new_zeros(codewords, samples.shape[1]).index_add_(0, owner, samples)
    return counts, sums
