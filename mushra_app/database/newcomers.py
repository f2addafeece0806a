"""Newcomers to a study: which ways in are open, whether there are items for them, and who has taken part before."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import asdict

from sqlalchemy.orm import Session

from earmark.codec.text import counted
from earmark.mushra_app.database import admission, clock, leases
from earmark.mushra_app.database.allocation import allocate, is_complete
from earmark.mushra_app.database.refusals import Status
from earmark.mushra_app.database.results import Results
from earmark.mushra_app.database.tables import Listener, Setting
from earmark.mushra_app.study.crowd import Arrival, Crowd
from earmark.mushra_app.study.study import Item


class Newcomers(Results):
    """Admission to the study of a database."""

    @property
    def crowd(self) -> Crowd:
        """Which ways into the study are open, as set on the admin page."""
        return Crowd(**json.loads(self.setting("crowd", "{}")))

    @crowd.setter
    def crowd(self, crowd: Crowd) -> None:
        self.set("crowd", json.dumps(asdict(crowd)))

    def set_gate(self, state: str) -> None:
        """Admit newcomers ("open") or not ("paused", "closed"). Sessions that have begun continue in any case."""
        self.set("gate", state)

    def status(self) -> Status:
        """Whether newcomers are admitted, and why not."""
        with self.reading() as session:
            return self.admission(session, clock.now(session))[0]

    def admission(self, session: Session, now: float) -> tuple[Status, list[Item]]:
        """Whether newcomers are admitted, and the items that one would get; none unless they are."""
        valid = leases.valid_ratings(session)
        if is_complete(self.study, valid):
            return Status("complete", f"Every item has its {counted(self.study.annotations, 'rating')}.", 0), []
        gate = session.get(Setting, "gate")
        if gate is not None and gate.value != "open":
            return Status(gate.value, f"The experimenter has {gate.value} the study.", 0), []
        taken = Counter(valid) + Counter(leases.leased_ratings(session, now))
        available = allocate(self.study, taken, random.SystemRandom())
        if not available:
            return Status("waiting", "Every missing rating is reserved for a listener who has not finished yet.", 0), []
        return Status("open", "Newcomers are let in.", len(available)), available

    def participation(self, arrival: Arrival) -> Listener | None:
        """The participation of this visit, or else the newest of the person who arrives; None if there is none."""
        if arrival.person is None:
            return None
        with self.reading() as session:
            return admission.participation(session, arrival)

    def took_part(self, arrival: Arrival) -> bool:
        """Whether the person who arrives has taken part on another visit, and so cannot begin."""
        if arrival.person is None:
            return False
        with self.reading() as session:
            return admission.took_part(session, arrival)
