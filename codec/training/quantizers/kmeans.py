"""k-means by Lloyd's iterations, from which the codebooks start (EnCodec paper, sections 3.2 and A.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from earmark.codec.encodec.rvq import nearest


def kmeans(samples: Tensor, start: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Move centroids to the mean of the samples nearest to them, until nothing changes.

    A centroid that no sample is nearest to stays where it is.

    Args:
        samples: [n, D].
        start: the first centroids, [N, D]; there may be more of them than samples.
        iterations: how often they move, at most.

    Returns:
        The centroids, [N, D], and how many samples are nearest to each, [N], both float32.
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
    """Count and sum of the samples, [n, D], that each of the codewords owns: [N] and [N, D]."""
    counts = samples.new_zeros(codewords).index_add_(0, owner, samples.new_ones(len(samples)))
    sums = samples.new_zeros(codewords, samples.shape[1]).index_add_(0, owner, samples)
    return counts, sums
