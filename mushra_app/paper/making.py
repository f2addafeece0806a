"""Making one table or figure of the paper: train, compare, time, listen, and write what comes of it.

OUT/ROW/                     a training, as `earmark train` writes it
OUT/run/                     the comparison, as `earmark compare` writes it
OUT/bench.json               speeds and latencies, as `earmark bench --out` writes them
OUT/study/                   the listening test; at the scale tiny simulated-ratings.csv instead
OUT/table.md .tex .csv .txt  the table; figure.svg .pdf .png for a figure
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.baselines.interface import System
from earmark.baselines.systems import family_of, parse
from earmark.codec.cores import usable_cores
from earmark.codec.errors import UserError
from earmark.codec.files import write_text
from earmark.codec.notices import notice
from earmark.eval.comparison import runner
from earmark.eval.comparison.availability import unavailable_systems
from earmark.eval.comparison.corpus import ReferenceFormat
from earmark.eval.comparison.run_folder import read_info, read_scores
from earmark.eval.paper.tables import lay_out_like
from earmark.eval.speed import timing
from earmark.eval.statistics.aggregate import summarise
from earmark.eval.tables.grid import RENDERERS, Grid, text
from earmark.mushra_app.paper import listening
from earmark.mushra_app.paper.items import ANCHOR, Item
from earmark.mushra_app.paper.listening import Heard
from earmark.mushra_app.paper.material import SPEECH, Material
from earmark.mushra_app.paper.scale import Scale
from earmark.mushra_app.paper.trainings import Options, Trained, train_rows
from earmark.mushra_app.paper.weights import has_model, weighted

RUN, STUDY, BENCH = "run", "study", "bench.json"
BENCH_SECONDS = {"tiny": 2.0, "small": 5.0, "paper": 10.0}
FORMS = {"table.md": "markdown", "table.tex": "latex", "table.csv": "csv", "table.txt": "text"}
TEXT_WIDTH = 120  # characters in a line of table.txt


@dataclass
class Made:
    """An item after a command.

    Args:
        text: the table as text, or the path of the figure.
        missing: needs that are not met, one line each with the remedy.
        failed: failures, one line each.
    """

    item: Item
    text: str = ""
    missing: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Job:
    """Settings and material that all items of a command share.

    Args:
        models: folder for models that several items use.
        published: whether figures show the paper's points.
    """

    scale: Scale
    material: Material
    options: Options
    models: Path
    published: bool = True


def make_table(item: Item, out: Path, job: Job) -> Made:
    """Make a table in the folder `out`.

    Raises:
        UserError: something that the whole table needs is missing.
    """
    made = Made(item)
    trained = train_rows(item, out, job.scale, job.material, job.options) if item.trainings else None
    if trained is not None:
        made.failed += [f"{label}: {reason}" for label, reason in trained.failed.items()]
    systems = _systems(item, job, made)
    scores, info = _scored(item, out, job, made, systems, trained)
    bench = _timed(item, out, job, made, [*systems, *(trained.systems if trained else ())])
    heard = _heard(item, out, job, made, scores)
    grid = lay_out_like(
        item.name, summarise(scores) if len(scores) else _nothing(bench), info,
        None if heard is None else heard.summary, bench, scores=scores if len(scores) else None,
    )  # fmt: skip
    notes = [*grid.notes, *(trained.notes if trained else ()), *_notes(item, job, heard, made)]
    grid = replace(grid, notes=tuple(notes))
    write_table(grid, out)
    made.text = RENDERERS["text"](grid)
    return made


def compared(item: Item, out: Path, job: Job, made: Made) -> Heard | None:
    """The listeners' scores of an item, from the run and the study of its table; for Figure 3."""
    scores, _ = _scored(item, out, job, made, _systems(item, job, made), None)
    return _heard(item, out, job, made, scores)


def write_table(grid: Grid, folder: Path) -> None:
    """Write the table in every form; the one in plain text with lines that an editor shows whole."""
    for name, form in FORMS.items():
        write_text(folder / name, text(grid, TEXT_WIDTH) if form == "text" else RENDERERS[form](grid))


def _systems(item: Item, job: Job, made: Made) -> list[str]:
    """The systems of the rows that are no trainings, with weights, and with language models where they are shown."""
    plain = [system for system in item.systems if system != listening.REFERENCE]
    chosen = []
    for system in plain:
        text, reason = weighted(system, job.scale, job.material, job.models)
        if reason:
            made.missing.append(reason)
        chosen.append(text)
        if not (item.coded and system.startswith("encodec_")):
            continue
        if has_model(text):
            chosen.append(f"{text}:lm")
        else:
            name = system.partition("@")[0]
            made.missing.append(f"entropy coding of {name}: the stand-in has no language model; the paper's has one")
    return [*([listening.REFERENCE] if listening.REFERENCE in item.systems or item.heard else []), *chosen]


