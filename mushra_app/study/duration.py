"""Estimated length of a session."""

from __future__ import annotations

import math
from statistics import mean

from earmark.mushra_app.study import headphone_check
from earmark.mushra_app.study.pages import Headphones, Page, Questionnaire, Training, Trials, trial_count
from earmark.mushra_app.study.study import Study

HEARINGS = 2  # of each signal in a trial; real trials of 8 conditions of 5 s took 86 s, this gives 90 s
ANSWER_SECONDS = 10.0  # per question; a guess
OTHER_PAGES_MINUTES = 3  # welcome, volume and last page; a guess


def trial_seconds(study: Study) -> float:
    """Estimated seconds per trial: every condition and the open reference are heard twice."""
    return HEARINGS * mean((len(study.conditions_of(item)) + 1) * item.seconds for item in study.items)


def session_minutes(study: Study, trials: int | None = None) -> int:
    """Estimated whole minutes of a session with all its pages, rounded up: as printed, promised and paid for.

    Args:
        trials: items that the listener rates; default: `study.trials_per_listener`.
    """
    rated = study.trials_per_listener if trials is None else trials
    return with_other_pages(sum(_seconds(study, page, rated) for page in study.pages) / 60)


def with_other_pages(minutes: float) -> int:
    """Whole minutes of a session whose trials, questions and checks take `minutes`, rounded up."""
    return math.ceil(round(minutes, 6)) + OTHER_PAGES_MINUTES  # 20.000000000000004 minutes are 20


def _seconds(study: Study, page: Page, rated: int) -> float:
    match page:
        case Training():
            return trial_seconds(study)
        case Trials(_, attention):
            return trial_count([page], rated) * trial_seconds(study) + ("instructed" in attention) * ANSWER_SECONDS
        case Headphones():
            return headphone_check.TRIALS * (headphone_check.SECONDS + ANSWER_SECONDS)
        case Questionnaire(questions):
            return len(questions) * ANSWER_SECONDS
    return 0.0
