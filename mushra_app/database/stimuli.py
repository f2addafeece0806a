"""The audio that listeners rate, by content: a file that changes under its name would mix ratings of two sounds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from earmark.codec.errors import UserError
from earmark.codec.text import counted
from earmark.mushra_app.database import clock
from earmark.mushra_app.database.tables import Rating, Setting, Trial
from earmark.mushra_app.database.transactions import Database
from earmark.mushra_app.study.study import Study

Content = Mapping[str, Mapping[str, str]]  # item -> condition -> SHA-256 of its file
VERSION_DIGITS = 12


def content_of(study: Study, folder: Path) -> Content:
    """SHA-256 of every stimulus file of the study in `folder`."""
    return {
        item.id: {name: _sha256(study.audio_path(folder, item, name)) for name in sorted(item.stimuli)}
        for item in study.items
    }  # fmt: skip


def version_of(content: Content) -> str:
    """Name of this content, which exports carry as study_version."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:VERSION_DIGITS]


def adopt(database: Database, content: Content, folder: Path, *, retire: bool) -> str:
    """Store the content that is served from now on.

    A database of an earlier version knows no content, and takes what is there.

    Args:
        retire: whether ratings of audio that has changed no longer count. They stay in the database, and their items
            are offered again. All ratings of a trial are retired, since listeners compare the stimuli of a trial.

    Returns:
        What was retired, in one sentence; "" if nothing was.

    Raises:
        UserError: rated audio has changed, and `retire` is False; says which, and how many ratings it has.
    """
    with database.writing(exclusive=True) as session:
        setting = session.get(Setting, "stimuli")
        before: Content = {} if setting is None else json.loads(setting.value)
        changed = [
            (item, condition)
            for item, stimuli in content.items() for condition, digest in stimuli.items()
            if before.get(item, {}).get(condition, digest) != digest
        ]  # fmt: skip
        counts = {one: count for one in changed if (count := _rating_count(session, *one))}
        if counts and not retire:
            raise UserError(_refusal(folder, counts))
        items = sorted({item for item, _ in counts})
        session.execute(
            update(Trial).where(Trial.item.in_(items), Trial.submitted.is_not(None), Trial.retired.is_(None))
            .values(retired=clock.now(session))
        )  # fmt: skip
        session.merge(Setting(name="stimuli", value=json.dumps(content)))
        session.merge(Setting(name="study_version", value=version_of(content)))
    if not counts:
        return ""
    return (
        f"the ratings of {counted(len(items), 'item')} no longer count, because the audio changed: {', '.join(items)}"
    )


def _rating_count(session: Session, item: str, condition: str) -> int:
    query = (
        select(func.count()).select_from(Rating).join(Trial, Trial.id == Rating.trial_id)
        .where(Trial.item == item, Rating.condition == condition, Trial.retired.is_(None))
    )  # fmt: skip
    return session.scalars(query).one()


def _refusal(folder: Path, counts: Mapping[tuple[str, str], int]) -> str:
    shown = [f"{item} in {condition} ({counted(n, 'rating')})" for (item, condition), n in list(counts.items())[:3]]
    more = f" and {len(counts) - 3} more" if len(counts) > 3 else ""
    return (
        f"{folder}: audio has changed since it was rated: {', '.join(shown)}{more}; put the files back, build a new "
        "study, or add --retire-ratings, after which these ratings no longer count"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