def _scored(
    item: Item, out: Path, job: Job, made: Made, systems: list[str], trained: Trained | None
) -> tuple[pd.DataFrame, dict[str, Any]]:  # fmt: skip
    """Scores and run metadata: of a run with all systems, or of the trainings alone if nothing else is in the table."""
    if not item.needs_run:
        info = {"recordings": list(trained.recordings) if trained else [], "speech_categories": ["speech"]}
        return (trained.scores if trained is not None else pd.DataFrame()), info
    parsed = _loadable([*map(parse, systems), *map(parse, trained.systems if trained else ())], made)
    if item.heard:
        parsed.append(parse(ANCHOR))
    made.missing += [f"{name}: {reason}" for name, reason in unavailable_systems(parsed).items()]
    folder = out / RUN
    plan = runner.Plan(
        audio_dir=job.material.recordings(item.sample_rate, item.channels), systems=tuple(parsed),
        metrics=item.metrics if job.options.visqol else ("si_snr",), run=folder,
        format=ReferenceFormat(item.sample_rate, item.channels == 1), speech=SPEECH,
        jobs=0 if job.scale.synthetic else usable_cores(), command=f"earmark reproduce {item.name}", keep_going=True,
    )  # fmt: skip
    notice(f"{item.name}: {len(parsed)} systems")
    result = runner.run(plan)
    absent = tuple(f"{name}: " for name in unavailable_systems(parsed))
    made.failed += [line for line in result.failures if not (absent and line.startswith(absent))]
    wanted = {one.text for one in parsed}
    scores = read_scores(folder)
    return scores[scores["system"].isin(wanted)], read_info(folder)


def _loadable(systems: list[System], made: Made) -> list[System]:
    """The systems without those whose weights are damaged, which are named in `made.failed`."""
    kept = []
    for system in systems:
        try:
            if family_of(system).unavailable(system) is None:
                family_of(system).version(system)
            kept.append(system)
        except UserError as error:
            made.failed.append(f"{system.text}: {error}")
    return kept


def _timed(item: Item, out: Path, job: Job, made: Made, systems: list[str]) -> dict[str, Any] | None:
    """Speeds and latencies by system; None if the item shows none. Those of an earlier call are kept."""
    if not item.timed:
        return None
    path = out / BENCH
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"systems": [], "failed": {}}
    measured = {one["system"] for one in known["systems"]}
    parsed: list[System] = [parse(system) for system in systems if system != listening.REFERENCE]
    absent = unavailable_systems(parsed)
    made.missing += [line for name, reason in absent.items() if (line := f"{name}: {reason}") not in made.missing]
    fresh = [one for one in parsed if one.text not in absent and one.text not in measured]
    if fresh:
        seconds = BENCH_SECONDS[job.scale.name]
        notice(f"{item.name}: speed of {len(fresh)} systems")
        timings: list[timing.Timing] = []
        failed: dict[str, str] = {}
        for rate in sorted({_rate(one) for one in fresh}):
            group = [one for one in fresh if _rate(one) == rate]
            done, wrong = timing.measure(
                group, timing.swelling_chord(seconds, rate), repeats=job.scale.turns, warm_up=1, threads=1
            )
            timings += done
            failed |= wrong
        known["systems"] += [asdict(one) for one in timings]
        known["failed"] = failed
        made.failed += [f"{name}: {reason}" for name, reason in failed.items()]
        write_text(path, json.dumps(known, indent=1) + "\n")
    wanted = {one.text for one in parsed}
    return {one["system"]: one for one in known["systems"] if one["system"] in wanted}


def _rate(system: System) -> int:
    return 48000 if system.family == "encodec_48khz" else 24000


def _heard(item: Item, out: Path, job: Job, made: Made, scores: pd.DataFrame) -> Heard | None:
    """Listeners' scores, or None with a reason in `made.missing`."""
    if not item.heard or scores.empty:
        return None
    if job.scale.synthetic:
        return listening.simulated(scores, out)
    study = out / STUDY
    todo = ""
    try:
        todo = listening.prepare(out / RUN, study)
        return listening.heard(study, scores)
    except UserError as error:
        made.missing.append(todo if "no listener has finished" in str(error) else str(error))
        return None


def _nothing(bench: Mapping[str, Any] | None) -> pd.DataFrame:
    """A summary without rows."""
    columns = ["system", "category", "metric", "n", "undefined", "failed", "mean", "ci95_low", "ci95_high",
               "kbps_nominal", "kbps", "encode_rtf", "decode_rtf"]  # fmt: skip
    return pd.DataFrame({name: pd.Series(dtype="str" if name in columns[:3] else "float") for name in columns})


def _notes(item: Item, job: Job, heard: Heard | None, made: Made) -> list[str]:
    notes = []
    if job.scale.name == "tiny":
        notes.append(
            "Scale tiny: synthetic recordings of a few seconds, models an eighth as wide, a few updates. It shows that "
            "everything runs, and no quality."
        )
    if heard is not None:
        notes.append(heard.note)
    # Systems that cannot run have a letter in the table, and their reason stands beside it.
    lettered = item.needs_run  # a table of speeds alone leaves them out
    others = [line for line in dict.fromkeys(made.missing) if not lettered or "@" not in line.partition(": ")[0]]
    notes += [f"Missing: {line.rstrip('.')}." for line in others]
    notes += [f"Failed: {line.rstrip('.')}." for line in dict.fromkeys(made.failed)]
    return notes
