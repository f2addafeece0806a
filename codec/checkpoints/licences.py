"""Licences of known weights, and recognition of weights by their identity."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from earmark.codec.checkpoints import hub
from earmark.codec.checkpoints.downloads import (
    HUB_LICENCES,
    OFFICIAL,
    OFFICIAL_FILES,
    OFFICIAL_LICENCE,
    bundled,
    cache_folder,
)
from earmark.codec.checkpoints.header import identities as identities_in
from earmark.codec.errors import UserError
from earmark.codec.files import write_text

BUNDLED_LICENCE = "MIT, as Earmark"
SHA256_DIGITS = 64


def known_weights(model: str, identity: str | None) -> tuple[str, str] | None:
    """The name and licence of the weights that a file of codes was made with.

    Recognises the weights that come with Earmark, the official ones, and those of the hub that are in the user's cache.

    Args:
        model: the model that the file names.
        identity: first digits of one of the identities of its weights (`identities.accepted_identities`), "" if it
            names none; None for the official weights.
    """
    if identity is None:
        return OFFICIAL, OFFICIAL_LICENCE
    if not identity:
        return None
    own = bundled(model)
    if own is not None and any(each.startswith(identity) for each in identities_in(own)):
        return "bundled", BUNDLED_LICENCE
    for name, licence, weights in _cached(model):
        if any(each.startswith(identity) for each in _identities_of(weights)):
            return name, licence
    return None


def _cached(model: str) -> Iterator[tuple[str, str, Path]]:
    if model in OFFICIAL_FILES and (path := cache_folder() / OFFICIAL_FILES[model]).is_file():
        yield OFFICIAL, OFFICIAL_LICENCE, path
    for name, licence in HUB_LICENCES.items():
        if name.endswith(f"/{model}"):
            files = (hub.folder_of(name) / file for file in hub.WEIGHTS)
            yield from ((name, licence, file) for file in files if file.is_file())


def _identities_of(weights: Path) -> tuple[str, ...]:
    """Identities of a file of weights, kept beside it, because computing them takes PyTorch and seconds."""
    about = weights.stat()
    key = f"{about.st_size} {about.st_mtime_ns}"
    kept = weights.with_name(f"{weights.name}.identity")
    try:
        known, *found = kept.read_text(encoding="ascii").split("\n")
        if known == key and [len(each) for each in found] == [SHA256_DIGITS] * 2:
            return tuple(found)
    except (OSError, ValueError):
        pass
    try:
        from earmark.codec.checkpoints.identities import accepted_identities
        from earmark.codec.checkpoints.loading import load

        computed = accepted_identities(load(weights))[:2]
        write_text(kept, "\n".join([key, *computed]))
    except (ImportError, UserError):  # no PyTorch, damaged weights, or a cache that cannot be written
        return ()
    return computed
