"""Making and publishing a study on Prolific.

"Create a draft study", "Update a study", "Publish a draft study" and "List all studies" in
docs.prolific.com/api-reference. The internal name of a draft contains the id of the database, so that a draft is found
again whose creation was not recorded.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import Any

from earmark.codec.errors import UserError
from earmark.mushra_app.database.sent import Journal
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.platforms.api import Offer, Step
from earmark.mushra_app.platforms.money import shown
from earmark.mushra_app.platforms.prolific_client import ProlificClient
from earmark.mushra_app.study.crowd import prolific_address

DRAFT = "UNPUBLISHED"
CREATED = "create prolific"  # key in the journal
SIGNED = "is_external_study_url_secure"  # field of a study: whether Prolific signs its addresses


def steps(client: ProlificClient, offer: Offer, store: Store, journal: Journal) -> list[Step]:
    """Changes that lead to the offer; see Platform.publishing."""
    crowd = store.crowd
    study = client.study() if crowd.prolific_study else _made_before(client, store)
    if study is None:
        return [_creation(client, offer, store, journal), *_publication(client, store)]
    _check_given(client, study, offer)
    found = _signing(client, study, store)
    if not crowd.prolific_study:
        found.append(Step(f"enter study {study['id']} on the admin page", 0, lambda: _enter(store, journal, study)))
    found += _changes(client, study, offer)
    if study["status"] == DRAFT:
        found += _publication(client, store, 0 if found[-1:] and found[-1].cost else _cost(study))
    return found


def _made_before(client: ProlificClient, store: Store) -> dict[str, Any] | None:
    """A study that an earlier call made and did not record."""
    path: str | None = "/studies/"
    while path is not None:
        answer = client.call("GET", path)
        for study in answer["results"]:
            if study.get("internal_name") == _internal_name(store):
                found: dict[str, Any] = client.call("GET", f"/studies/{study['id']}/")
                return found
        path = client.next_page(answer)
    return None


def _creation(client: ProlificClient, offer: Offer, store: Store, journal: Journal) -> Step:
    if store.crowd.prolific_completion:
        raise UserError(
            "Prolific: the admin page has a completion code and no study id; enter the id of the study that has this "
            "code, or remove the code, and a new study is made"
        )
    if not offer.address:
        raise UserError("--url: give the public address of the study, to which Prolific sends participants")
    earlier = journal.entries(CREATED).get(CREATED)
    code = earlier.details["code"] if earlier else _code(store)
    signed = _asks_for_signatures(store)
    body = {
        "name": offer.title,
        "internal_name": _internal_name(store),
        "description": offer.description,
        "external_study_url": prolific_address(offer.address),
        "prolific_id_option": "url_parameters",
        "completion_codes": [{"code": code, "code_type": "COMPLETED", "actions": [{"action": "MANUALLY_REVIEW"}]}],
        "total_available_places": offer.places,
        "estimated_completion_time": offer.minutes,
        "reward": offer.reward,
        "device_compatibility": ["desktop"],
        "peripheral_requirements": ["audio"],
        **({SIGNED: True} if signed else {}),
    }

    def create() -> None:
        journal.begin({CREATED: {"code": code}})
        _enter(store, journal, client.call("POST", "/studies/", body))

    text = (
        f"create a study of {offer.places} places at {shown(offer.reward, client.currency())} for {offer.minutes} min: "
        f"{offer.title}"
    )
    details = (
        f"description: {offer.description}",
        f"address: {prolific_address(offer.address)}{', signed by Prolific' if signed else ''}",
        f"completion code: {code}, reviewed by hand",
        "devices: computers with sound; Prolific shows the study on no phone or tablet",
    )
    return Step(text, offer.places * offer.reward, create, details)


def _code(store: Store) -> str:
    """Completion code: the same in a preview and when it is sent, and known to nobody without the database."""
    key = store.setting("secret_key").encode()
    return f"E{hmac.new(key, b'completion code of prolific', hashlib.sha256).hexdigest()[:8].upper()}"


def _asks_for_signatures(store: Store) -> bool:
    platform = store.study.platform
    return platform is not None and platform.signed


def _signing(client: ProlificClient, study: dict[str, Any], store: Store) -> list[Step]:
    """Let Prolific sign the addresses of a draft if the study admits nobody without a signature.

    Raises:
        UserError: the study is published with addresses that are not signed.
    """
    if not _asks_for_signatures(store) or study.get(SIGNED):
        return []
    if study["status"] == DRAFT:
        return [
            Step(
                f"let Prolific sign the addresses of study {study['id']}", 0,
                lambda: client.call("PATCH", f"/studies/{study['id']}/", {SIGNED: True}),
            )
        ]  # fmt: skip
    if SIGNED not in study:
        return []
    raise UserError(
        f"Prolific: study {study['id']} is published without signed addresses, but session.toml has signed = true, so "
        "that all its participants are refused; remove signed, or make a new study"
    )


def _check_given(client: ProlificClient, study: dict[str, Any], offer: Offer) -> None:
    """Refuse values that a study, which exists, has otherwise: only its places can be raised.

    Raises:
        UserError: names the options.
    """
    address = prolific_address(offer.address) if offer.address else ""
    wanted = {
        "reward": offer.reward, "minutes": offer.minutes, "title": offer.title, "description": offer.description,
        "url": address,
    }  # fmt: skip
    fields = {"reward": "reward", "minutes": "estimated_completion_time", "title": "name",
              "description": "description", "url": "external_study_url"}  # fmt: skip
    differing = []
    for name, field in fields.items():
        if name in offer.given and field in study and study[field] != wanted[name]:
            is_money = name == "reward"
            there = shown(round(study[field]), client.currency()) if is_money else str(study[field])
            differing.append(f"--{name} (there: {there})")
    if differing:
        raise UserError(
            f"{', '.join(differing)}: study {study['id']} exists on Prolific and keeps what it has; change it there, "
            "or leave these options out"
        )


def _enter(store: Store, journal: Journal, study: dict[str, Any]) -> None:
    """Enter a study on the admin page, with its completion code."""
    earlier = journal.entries(CREATED).get(CREATED)
    codes = [one["code"] for one in study.get("completion_codes") or () if one.get("code_type") == "COMPLETED"]
    code = earlier.details["code"] if earlier else codes[0] if codes else ""
    crowd = store.crowd
    entered = crowd.prolific_completion or code
    store.crowd = replace(crowd, prolific_study=study["id"], prolific_completion=entered)
    journal.finish([CREATED])


def _changes(client: ProlificClient, study: dict[str, Any], offer: Offer) -> list[Step]:
    """Raise the number of places. A published study cannot have fewer."""
    places, reward = int(study["total_available_places"]), round(study["reward"])
    if offer.places <= places:
        return []
    cost = reward * (offer.places if study["status"] == DRAFT else offer.places - places)
    body = {"total_available_places": offer.places}
    return [
        Step(
            f"raise the places of study {study['id']} from {places} to {offer.places}", cost,
            lambda: client.call("PATCH", f"/studies/{study['id']}/", body),
        )
    ]  # fmt: skip


def _publication(client: ProlificClient, store: Store, cost: int = 0) -> list[Step]:
    def publish() -> None:
        client.call("POST", f"/studies/{store.crowd.prolific_study}/transition/", {"action": "PUBLISH"})

    return [Step("publish it, so that participants see it", cost, publish)]


def _cost(study: dict[str, Any]) -> int:
    return int(study["total_available_places"]) * round(study["reward"])


def _internal_name(store: Store) -> str:
    return f"earmark {store.setting('study_id')}"
