"""Ratings of a study and the screening of its listeners, as transactions of the database."""

from __future__ import annotations

import threading

import pandas as pd
from sqlalchemy import Engine, update

from earmark.mushra_app.database import judging
from earmark.mushra_app.database.collected import rating_table
from earmark.mushra_app.database.tables import Listener
from earmark.mushra_app.database.transactions import Database
from earmark.mushra_app.study.study import Study


class Results(Database):
    """The ratings in a study's database, and which of them count.

    Args:
        rule: name of the screening rule (ratings/screening.py) that decides whose ratings count.
        refuse_implausible: whether sessions that contradict what the server saw (timing.py) do not count.
    """

    def __init__(self, engine: Engine, study: Study, *, rule: str, refuse_implausible: bool) -> None:
        super().__init__(engine)
        self.study = study
        self.rule = rule
        self.refuse_implausible = refuse_implausible
        self._judging = threading.Lock()

    def ratings(self) -> pd.DataFrame:
        """Ratings of all complete trials, including those of excluded listeners.

        Returns:
            listener ("L0001-b3a2c4", numbered in order of arrival), item, category, condition, score (0 to 100),
            position (of the trial in the session, from 1), seconds (spent on the trial, as the browser says),
            submitted (ISO 8601, UTC), comment, excluded (why the listener's ratings do not count, "" if they do),
            excluded_by ("screening", "timing", "page" or "experimenter"), server_seconds (from sending the page to
            receiving the ratings; NaN if an earlier version served it), plays, heard_seconds, switches and moves (of
            this condition in the trial, see listening.py; NaN if unknown), reference_seconds (heard of the open
            reference), study (id of the database), study_version (hash of the audio). Ratings of audio that was
            replaced are left out.
        """
        with self.reading() as session:
            return rating_table(session, self.study)

    def adopt_rule(self) -> None:
        """Judge all listeners again if the study was last served with another screening rule."""
        rule = f"{self.rule}, timing" if self.refuse_implausible else self.rule
        if self.setting("rule", rule) != rule:
            with self.writing(exclusive=True) as session:
                session.execute(update(Listener).values(judged=None))
        self.set("rule", rule)

    def screen_ended_sessions(self) -> None:
        """Judge everybody who has finished, left or disappeared since the last call, and exclude bad ratings.

        One thread judges; others wait for it, and find little left to do.
        """
        with self._judging:
            while True:
                with self.reading() as session:
                    verdicts = judging.judge(
                        session, self.study, self.rule, refuse_implausible=self.refuse_implausible
                    )  # fmt: skip
                if verdicts:
                    with self.writing() as session:
                        judging.record(session, verdicts)
                if len(verdicts) < judging.MOST_AT_ONCE:
                    return

    def exclude(self, listener_id: int, reason: str) -> None:
        """Exclude a listener's ratings by hand, or include them if the reason is "". Screening cannot undo this.

        An excluded listener has no leases.
        """
        with self.writing() as session:
            values = {"excluded": reason, "excluded_by": "experimenter"}
            session.execute(update(Listener).where(Listener.id == listener_id).values(values))
