"""Values that must be finite before an update is applied."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from earmark.codec.errors import UserError
from earmark.codec.training.distributed import maximum, maximum_of

MOST_SKIPPED = 3  # updates in a row, after which a training ends
_REASONS = ("finite", "NaN", "infinite")


class NotFinite(Exception):  # noqa: N818
    """A loss or a gradient is NaN or infinite; the message names it."""


class FiniteCheck:
    """Checks of the values of one update, on which all processes of a training agree.

    On a CPU a check raises at once. Reading a value from a GPU would wait for it, so there the checks are deferred:
    they leave their result on the device, in `bad`, on which every change of the state depends, and the reason is read
    later.

    Args:
        deferred: leave the results on the device.

    Attributes:
        bad: 1 if some value was not finite so far, otherwise 0; a float32 scalar, as the fused optimisers of PyTorch
            take it. None if the checks are not deferred, or before the first.
    """

    def __init__(self, deferred: bool) -> None:
        self._deferred = deferred
        self._names: list[str] = []
        self._states: list[Tensor] = []
        self.bad: Tensor | None = None

    def __call__(self, values: Mapping[str, Tensor]) -> None:
        """Check values together.

        Args:
            values: tensors of any shape by their names in messages, causes before consequences.

        Raises:
            NotFinite: names the first value that is not finite; only if the checks are not deferred.
        """
        if not self._deferred:
            require_finite(values)
            return
        states = maximum_of(_states(values))
        bad = states.any().float()
        self.bad = bad if self.bad is None else torch.maximum(self.bad, bad)
        self._names += values
        self._states.append(states)

    def outcome(self, update: int) -> Outcome:
        """The result of deferred checks, on its way to the CPU."""
        states = torch.cat(self._states)
        here = states.to("cpu", non_blocking=True)
        arrived = None
        if states.is_cuda:
            arrived = torch.cuda.Event()
            arrived.record()
        return Outcome(update, tuple(self._names), here, arrived)


@dataclass(frozen=True)
class Outcome:
    """Result of the checks of an update.

    Args:
        update: its number, counted from 1.
        names: names of the values.
        states: of each value an index of _REASONS, on the CPU once `arrived`.
        arrived: event of the GPU after which `states` can be read.
    """

    update: int
    names: tuple[str, ...]
    states: Tensor
    arrived: torch.cuda.Event | None

    @property
    def known(self) -> bool:
        """Whether reading it does not wait for the device."""
        return self.arrived is not None and self.arrived.query()

    def reason(self) -> str | None:
        """The first value that is not finite, e.g. "loss mel is NaN"; None if all are."""
        if self.arrived is not None:
            self.arrived.synchronize()
        states = zip(self.names, self.states.int().tolist(), strict=True)
        return next((f"{name} is {_REASONS[state]}" for name, state in states if state), None)


class Skips:
    """The updates that had to be skipped. Several in a row end the training."""

    def __init__(self) -> None:
        self._expected: deque[Outcome] = deque()
        self._in_a_row = 0
        self._unreported: list[tuple[int, str]] = []

    def expect(self, outcome: Outcome) -> None:
        """Note an update whose outcome is still on its way from the device."""
        self._expected.append(outcome)

    def read(self, wait: bool) -> None:
        """Note the outcomes that have arrived; with `wait`, all.

        Raises:
            UserError: several updates in a row had to be skipped.
        """
        while self._expected and (wait or self._expected[0].known):
            outcome = self._expected.popleft()
            self.note(outcome.update, outcome.reason())

    def note(self, update: int, reason: str | None) -> None:
        """Note whether an update was skipped, and why.

        Raises:
            UserError: several updates in a row had to be skipped.
        """
        self._in_a_row = 0 if reason is None else self._in_a_row + 1
        if reason is None:
            return
        if self._in_a_row >= MOST_SKIPPED:
            raise UserError(
                f"update {update}: {reason}, in {MOST_SKIPPED} updates in a row; the state saved last is intact: "
                "lower optimizer.learning_rate or set optimizer.clip, or look at the recordings"
            )
        self._unreported.append((update, reason))

    def take(self) -> list[tuple[int, str]]:
        """Number and reason of each skipped update that was noted since the last call."""
        skipped, self._unreported = self._unreported, []
        return skipped


def require_finite(values: Mapping[str, Tensor]) -> None:
    """Check values together, since reading one from a GPU takes as long as reading all.

    All processes of a training agree: if a value of one is not finite, all of them raise.

    Args:
        values: tensors of any shape by their names in messages, causes before consequences.

    Raises:
        NotFinite: names the first value that is not finite.
    """
    states: list[int] = _states(values).int().tolist()
    first = maximum(next((len(states) - index for index, state in enumerate(states) if state), 0))
    if first:
        index = len(states) - first
        raise NotFinite(f"{[*values][index]} is {_REASONS[states[index] or 1]}")


def require_finite_weights(network: nn.Module, name: str, update: int) -> None:
    """Refuse weights that are not finite, before they are saved in place of a good state.

    Raises:
        UserError: names the first such weight.
    """
    for key, value in network.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise UserError(
                f"update {update}: {name}.{key} is not finite; the state saved last is kept: lower "
                "optimizer.learning_rate or set optimizer.clip"
            )


def _states(values: Mapping[str, Tensor]) -> Tensor:
    """An index of _REASONS for each value, float32 [values]."""
    # A sum would overflow where no value is infinite; the extremes do not, and NaN reaches them.
    extremes = torch.stack([torch.stack(value.detach().float().aminmax()) for value in values.values()])
    return torch.maximum(extremes.isnan().any(dim=1).float(), 2 * extremes.isinf().any(dim=1).float())
