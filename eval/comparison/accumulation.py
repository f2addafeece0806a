"""Runs that accumulate: what a run holds already stays beside what a command adds, as long as the two agree."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.files import write_text, written_whole
from earmark.eval.comparison.comparability import disagreements, other_content
from earmark.eval.comparison.plan import Plan
from earmark.eval.comparison.run_folder import INFO, SCORES, read_info, read_scores
from earmark.eval.metrics import registry

UNIONS = ("versions", "codec_parts", "metric_versions", "own_metrics", "decoded")  # mappings in run.json
REMEDY = "name these systems and metrics again, choose another --out, or start over by --replace"
HISTORY = ("created", "command", "machine")  # of earlier commands, in the list `history` of run.json

Pair = tuple[str, str]  # recording, system


@dataclass(frozen=True)
class Content:
    """Scores and metadata of a run; without rows and keys if there is no run yet."""

    scores: pd.DataFrame
    info: dict[str, Any]

    @property
    def metrics(self) -> dict[str, list[str]]:
        """System -> metrics that it has scores by."""
        if self.scores.empty:
            return {}
        pairs = self.scores[["system", "metric"]].drop_duplicates()
        return {str(system): rows["metric"].tolist() for system, rows in pairs.groupby("system", sort=False)}


EMPTY = Content(pd.DataFrame(), {})


def read(run: Path) -> Content:
    """Read the run in a folder; nothing if it has no finished run, or one that cannot be read."""
    try:
        return Content(read_scores(run), read_info(run))
    except UserError:
        return EMPTY


def write(content: Content, run: Path) -> None:
    """Write RUN/scores.parquet and RUN/run.json.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    with written_whole(run / SCORES) as aside:
        content.scores.to_parquet(aside, index=False)
    write_text(run / INFO, json.dumps(content.info, indent=1, ensure_ascii=False) + "\n")


def metrics_by_system(plan: Plan, before: Content) -> dict[str, list[str]]:
    """The metrics to score each system of a plan by: the plan's, and those that the system has scores by already.

    An earlier metric that is not here, or here in another version, is left out; its scores stay while the decoded
    signal does.
    """
    versions: Mapping[str, str] = before.info.get("metric_versions", {})
    had = before.metrics
    known = {name: _computable(name, versions) for names in had.values() for name in names if name not in plan.metrics}
    every = _order(before.info.get("metrics", ()), plan.metrics, known)
    wanted = {system.text: {*plan.metrics, *had.get(system.text, ())} for system in plan.compared}
    return {
        text: [name for name in every if name in plan.metrics or (name in names and known[name])]
        for text, names in wanted.items()
    }


def _computable(name: str, versions: Mapping[str, str]) -> bool:
    try:
        modes = {registry.find(name, speech=speech) for speech in (True, False)}
    except UserError:
        return False
    return all(mode.available() is None and versions.get(mode.name, mode.version()) == mode.version() for mode in modes)


def kept(before: pd.DataFrame, files: Collection[str], metrics: Mapping[str, Iterable[str]]) -> pd.DataFrame:
    """The rows of a run that a command with these recordings and these metrics of each system does not replace."""
    if before.empty:
        return before
    named = {(system, name) for system, names in metrics.items() for name in names}
    cells = pd.Series(zip(before["system"], before["metric"], strict=True), index=before.index)
    return before[~(before["file"].isin(list(files)) & cells.isin(list(named)))]


