"""Signals of different lengths through a causal network in one batch, each as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from earmark.codec.encodec.seanet import SEANetDecoder, SEANetEncoder, State


def run_lengths(
    network: SEANetEncoder | SEANetDecoder, x: Tensor, lengths: Sequence[int], longest_part: int
) -> list[Tensor]:
    """Run a causal network on signals of different lengths.

    All signals advance together. Where one ends, its state leaves the batch and ends the signal there, so that its last
    outputs reflect its own last samples, not the padding of the batch.

    Args:
        network: causal encoder or decoder.
        x: signals, [B, C, T]; what follows the end of a shorter one is ignored.
        lengths: number of steps of each signal, from 1 to T.
        longest_part: steps that run at once.

    Returns:
        Output of each signal, [1, D, m_i].
    """
    outputs: list[list[Tensor]] = [[] for _ in lengths]
    present, start, state = list(range(len(lengths))), 0, State()
    for end in sorted(set(lengths)):
        for part in x[present, :, start:end].split(longest_part, dim=-1):
            _append(outputs, present, network.step(part, state, last=False))
        ending = [row for row, signal in enumerate(present) if lengths[signal] == end]
        staying = [row for row, signal in enumerate(present) if lengths[signal] != end]
        nothing = x.new_zeros(len(ending), x.shape[1], 0)
        last = network.step(nothing, _rows(state, ending, x.device), last=True)
        _append(outputs, [present[row] for row in ending], last)
        state = _rows(state, staying, x.device)
        present, start = [present[row] for row in staying], end
    return [torch.cat(parts, dim=-1) for parts in outputs]


def _append(outputs: list[list[Tensor]], signals: list[int], batch: Tensor) -> None:
    for signal, output in zip(signals, batch.split(1), strict=True):
        outputs[signal].append(output)


def _rows(state: State, rows: list[int], device: torch.device) -> State:
    index = torch.tensor(rows, device=device, dtype=torch.long)
    return {layer: its_state.rows(index) for layer, its_state in state.items()}
