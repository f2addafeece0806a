"""The listening test as a Flask app: one study, one database, no state in the process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from flask import Flask

from earmark.mushra_app.database import stimuli
from earmark.mushra_app.database.store import LEASE_SECONDS, SESSIONS_PER_ADDRESS, open_store
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.web import admin, entrance, faults, languages, listener, media, playback, reach, safety
from earmark.mushra_app.web.public_url import PublicUrl
from earmark.mushra_app.web.served import EXTENSION, Served
from earmark.mushra_app.web.signed_address import Keys
from earmark.mushra_app.web.stimulus_files import check_files

MAX_REQUEST_BYTES = 64 * 1024  # a trial of 12 conditions, each with a comment of maximum length, needs half of it


@dataclass(frozen=True)
class Options:
    """How a study is served.

    Args:
        database: SQLAlchemy URL; default: STUDY/ratings.sqlite.
        url: public address, if a reverse proxy forwards requests with the header X-Forwarded-For.
        embed_in: origins of other sites that can show the listener's pages in a frame.
        rule: screening rule (ratings/screening.py) that decides whose ratings count.
        lease: seconds for which an idle listener keeps the leases on unfinished trials.
        per_address: open sessions that one network address may have; None for any number.
        refuse_implausible: whether sessions that contradict what the server saw do not count; see database/timing.py.
        retire_ratings: whether ratings of audio that has changed since no longer count; otherwise it is refused.
    """

    database: str | None = None
    url: str | None = None
    rule: str = "none"
    lease: float = LEASE_SECONDS
    per_address: int | None = SESSIONS_PER_ADDRESS
    refuse_implausible: bool = False
    retire_ratings: bool = False
    embed_in: tuple[str, ...] = ()


def create_app(study_folder: Path, options: Options = Options()) -> Flask:
    """Create the app that serves the study in `study_folder`.

    Raises:
        UserError: if there is no study, audio is missing, would tell conditions apart or has changed since it was
            rated, or the database cannot be used.
    """
    study = studies.load(study_folder)
    check_files(study, study_folder)
    store = open_store(
        study, study_folder, options.database, lease=options.lease, rule=options.rule, per_address=options.per_address,
        refuse_implausible=options.refuse_implausible,
    )  # fmt: skip
    retired = stimuli.adopt(store, stimuli.content_of(study, study_folder), study_folder, retire=options.retire_ratings)
    store.adopt_rule()
    keys = Keys() if study.platform is not None and study.platform.signed else None
    mark = reach.study_mark(store.setting("study"))
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=store.setting("secret_key"),
        # All ports of a host share cookies: two studies on one machine must not overwrite each other's.
        SESSION_COOKIE_NAME=f"earmark-{mark}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(days=30),
        MAX_CONTENT_LENGTH=MAX_REQUEST_BYTES,
        RETIRED_RATINGS=retired,
        STUDY=mark,
        EMBED_IN=options.embed_in,
    )
    app.extensions[faults.EXTENSION] = faults.Faults()
    app.extensions[EXTENSION] = Served(study, store, study_folder.resolve() / "audio", keys)
    for blueprint in (entrance.pages, listener.pages, media.media, playback.playback, admin.admin, reach.health):
        app.register_blueprint(blueprint)
    languages.translate(app)
    safety.protect(app)
    if options.url is not None:
        app.wsgi_app = PublicUrl(app.wsgi_app, options.url)  # type: ignore[method-assign]
    return app
