"""ViSQOL's search for the decoded patch that is most similar to each patch of the reference.

Every candidate is one frame later than the one before, so candidates side by side read neighbouring columns of one
padded spectrogram, and the loops over them vectorise. Means and variances of a decoded patch do not depend on the
reference, and differ between patches only in the first and last column, whose neighbours are replicated: they are
computed once for the whole spectrogram. Every similarity is computed by the operations of the library in their order.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from visqol.numba_accel import _C1 as C1
from visqol.numba_accel import _C3 as C3
from visqol.numba_accel import _GW as WINDOW

CANDIDATES = 32  # side by side; fewer lose time to the checks before each loop
FIRST, INNER, LAST = 0, 1, 2  # columns of a patch

CORNER, EDGE, CENTRE = float(WINDOW[0, 0]), float(WINDOW[0, 1]), float(WINDOW[1, 1])  # of the 3 x 3 Gaussian window
LOWEST = -1e308


def padded(spectrogram: NDArray[np.float64], patch_frames: int) -> NDArray[np.float64]:
    """A spectrogram [bands, frames] with silence behind it, so that a patch can begin at any frame."""
    return np.pad(spectrogram, ((0, 0), (0, patch_frames - 1 + CANDIDATES)))


def search(
    reference: NDArray[np.float64], starts: NDArray[np.int64], decoded: NDArray[np.float64], frames: int, radius: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Similarities summed along the best path to each candidate, and the candidate before it, both [patches, frames].

    Args:
        reference: patches [patches, bands, patch frames].
        starts: first frame of each patch, ascending.
        decoded: spectrogram from `padded`.
        frames: number of frames without the padding.
        radius: how many frames from its start a patch is sought.
    """
    result: tuple[NDArray[np.float64], NDArray[np.int64]] = _search(reference, starts, decoded, frames, radius)
    return result


