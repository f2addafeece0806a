"""Attention checks that a study may switch on, and what they found.

"instructed": once between the trials a page asks to set the slider to a named band of the scale, which whoever reads
can do; it is the instructional manipulation check of Oppenheimer, Meyvis and Davidenko (2009, doi
10.1016/j.jesp.2009.03.009) and, in written form, the trapping question of Naderi et al. (Interspeech 2015). By chance
one in five passes; who leaves the slider where it is never does.

"repeated": an item, drawn anew for each session, comes once more with at least one other in between, its sounds in a
new order. Who gives the same sound scores that differ by more than one of the scale's five bands, 20 points on average
over the sounds, has missed it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from statistics import mean

import pandas as pd
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from earmark.mushra_app.database.tables import Listener, Rating, Step, Trial

BANDS = ((80, 100), (60, 80), (40, 60), (20, 40), (0, 20))  # excellent to bad (BS.1534-3, 5.4)
FARTHEST = 20.0  # points that the scores of a repeated trial may differ, on average
HEADPHONES = "headphones"
COLUMNS = ["listener", "check", "passed", "evidence"]


def in_band(score: float, band: int) -> bool:
    """Whether the score lies in that band, 0 being the best; the ends belong to both neighbours."""
    low, high = BANDS[band]
    return low <= score <= high


def checks(session: Session, *which: ColumnElement[bool]) -> pd.DataFrame:
    """What every listener, or those for whom all of `which` holds, made of the checks: of attention and of headphones.

    Returns:
        listener ("L0001"), check ("instructed", "repeated" or "headphones"), passed (bool), evidence.
    """
    rows = [*_pages(session, *which), *_repeated(session, *which)]
    return pd.DataFrame(sorted(rows), columns=COLUMNS).astype({"passed": bool})


def _pages(session: Session, *which: ColumnElement[bool]) -> list[tuple[str, str, bool, str]]:
    query = (
        select(Step, Listener).join(Listener)
        .where(Step.kind.in_(["attention", "headphones"]), Step.done.is_not(None), *which)
    )  # fmt: skip
    rows = []
    for step, listener in session.execute(query):
        answer = json.loads(step.answer or "{}")
        if step.kind == "attention":
            low, high = BANDS[answer["band"]]
            evidence = f"asked for {low} to {high}, set to {answer['score']}"
            rows.append((listener.label, "instructed", answer["passed"], evidence))
        else:
            scores = ", ".join(str(score) for score in answer["right"])
            evidence = f"{answer['method']}: {scores} of {answer['trials']} right, {answer['pass_mark']} needed"
            rows.append((listener.label, HEADPHONES, answer["passed"], evidence))
    return rows


def _repeated(session: Session, *which: ColumnElement[bool]) -> list[tuple[str, str, bool, str]]:
    repeats = select(Trial.listener_id, Trial.item).where(Trial.purpose == "repeat", Trial.submitted.is_not(None))
    twice = {(listener, item) for listener, item in session.execute(repeats)}
    query = (
        select(Listener.id, Trial.item, Rating.condition, Rating.score)
        .join(Trial, Trial.listener_id == Listener.id).join(Rating, Rating.trial_id == Trial.id)
        .where(Trial.purpose.in_(["rating", "repeat"]), Listener.id.in_({listener for listener, _ in twice}), *which)
    )  # fmt: skip
    scores: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for listener, item, condition, score in session.execute(query):
        if (listener, item) in twice:
            scores[listener][condition].append(score)
    rows = []
    for number, of_listener in scores.items():
        pairs = [pair for pair in of_listener.values() if len(pair) == 2]
        apart = mean(abs(first - second) for first, second in pairs)
        evidence = f"a repeated trial differs by {apart:.1f} points on average"
        rows.append((f"L{number:04d}", "repeated", apart <= FARTHEST, evidence))
    return rows
