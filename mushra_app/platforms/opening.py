"""Opens the API of the platform that a study recruits on."""

from __future__ import annotations

from sqlalchemy import select

from earmark.codec.errors import UserError
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import Listener
from earmark.mushra_app.platforms.api import Platform

NAMES = ("prolific", "mturk")


def open_platform(store: Store, name: str | None = None, *, sandbox: bool = False) -> Platform:
    """Open the API of a platform with the keys in the environment.

    Args:
        name: of the platform; default: that of session.toml, or the one that the admin page admits.
        sandbox: use the sandbox of Mechanical Turk.

    Raises:
        UserError: no platform is named, several are, it has no commands here, or a key is not set.
    """
    name = name or _named(store)
    if name not in NAMES:
        raise UserError(
            f"{name}: Earmark does not use this platform's API; approve and pay there: listeners.csv on the admin page "
            "lists who finished"
        )
    if sandbox and name != "mturk":
        raise UserError(f"--sandbox is for Mechanical Turk; {name} has none")
    if name == "prolific":
        from earmark.mushra_app.platforms.prolific import Prolific

        return Prolific(store.crowd.prolific_study)
    from earmark.mushra_app.platforms.mechanical_turk import MechanicalTurk

    return MechanicalTurk(store.setting("study_id"), _hits(store, sandbox=sandbox), sandbox=sandbox)


def _named(store: Store) -> str:
    if store.study.platform is not None:
        return store.study.platform.name
    crowd = store.crowd
    open_ways = {"prolific": crowd.prolific_completion or crowd.prolific_study, "mturk": crowd.mturk}
    names = [name for name, is_open in open_ways.items() if is_open]
    if len(names) != 1:
        what = "the admin page admits Prolific and Mechanical Turk" if names else "the study names no platform"
        raise UserError(f"{what}; choose one by --platform {'|'.join(NAMES)}, or by [platform] in session.toml")
    return names[0]


def _hits(store: Store, *, sandbox: bool) -> list[str]:
    """HITs from which listeners came, in order; those of the sandbox have other addresses."""
    with store.reading() as session:
        arrivals = session.scalars(select(Listener.arrival).where(Listener.source == "mturk").order_by(Listener.id))
        found = [
            arrival["hitId"]
            for arrival in arrivals
            if arrival.get("hitId") and ("workersandbox" in arrival.get("turkSubmitTo", "")) == sandbox
        ]
    return list(dict.fromkeys(found))
