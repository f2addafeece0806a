"""Run metadata, the content of run.json: how a run was made, from which recordings, and with which versions."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from earmark.eval.comparison.corpus import Source, is_speech
from earmark.eval.comparison.machine import machine
from earmark.eval.comparison.plan import Plan
from earmark.eval.comparison.room import Room
from earmark.eval.comparison.tally import Tally
from earmark.eval.metrics import registry, remembered

LIBRARIES = (
    "ai-edge-litert", "av", "matplotlib", "numba", "numpy", "opuslib", "pandas", "pesq", "pyarrow", "pyloudnorm",
    "pystoi", "safetensors", "scipy", "soundfile", "soxr", "torch", "visqol-python",
)  # fmt: skip
CIRCUMSTANCES = ("created", "command", "machine", "history")  # keys that may differ between runs with the same results

Digests = tuple[str | None, str | None]  # SHA-256 of a recording, and of the file mixed into it


def run_metadata(
    plan: Plan,
    sources: Sequence[Source],
    digests: Mapping[str, Digests],
    versions: Mapping[str, str],
    parts: Mapping[str, Mapping[str, str]],
    tally: Tally,
    decoded: Mapping[str, Mapping[str, Any]],
    metrics: Sequence[str],
) -> dict[str, Any]:
    """Return the content of run.json.

    Args:
        digests: recording -> its hashes; recordings that cannot be opened are absent.
        versions: system -> version of its codec.
        parts: system -> what its version sums up.
        tally: results of the run.
        decoded: system given by its decoded audio -> its entry, see `earmark.eval.comparison.decoded.files`.
        metrics: the metrics of the plan, and others that its systems have in the run already.
    """
    speech = {category for category in {source.category for source in sources} if is_speech(category, plan.speech)}
    categories = {source.category for source in sources}
    computed = {name for category in categories for name in plan.metrics_for(category, metrics).values()}
    return {
        "earmark": version("earmark"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": plan.command,
        "machine": machine() if plan.cluster is None else f"workers of the cluster {plan.cluster}",
        "audio_dir": str(plan.audio_dir),
        "systems": [system.text for system in plan.compared],
        "metrics": list(metrics),
        "speech_categories": sorted(speech),
        "sample_rate": plan.format.sample_rate,
        "mono": plan.format.mono,
        "versions": _versions(versions),
        "metric_versions": {name: registry.find(name).version() for name in sorted(computed)},
        "own_metrics": remembered.describe(registry.find(name) for name in sorted(computed)),
        "recordings": [
            _recording(source, digests.get(source.file, (None, None)), tally.formats[source.file]) for source in sources
        ],
        "notes": sorted(tally.notes),
        **({"codec_parts": dict(parts)} if parts else {}),
        **({"decoded": dict(decoded)} if decoded else {}),
    }


def planned_metadata(plan: Plan, sources: Sequence[Source], digests: Mapping[str, Digests]) -> dict[str, Any]:
    """The part of run.json that is known before work starts, and that tells whether a run may take the results."""
    speech = {category for category in {source.category for source in sources} if is_speech(category, plan.speech)}
    return {
        "audio_dir": str(plan.audio_dir),
        "systems": [system.text for system in plan.compared],
        "decoded": {one.system.text: {} for one in plan.decoded},
        "speech_categories": sorted(speech),
        "sample_rate": plan.format.sample_rate,
        "mono": plan.format.mono,
        "metric_versions": plan.metric_versions(),
        "recordings": [_recording(source, digests[source.file], "") for source in sources],
    }


def _recording(source: Source, digests: Digests, format_: tuple[int, int, float] | str) -> dict[str, Any]:
    digest, added_digest = digests
    recording: dict[str, Any] = {
        "file": source.file, "category": source.category, "sha256": digest, "error": None,
    }  # fmt: skip
    if source.excerpt is not None:
        recording["excerpt"] = list(source.excerpt)
    if source.added is not None:
        recording["added"] = {"sha256": added_digest, "start": source.added.start, "snr_db": source.added.snr_db}
    if source.room is not None:
        recording["room"] = _room(source.room)
    if isinstance(format_, str):
        recording["error"] = format_
    else:
        recording |= dict(zip(("sample_rate", "channels", "seconds"), format_, strict=True))
    return recording


def _room(room: Room) -> dict[str, Any]:
    return {"sha256": room.sha256} if room.sha256 is not None else {"seed": room.seed, "rt60": room.rt60}


def _versions(systems: Mapping[str, str]) -> dict[str, str]:
    """Versions of Python, libraries and codecs."""
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return versions | {system: text for system, text in systems.items() if text != "1"}
