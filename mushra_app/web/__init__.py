"""The listening test as a Flask app: one study, one database, no state in the process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import soundfile
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from earmark.codec.errors import UserError
from earmark.mushra_app.database.store import LEASE_SECONDS, open_store
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study.study import Study
from earmark.mushra_app.web import admin, entrance, languages, listener, safety
from earmark.mushra_app.web.served import EXTENSION, Served

LONGEST_REQUEST = 64 * 1024  # bytes; a trial of 12 conditions, each with a long comment, is half of that


@dataclass(frozen=True)
class Options:
    """How a study is served.

    Args:
        database: SQLAlchemy URL; None keeps the ratings in STUDY/ratings.sqlite.
        url: the public address, when a reverse proxy stands before the app and tells it of the visitor in the headers
            X-Forwarded-For, -Proto, -Host and -Prefix.
        rule: of mushra_app.screening, by which ratings count or leave their places to others.
        lease: seconds for which an idle listener keeps the places of unfinished trials.
    """

    database: str | None = None
    url: str | None = None
    rule: str = "none"
    lease: float = LEASE_SECONDS


def create_app(study_folder: Path, options: Options = Options()) -> Flask:
    """The app that serves the study in `study_folder`.

    Raises:
        UserError: no study there, audio is missing or would tell conditions apart, or the database cannot be used.
    """
    study = studies.load(study_folder)
    check_audio(study, study_folder)
    store = open_store(study, study_folder, options.database, lease=options.lease, rule=options.rule)
    store.adopt_rule()
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=store.setting("secret_key"),
        # Cookies are shared by all ports of a host: two studies on one machine must not overwrite each other's.
        SESSION_COOKIE_NAME=f"earmark-{store.setting('study')[:8]}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(days=30),
        MAX_CONTENT_LENGTH=LONGEST_REQUEST,
    )
    app.extensions[EXTENSION] = Served(study, store, study_folder.resolve() / "audio")
    app.register_blueprint(entrance.pages)
    app.register_blueprint(listener.pages)
    app.register_blueprint(admin.admin)
    languages.translate(app)
    safety.protect(app)
    if options.url is not None:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)  # type: ignore[method-assign]
    return app


def check_audio(study: Study, folder: Path) -> None:
    """Every stimulus must be there, in the size, length and format of the others of its item: any difference would
    give a condition away.

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
        if len({_format(path) for path in paths}) > 1:
            raise UserError(
                f"{folder}: the files of item {item.id} differ in format, length or header, which would tell the "
                "conditions apart; build the study again"
            )


def _format(path: Path) -> tuple[int, int, int, str, bytes]:
    """Samples, rate, channels, coding, and all bytes before the samples; of uncompressed WAV, by its equal sizes.

    Raises:
        UserError: not such a file.
    """
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path}: not readable as audio ({error}); build the study again") from error
    with path.open("rb") as file:
        start = file.read(4096)
    at = start.find(b"data")
    if info.format not in ("WAV", "WAVEX") or not info.subtype.startswith("PCM") or at < 0:
        raise UserError(f"{path}: stimuli are uncompressed WAV files; build the study again")
    return info.frames, info.samplerate, info.channels, info.subtype, start[: at + 8]
