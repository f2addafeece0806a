"""The listening test as a Flask app: one study, one database, no state in the process."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from flask import Flask

from codec.errors import UserError
from mushra_app import study as studies
from mushra_app.store import open_store
from mushra_app.study import Study
from mushra_app.web import listener, safety

LONGEST_REQUEST = 64 * 1024  # bytes; a trial of 12 conditions, each with a long comment, is half of that


def create_app(study_folder: Path, database_url: str | None = None) -> Flask:
    """The app that serves the study in `study_folder`.

    Args:
        database_url: SQLAlchemy URL; None keeps the ratings in STUDY/ratings.sqlite.

    Raises:
        UserError: no study there, audio is missing or would tell conditions apart, or the database cannot be used.
    """
    study = studies.load(study_folder)
    check_audio(study, study_folder)
    store = open_store(study, study_folder, database_url)
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=store.setting("secret_key"),
        # Cookies are shared by all ports of a host: two studies on one machine must not overwrite each other's.
        SESSION_COOKIE_NAME=f"earmark-{store.setting('study')[:8]}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(days=30),
        MAX_CONTENT_LENGTH=LONGEST_REQUEST,
    )
    app.extensions[listener.EXTENSION] = listener.Served(study, store, study_folder.resolve() / "audio")
    app.register_blueprint(listener.pages)
    safety.protect(app)
    return app


def check_audio(study: Study, folder: Path) -> None:
    """Every stimulus must be there, and as many bytes as the others of its item: a size would give a condition away.

    Raises:
        UserError: naming the item.
    """
    for item in study.items:
        missing = [condition.name for condition in study.conditions if condition.name not in item.stimuli]
        if missing:
            raise UserError(f"{folder}: item {item.id} has no {missing[0]}; build the study again")
        paths = [folder / "audio" / stimulus.audio for stimulus in item.stimuli.values()]
        for path in paths:
            if not path.is_file():
                raise UserError(f"{path}: missing, item {item.id} needs it; copy the whole study or build it again")
        if len({path.stat().st_size for path in paths}) > 1:
            raise UserError(
                f"{folder}: the files of item {item.id} differ in size, which would tell the conditions apart; "
                "build the study again"
            )
