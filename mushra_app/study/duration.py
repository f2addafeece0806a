"""How long a session takes, before anybody has taken one."""

from __future__ import annotations

from statistics import mean

from earmark.mushra_app.study import headphone_check
from earmark.mushra_app.study.pages import Headphones, Page, Questionnaire, Training, Trials, trial_count
from earmark.mushra_app.study.study import Study

HEARINGS = 2  # of each signal in a trial: with it, a trial of 8 conditions of 5 s takes the 86 s that real ones took
ANSWER = 10.0  # seconds for a question, our guess


def trial_seconds(study: Study) -> float:
    """Seconds one trial takes: every condition and the open reference heard twice."""
    return HEARINGS * (len(study.conditions) + 1) * mean(item.seconds for item in study.items)


def session_minutes(study: Study, trials: int | None = None) -> float:
    """Minutes from the first page after the volume to the last, breaks not counted: they last as one likes.

    Args:
        trials: items that the listener rates; the study's `trials_per_listener` unless told.
    """
    rated = study.trials_per_listener if trials is None else trials
    return sum(_seconds(study, page, rated) for page in study.pages) / 60


def _seconds(study: Study, page: Page, rated: int) -> float:
    match page:
        case Training():
            return trial_seconds(study)
        case Trials(_, attention):
            return trial_count([page], rated) * trial_seconds(study) + ("instructed" in attention) * ANSWER
        case Headphones():
            return headphone_check.TRIALS * (headphone_check.SECONDS + ANSWER)
        case Questionnaire(questions):
            return len(questions) * ANSWER
    return 0.0
