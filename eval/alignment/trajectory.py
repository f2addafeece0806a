"""Clock drift and jumps, from the delays of windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.eval.alignment.windows import Local

FEWEST = 4  # windows from which a drift can be told
SMALLEST_DRIFT = 0.15  # samples over the whole signal
SIGNIFICANCE = 6.0  # standard errors
EXCURSION = 4  # windows
STEP_FITS = 0.3  # deviations from a step over those from a line below which the delay jumps
SMALLEST_JUMP = 3.0  # samples; codecs that switch between modes may change their delay by two
CONTRAST = 0.25  # by how much windows behind a jump must match better at their delay than at the one before
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trajectory:
    """How the delay develops.

    Args:
        middle: delay that suits most of the signal, in samples.
        slope: samples of delay per sample; None if it cannot be told.
        drifts: whether the slope is significant.
        jumps: (position in samples, change in samples) of each jump.
        noise: typical deviation of a window from its neighbours in samples.
    """

    middle: float
    slope: float | None
    drifts: bool
    jumps: tuple[tuple[float, float], ...]
    noise: float


def trajectory(local: Local) -> Trajectory:
    """Fit a line with jumps through the reliable windows, robustly against single wrong ones."""
    windows = _without_single_levels(np.flatnonzero(local.reliable), local.late)
    at, late = local.at[windows], local.late[windows]
    if len(at) < 2:
        return Trajectory(float(late[0]) if len(at) else 0.0, None, False, (), np.inf)
    breaks = _breaks(local, windows, late)
    fitted = _fitted(local, at, late, breaks)
    if fitted.drifts and not breaks and (step := _step(late)):
        return _fitted(local, at, late, step)
    return fitted


def _fitted(local: Local, at: Floats, late: Floats, breaks: list[int]) -> Trajectory:
    """Fit lines of one slope to the pieces between breaks."""
    pieces = [np.arange(first, last) for first, last in zip([0, *breaks], [*breaks, len(at)], strict=True)]
    slope, error = _slope(at, late, pieces)
    jumps = tuple(
        (
            float(at[index - 1] + at[index]) / 2,
            float(np.median(late[index : index + 3]) - np.median(late[max(0, index - 3) : index])),
        )
        for index in breaks
    )
    longest = max(pieces, key=len)
    residual = np.concatenate([late[piece] - slope * at[piece] for piece in pieces])
    residual -= np.concatenate([np.full(len(piece), np.median(late[piece] - slope * at[piece])) for piece in pieces])
    noise = 1.4826 * float(np.median(np.abs(residual)))
    change = abs(slope) * float(at[-1] - at[0] + local.step)
    fits = len(longest) >= FEWEST and len(at) >= 0.4 * len(local.at)
    drifts = fits and change > max(SMALLEST_DRIFT, 4 * noise) and abs(slope) > SIGNIFICANCE * error
    return Trajectory(float(np.median(late[longest])), slope if fits else None, drifts, jumps, noise)


def _candidates(late: Floats) -> list[int]:
    """Indices at which the delay changes by far more than it usually does from one window to the next."""
    if len(late) < FEWEST:
        return []
    steps = np.diff(late)
    typical = float(np.median(steps))
    spread = 1.4826 * float(np.median(np.abs(steps - typical)))
    return [int(index) + 1 for index in np.flatnonzero(np.abs(steps - typical) > max(SMALLEST_JUMP, 8 * spread))]


def _without_single_levels(windows: NDArray[np.intp], late: Floats) -> NDArray[np.intp]:
    """Leave out windows that differ from both neighbours: they are wrong, or a jump is in the middle of them."""
    candidates = set(_candidates(late[windows])) | {0, len(windows)}
    return windows[[not {index, index + 1} <= candidates or len(windows) < FEWEST for index in range(len(windows))]]


def _breaks(local: Local, windows: NDArray[np.intp], late: Floats) -> list[int]:
    """Indices at which a new level begins and holds, while windows behind it do not match at the old level."""
    candidates = _candidates(late)
    edges = [0, *candidates, len(late)]
    found = []
    for start, index, end in zip(edges, candidates, edges[2:], strict=False):
        if min(index - start, end - index) >= 2:
            before, after = range(start, index), range(index, end)
            jump = late[index] - late[index - 1]
            contrasts = [
                float(np.mean([_contrast(local, int(windows[one]), late[one], late[one] + change) for one in members]))
                for members, change in ((before, jump), (after, -jump))
            ]
            if min(contrasts) > CONTRAST:
                found.append(index)
    return _without_excursions(found, late)


def _without_excursions(breaks: list[int], late: Floats) -> list[int]:
    """Leave out pairs of breaks between which a few windows differ, as where a codec only approximates the pitch."""
    kept: list[int] = []
    for index in breaks:
        if kept and index - kept[-1] <= EXCURSION and abs(late[index] - late[kept[-1] - 1]) < SMALLEST_JUMP:
            kept.pop()
        else:
            kept.append(index)
    return kept


def _contrast(local: Local, window: int, late: float, other: float) -> float:
    """How much better a window matches at its delay than at another."""
    return local.height_at(window, late) - local.height_at(window, other)


def _step(late: Floats) -> list[int]:
    """The index of a step that fits much better than a line, if the window in the middle of it hides it."""
    if len(late) < FEWEST + 2:
        return []
    line = _spread_around_line(late)
    costs = {index: _spread(late[:index]) + _spread(late[index + 1 :]) for index in range(2, len(late) - 2)}
    index = min(costs, key=costs.__getitem__)
    step = float(np.median(late[index + 1 :]) - np.median(late[:index]))
    return [index] if abs(step) > SMALLEST_JUMP and costs[index] < STEP_FITS * line else []


def _spread(late: Floats) -> float:
    return float(np.abs(late - np.median(late)).sum())


def _spread_around_line(late: Floats) -> float:
    index = np.arange(len(late))
    first, second = np.triu_indices(len(late), 1)
    slope = float(np.median((late[second] - late[first]) / (second - first)))
    return _spread(late - slope * index)


def _slope(at: Floats, late: Floats, pieces: list[NDArray[np.intp]]) -> tuple[float, float]:
    """Median of the slopes between windows of one piece (Theil and Sen), and its standard error."""
    slopes, spans = [], []
    for piece in pieces:
        first, second = np.triu_indices(len(piece), 1)
        slopes.append((late[piece][second] - late[piece][first]) / (at[piece][second] - at[piece][first]))
        spans.append(at[piece] - at[piece].mean())
    every = np.concatenate(slopes)
    if every.size == 0:
        return 0.0, np.inf
    slope = float(np.median(every))
    residual = np.concatenate([late[p] - slope * at[p] - np.median(late[p] - slope * at[p]) for p in pieces])
    noise = 1.4826 * float(np.median(np.abs(residual))) + 1e-4
    return slope, noise / max(float(np.linalg.norm(np.concatenate(spans))), 1e-9)
