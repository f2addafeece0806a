"""Listeners' scores of a reproduction: from a study that people take, or simulated at the scale tiny."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.files import write_text
from earmark.mushra_app.analysis.rates import rates_of_run
from earmark.mushra_app.paper.items import ANCHOR
from earmark.mushra_app.ratings.safe_csv import csv_text
from earmark.mushra_app.ratings.screening import screen
from earmark.mushra_app.ratings.statistics import summarise
from earmark.mushra_app.ratings.table import Ratings

SIMULATED = "SIMULATED listeners: no person heard these codecs"
SIMULATED_FILE = "simulated-ratings.csv"
LISTENERS = 6
REFERENCE = "reference"


@dataclass(frozen=True)
class Heard:
    """Scores of a listening test.

    Args:
        summary: one row per condition and category, with the columns of `ratings.statistics.summarise` and role.
        rates: bit rates of the conditions.
        is_simulated: whether no person listened.
        note: a sentence on the origin of the scores.
    """

    summary: pd.DataFrame
    rates: pd.DataFrame
    is_simulated: bool
    note: str


def simulated(scores: pd.DataFrame, folder: Path) -> Heard:
    """Scores of listeners who do not exist, to show what a report looks like before anybody has listened.

    A simulated listener rates the hidden reference 92 to 100, and a codec by its SI-SNR, 10 points and 4 per dB, with
    an error of 5 points. The scores say nothing about how the codecs sound.

    Args:
        scores: rows of a run with the metric si_snr.
        folder: receives the ratings as simulated-ratings.csv.
    """
    rng = np.random.default_rng(0)
    rows = scores[scores["metric"] == "si_snr"]
    ratings = []
    for row in rows.to_dict("records"):
        plain = ":lm" not in row["system"]
        if not plain or not (row["status"] == "ok" or row["system"] == REFERENCE):
            continue
        for listener in range(LISTENERS):
            score = rng.uniform(92, 100)
            if row["system"] != REFERENCE:
                score = float(np.clip(10 + 4 * row["value"] + rng.normal(0, 5), 0, 100))
            ratings.append((f"simulated-{listener + 1}", Path(row["file"]).stem, row["system"], row["category"], score))
    frame = pd.DataFrame(ratings, columns=["listener", "item", "condition", "category", "score"])
    write_text(folder / SIMULATED_FILE, csv_text(frame))
    summary = _with_roles(summarise(frame)).assign(mark=" sim.")
    return Heard(summary, rates_of_run(scores), True, f"sim.: {SIMULATED} ({SIMULATED_FILE}).")


def heard(study: Path, scores: pd.DataFrame) -> Heard:
    """Scores of the listeners of a study, after the paper's screening.

    Raises:
        UserError: no listener has finished a trial.
    """
    from earmark.mushra_app.report.study_ratings import study_ratings

    ratings: Ratings = study_ratings(study)
    kept = screen(ratings, "paper").kept
    if kept.empty:
        raise UserError(f"{study}: the screening kept no listener; see `earmark study report {study}`")
    count = kept["listener"].nunique()
    summary = summarise(kept)
    summary["role"] = summary["condition"].map(dict(ratings.roles)).astype("str")
    return Heard(summary, rates_of_run(scores), False, f"MUSHRA: {count} listeners of {study} after screening.")


def prepare(run: Path, study: Path) -> str:
    """Build a study from a run, unless there is one; returns what to do next."""
    if not (study / "study.json").exists():
        from earmark.mushra_app.building.build import Request, build

        build(Request(run, out=study))
    return f"no listener yet: `earmark study serve {study}`, then this command again"


def _with_roles(summary: pd.DataFrame) -> pd.DataFrame:
    roles = {REFERENCE: "hidden reference", ANCHOR: "low anchor"}
    return summary.assign(role=summary["condition"].map(lambda name: roles.get(name, "system")))
