"""The listening test as a Flask app: one study, one database, no state in the process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from earmark.mushra_app.database.store import LEASE_SECONDS, open_store
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.web import admin, entrance, languages, listener, media, safety
from earmark.mushra_app.web.served import EXTENSION, Served
from earmark.mushra_app.web.stimulus_files import check_files

MAX_REQUEST_BYTES = 64 * 1024  # a trial of 12 conditions, each with a comment of maximum length, needs half of it


@dataclass(frozen=True)
class Options:
    """How a study is served.

    Args:
        database: SQLAlchemy URL; default: STUDY/ratings.sqlite.
        url: public address, if a reverse proxy forwards requests with the headers X-Forwarded-For, -Proto, -Host and
            -Prefix.
        rule: screening rule (ratings/screening.py) that decides whose ratings count.
        lease: seconds for which an idle listener keeps the leases on unfinished trials.
    """

    database: str | None = None
    url: str | None = None
    rule: str = "none"
    lease: float = LEASE_SECONDS


def create_app(study_folder: Path, options: Options = Options()) -> Flask:
    """Create the app that serves the study in `study_folder`.

    Raises:
        UserError: if there is no study, audio is missing or would tell conditions apart, or the database cannot be
            used.
    """
    study = studies.load(study_folder)
    check_files(study, study_folder)
    store = open_store(study, study_folder, options.database, lease=options.lease, rule=options.rule)
    store.adopt_rule()
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=store.setting("secret_key"),
        # All ports of a host share cookies: two studies on one machine must not overwrite each other's.
        SESSION_COOKIE_NAME=f"earmark-{store.setting('study')[:8]}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(days=30),
        MAX_CONTENT_LENGTH=MAX_REQUEST_BYTES,
    )
    app.extensions[EXTENSION] = Served(study, store, study_folder.resolve() / "audio")
    for blueprint in (entrance.pages, listener.pages, media.media, admin.admin):
        app.register_blueprint(blueprint)
    languages.translate(app)
    safety.protect(app)
    if options.url is not None:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)  # type: ignore[method-assign]
    return app