def check(
    before: Content, rows: pd.DataFrame, info: Mapping[str, Any], run: Path, remedy: str = REMEDY
) -> None:  # fmt: skip
    """Check that rows of a run may stay beside those of a command.

    Args:
        rows: the rows that stay, from `kept`.
        info: content of run.json for the command alone; see `disagreements` for the keys that count.
        remedy: end of the message.

    Raises:
        UserError: they are of other recordings, another format or other versions of metrics.
    """
    decoded = info.get("decoded", {})
    clashes = [
        name for name in info["systems"]
        if name in before.info.get("systems", ()) and (name in before.info.get("decoded", {})) != (name in decoded)
    ]  # fmt: skip
    if clashes:
        was, now = ("a codec", "decoded audio") if clashes[0] in decoded else ("decoded audio", "a codec")
        raise UserError(f"{run}: {clashes[0]} is {was} there, and {now} here; choose another name or another --out")
    if not rows.empty:
        why = disagreements(before.info, info, rows["file"].unique(), rows["metric"].unique())
        if why:
            stay = ", ".join(rows["system"].unique())
            raise UserError(f"{run}: does not fit together with what it has of {stay}: {'; '.join(why)}; {remedy}")
    if not before.info or _same_path(before.info["audio_dir"], info["audio_dir"]):
        return
    if why := other_content(before.info, info, [entry["file"] for entry in info["recordings"]]):
        raise UserError(
            f"{run}: has other recordings of the same names from {before.info['audio_dir']}: {'; '.join(why)}; choose "
            "another --out, or start over by --replace"
        )


def _same_path(one: str, other: str) -> bool:
    paths = [Path(text) if "://" in text else Path(text).resolve() for text in (one, other)]
    return paths[0] == paths[1]


def merged(before: Content, after: Content, stay: pd.DataFrame) -> Content:
    """Contents of a run after a command.

    Args:
        after: the command's own scores and metadata.
        stay: rows of `before` that stay.
    """
    if stay.empty:
        return after
    systems = _order(before.info["systems"], after.info["systems"], stay["system"].unique())
    metrics = _order(before.info["metrics"], after.info["metrics"], stay["metric"].unique())
    ours = {entry["file"]: entry for entry in after.info["recordings"]}
    files = set(stay["file"].unique())
    others = [entry for entry in before.info["recordings"] if entry["file"] in files and entry["file"] not in ours]
    recordings = [*after.info["recordings"], *others]
    scores = pd.concat([after.scores, stay], ignore_index=True)
    names = {"file": [entry["file"] for entry in recordings], "system": systems, "metric": metrics}
    places = {
        column: scores[column].map({name: place for place, name in enumerate(ordered)})
        for column, ordered in names.items()
    }
    order = pd.DataFrame(places).sort_values([*names], kind="stable").index
    speech = {name for name in before.info["speech_categories"] if name in set(stay["category"])}
    info = {
        **after.info,
        "systems": systems,
        "metrics": metrics,
        "recordings": recordings,
        "speech_categories": sorted(speech | set(after.info["speech_categories"])),
        "notes": sorted({*after.info["notes"], *_notes_that_stay(before.info["notes"], after.info, systems)}),
    }
    for key in UNIONS:
        joined = {**before.info.get(key, {}), **after.info.get(key, {})}
        if joined or key in after.info:
            info[key] = joined
    for name, entry in before.info.get("decoded", {}).items():  # recordings that this command did not name
        info["decoded"][name] = {
            **info["decoded"][name], "sha256": {**entry["sha256"], **info["decoded"][name]["sha256"]}
        }  # fmt: skip
    return Content(scores.loc[order].reset_index(drop=True), info)


def history(before: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The earlier commands of a run, the oldest first, for the next run.json."""
    if not before:
        return []
    return [*before.get("history", []), {key: before[key] for key in HISTORY}]


def _order(before: Sequence[str], after: Sequence[str], stay: Iterable[str]) -> list[str]:
    """Names in the order of the command if it has all of them, otherwise the earlier ones first."""
    there = {*after, *stay}
    if there == set(after):
        return list(after)
    return [*(name for name in before if name in there), *(name for name in after if name not in before)]


def _notes_that_stay(notes: Iterable[str], after: Mapping[str, Any], systems: Iterable[str]) -> list[str]:
    """Earlier remarks that are not on a system or recording of the command; it makes those anew."""
    others = [name for name in systems if name not in after["systems"]]
    anew = [f"{name}: " for name in after["systems"]]
    files = tuple(f"{entry['file']}: " for entry in after["recordings"])
    return [
        note for note in notes
        if not note.startswith(tuple(anew)) and (not note.startswith(files) or any(name in note for name in others))
    ]  # fmt: skip
