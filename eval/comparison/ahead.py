"""Libraries that worker processes need for their first tasks: which ones, and loading them while a command starts.

It imports little itself, so that the loading begins as soon as a command has read its options.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from pathlib import Path

from earmark.baselines.interface import System
from earmark.baselines.registry import family_of
from earmark.codec.audio import SUFFIXES
from earmark.codec.parallel import one_thread
from earmark.codec.remote_paths import is_remote
from earmark.eval.comparison import availability, worker_process
from earmark.eval.comparison.plan import Plan
from earmark.eval.metrics import registry


def load_ahead(plan: Plan) -> None:
    """Let worker processes load their libraries while this process loads its own, if there will be work for them.

    There will be for a new run of recordings that exist, if nothing keeps its systems and metrics from running.
    """
    if plan.in_process or plan.cluster is not None or is_remote(plan.run) or plan.run.is_file():
        return
    if plan.run.is_dir() and any(plan.run.iterdir()):
        return
    if is_remote(plan.audio_dir) or not (plan.audio_dir.is_file() or _has_audio(plan.audio_dir)):
        return
    if availability.unavailable_systems(plan.compared) or availability.unavailable_metrics(plan.metrics):
        return
    one_thread()
    worker_process.load_ahead(imports_of(plan.compared, plan.metrics))


def _has_audio(folder: Path) -> bool:
    return any(name.lower().endswith(SUFFIXES) for _, _, names in os.walk(folder, followlinks=True) for name in names)


def imports_of(systems: Iterable[System], metrics: Iterable[str]) -> list[str]:
    """Modules that take long to load and that systems or metrics need."""
    needed = [*(registry.find(name).imports for name in metrics), *(family_of(system).imports for system in systems)]
    return list(dict.fromkeys(itertools.chain.from_iterable(needed)))
