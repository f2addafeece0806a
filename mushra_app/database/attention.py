"""Results of the checks in a session: attention checks and headphone checks.

"instructed": one page between the trials plays one to five tones, and asks the listener to set the slider to the band
of that number. Being heard and not written, the answer cannot be read from the page's text. It is the instructional
manipulation check of Oppenheimer, Meyvis and Davidenko (2009, doi 10.1016/j.jesp.2009.03.009), and the trapping
question of Naderi et al. (Interspeech 2015). One in five random answers passes; leaving the slider untouched never
does.

"repeated": one item, drawn at random for each session, is presented twice with at least one other item in between and
its stimuli in a new order. The check fails if the two scores of a stimulus differ by more than one of the scale's five
bands (20 points), averaged over the stimuli.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import mean

import pandas as pd
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from earmark.mushra_app.database.tables import Listener, Rating, Step, Trial

BANDS = ((80, 100), (60, 80), (40, 60), (20, 40), (0, 20))  # excellent to bad (BS.1534-3, 5.4)
MAX_DIFFERENCE = 20.0  # points by which the scores of a repeated trial may differ, on average
HEADPHONES = "headphones"
COLUMNS = ["listener", "check", "passed", "evidence"]

Row = tuple[str, str, bool, str]


def in_band(score: float, band: int) -> bool:
    """Whether a score lies in a band, 0 being the best. The ends of a band belong to both neighbours."""
    low, high = BANDS[band]
    return low <= score <= high


def checks(session: Session, *criteria: ColumnElement[bool]) -> pd.DataFrame:
    """Results of all checks of all listeners, or of those who meet all the criteria.

    Returns:
        listener (label), check ("instructed", "repeated" or "headphones"), passed (bool), evidence.
    """
    rows = [*_page_results(session, *criteria), *_repeated_trials(session, *criteria)]
    return pd.DataFrame(sorted(rows), columns=COLUMNS).astype({"passed": bool})


def _page_results(session: Session, *criteria: ColumnElement[bool]) -> list[Row]:
    """Results of the checks that have a page of their own."""
    query = (
        select(Step, Listener).join(Listener)
        .where(Step.type.in_(["attention", "headphones"]), Step.done.is_not(None), *criteria)
    )  # fmt: skip
    rows = []
    for step, listener in session.execute(query):
        answer = step.answer or {}
        if step.type == "attention":
            low, high = BANDS[answer["band"]]
            evidence = f"asked for {low} to {high}, set to {answer['score']}"
            rows.append((listener.label, "instructed", answer["passed"], evidence))
        else:
            scores = ", ".join(str(score) for score in answer["right"])
            evidence = f"{answer['method']}: {scores} of {answer['trials']} right, {answer['pass_mark']} needed"
            rows.append((listener.label, HEADPHONES, answer["passed"], evidence))
    return rows


def _repeated_trials(session: Session, *criteria: ColumnElement[bool]) -> list[Row]:
    """Differences between the two presentations of each repeated trial."""
    repeats = select(Listener.label, Trial.item).join(Listener).where(
        Trial.purpose == "repeat", Trial.submitted.is_not(None), Trial.retired.is_(None)
    )  # fmt: skip
    repeated = {(listener, item) for listener, item in session.execute(repeats)}
    query = (
        select(Listener.label, Trial.item, Rating.condition, Rating.score)
        .join(Trial, Trial.listener_id == Listener.id).join(Rating, Rating.trial_id == Trial.id)
        .where(
            Trial.purpose.in_(["rating", "repeat"]), Trial.retired.is_(None),
            Listener.label.in_({label for label, _ in repeated}), *criteria,
        )
    )  # fmt: skip
    scores: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for listener, item, condition, score in session.execute(query):
        if (listener, item) in repeated:
            scores[listener][condition].append(score)
    rows = []
    for listener, by_condition in scores.items():
        pairs = [pair for pair in by_condition.values() if len(pair) == 2]
        if not pairs:
            continue
        difference = mean(abs(first - second) for first, second in pairs)
        evidence = f"a repeated trial differs by {difference:.1f} points on average"
        rows.append((listener, "repeated", difference <= MAX_DIFFERENCE, evidence))
    return rows
