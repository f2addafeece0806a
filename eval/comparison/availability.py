"""Systems and metrics of a plan that cannot run on this machine, and whether the rest may run without them."""

from __future__ import annotations

from collections.abc import Sequence

from earmark.baselines.interface import System
from earmark.baselines.own_codec import OwnCodec
from earmark.baselines.registry import family_of
from earmark.codec.errors import UserError
from earmark.eval.comparison.plan import Plan
from earmark.eval.metrics import registry, transport


def unavailable_systems(systems: Sequence[System]) -> dict[str, str]:
    """System -> why it cannot run here, with the remedy; systems that can run are absent."""
    reasons = {system.text: family_of(system).unavailable(system) for system in systems}
    return {name: reason.removeprefix(f"{name}: ") for name, reason in reasons.items() if reason is not None}


def unavailable_metrics(names: Sequence[str]) -> dict[str, str]:
    """Metric -> why it cannot run here, with the remedy; metrics that can run are absent."""
    metrics = {name: registry.find(name) for name in names}
    return {name: reason for name, metric in metrics.items() if (reason := metric.available()) is not None}


def require_available(plan: Plan) -> None:
    """Refuse a plan before any work if something in it cannot run here.

    A plan that keeps going is refused only if none of its systems can run.

    Raises:
        UserError: the message lists what cannot run, each with its remedy.
    """
    systems, metrics = unavailable_systems(plan.compared), unavailable_metrics(plan.metrics)
    none_left = len(systems) == len(plan.compared)
    if none_left or not plan.keep_going:
        refuse({**systems, **metrics}, rest=not none_left)


def require_sendable(plan: Plan) -> None:
    """Refuse a plan if a codec or metric of the user's cannot be sent to the processes that are to use it.

    Raises:
        UserError: the message names it, with the remedy.
    """
    if plan.in_process:
        return
    for system in plan.systems:
        if isinstance(system.own, OwnCodec):
            system.own.require_sendable()
    transport.pack(plan.metrics)


def refuse(reasons: dict[str, str], *, rest: bool) -> None:
    """Raise for what cannot run, if anything.

    Args:
        reasons: name -> why it cannot run.
        rest: whether others can run without it.

    Raises:
        UserError: one line with all names and reasons.
    """
    if reasons:
        listed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise UserError(f"{listed}{'; or add --keep-going to run the rest' if rest else ''}")