@njit(cache=True, error_model="numpy")
def _local_statistics(spectrogram: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean and variance around each point of [bands, frames], as [3, bands, frames].

    The first index is FIRST, INNER or LAST: the column of the patch in which the point lies.
    """
    bands, frames = spectrogram.shape
    means = np.empty((3, bands, frames))
    variances = np.empty((3, bands, frames))
    for band in range(bands):
        lower = spectrogram[max(band - 1, 0)]
        same = spectrogram[band]
        upper = spectrogram[min(band + 1, bands - 1)]
        for column in range(3):
            for frame in range(frames):
                left = frame if column == FIRST else max(frame - 1, 0)
                right = frame if column == LAST else min(frame + 1, frames - 1)
                mean = 0.0
                square = 0.0
                for row, side, middle in ((lower, CORNER, EDGE), (same, EDGE, CENTRE), (upper, CORNER, EDGE)):
                    mean += side * row[left]
                    square += side * (row[left] * row[left])
                    mean += middle * row[frame]
                    square += middle * (row[frame] * row[frame])
                    mean += side * row[right]
                    square += side * (row[right] * row[right])
                means[column, band, frame] = mean
                variances[column, band, frame] = square - mean * mean
    return means, variances


@njit(cache=True, error_model="numpy")
def _multiply(reference: NDArray[np.float64], decoded: NDArray[np.float64], products: NDArray[np.float64]) -> None:
    """Products of one band of a patch [patch frames] with the candidates' bands, [1 + patch frames + 1, CANDIDATES].

    The first and last column are replicated.
    """
    columns = reference.size
    for column in range(columns):
        value = reference[column]
        for candidate in range(CANDIDATES):
            products[column + 1, candidate] = value * decoded[column + candidate]
    for candidate in range(CANDIDATES):
        products[0, candidate] = products[1, candidate]
        products[columns + 1, candidate] = products[columns, candidate]


@njit(cache=True, error_model="numpy")
def _add_similarities(
    lower: NDArray[np.float64], same: NDArray[np.float64], upper: NDArray[np.float64], column: int,
    reference_mean: float, reference_variance: float, means: NDArray[np.float64], variances: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:  # fmt: skip
    """Add to `sums` [CANDIDATES] the similarity at one point of the patch; `means` and so on are the candidates'."""
    reference_square = reference_mean * reference_mean
    for candidate in range(CANDIDATES):
        cross = 0.0 + CORNER * lower[column, candidate]
        cross += EDGE * lower[column + 1, candidate]
        cross += CORNER * lower[column + 2, candidate]
        cross += EDGE * same[column, candidate]
        cross += CENTRE * same[column + 1, candidate]
        cross += EDGE * same[column + 2, candidate]
        cross += CORNER * upper[column, candidate]
        cross += EDGE * upper[column + 1, candidate]
        cross += CORNER * upper[column + 2, candidate]
        mean = means[candidate]
        mean_cross = reference_mean * mean
        intensity = (2.0 * mean_cross + C1) / (reference_square + mean * mean + C1)
        product = reference_variance * variances[candidate]
        deviations = np.sqrt(0.0 if product < 0.0 else product)
        sums[candidate] += intensity * ((cross - mean_cross + C3) / (deviations + C3))


@njit(cache=True, error_model="numpy")
def _similarities(
    patch: NDArray[np.float64], decoded: NDArray[np.float64], means: NDArray[np.float64],
    variances: NDArray[np.float64], low: int, high: int,
) -> NDArray[np.float64]:  # fmt: skip
    """Similarity (NSIM) of a patch [bands, patch frames] and each candidate from `low` to `high`."""
    bands, columns = patch.shape
    patch_means, patch_variances = _local_statistics(patch)
    products = np.empty((3, columns + 2, CANDIDATES))  # of three neighbouring bands, band n at n modulo 3
    band_sums = np.empty(CANDIDATES)
    sums = np.empty(CANDIDATES)
    result = np.empty(high + 1 - low)
    for start in range(low, high + 1, CANDIDATES):
        sums[:] = 0.0
        _multiply(patch[0], decoded[0, start:], products[0])
        for band in range(bands):
            if band + 1 < bands:
                _multiply(patch[band + 1], decoded[band + 1, start:], products[(band + 1) % 3])
            lower, upper = products[max(band - 1, 0) % 3], products[min(band + 1, bands - 1) % 3]
            band_sums[:] = 0.0
            for column in range(columns):
                kind = FIRST if column == 0 else LAST if column == columns - 1 else INNER
                _add_similarities(
                    lower, products[band % 3], upper, column,
                    patch_means[kind, band, column], patch_variances[kind, band, column],
                    means[kind, band, start + column :], variances[kind, band, start + column :], band_sums,
                )  # fmt: skip
            for candidate in range(CANDIDATES):
                sums[candidate] += band_sums[candidate] / columns
        for candidate in range(min(CANDIDATES, high + 1 - start)):
            result[start - low + candidate] = sums[candidate] / bands
    return result


@njit(cache=True, error_model="numpy")
def _search(
    reference: NDArray[np.float64], starts: NDArray[np.int64], decoded: NDArray[np.float64], frames: int, radius: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """See `search`: the library's dynamic programming, in which the rightmost of equal predecessors wins."""
    patches = reference.shape[0]
    means, variances = _local_statistics(decoded)
    totals = np.zeros((patches, frames))
    before = np.full((patches, frames), -1, dtype=np.int64)
    best_total = np.empty(frames)  # of the previous patch, among the candidates left of each
    best_candidate = np.empty(frames, dtype=np.int64)
    for patch in range(patches):
        low, high = max(0, starts[patch] - radius), min(frames - 1, starts[patch] + radius)
        if patch > 0:
            best, where = LOWEST, -1
            for candidate in range(max(0, starts[patch - 1] - radius), high + 1):
                best_total[candidate], best_candidate[candidate] = best, where
                if totals[patch - 1, candidate] >= best:
                    best, where = totals[patch - 1, candidate], candidate
        similarities = _similarities(reference[patch], decoded, means, variances, low, high)
        for candidate in range(low, high + 1):
            total, previous = similarities[candidate - low], -1
            if patch > 0:
                total += best_total[candidate]
                previous = best_candidate[candidate]
                if totals[patch - 1, candidate] > total:  # this patch has no counterpart
                    total, previous = totals[patch - 1, candidate], candidate
            totals[patch, candidate], before[patch, candidate] = total, previous
    return totals, before
