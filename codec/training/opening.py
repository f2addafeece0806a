"""The beginning of a training in a folder: from random weights, from those of another, or from its own saved state."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from earmark.codec.checkpoints import identities
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError
from earmark.codec.files import write_text
from earmark.codec.notices import notice
from earmark.codec.training import recipe_files
from earmark.codec.training.changes import changes, require_changeable
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.folder import METADATA, STATE, check_run, load_state, read_metadata, write_metadata
from earmark.codec.training.recipe import Part, Recipe
from earmark.codec.training.start import fingerprint, start_from
from earmark.codec.training.trainer import Trainer

_LABELS = {
    "data": "other data",
    "validation": "other recordings to validate on",
    "rooms": "other --rooms",
}  # of the metadata that must stay the same, for check_run()
_FIXED = {"tables": "another recipe or --set", **_LABELS}


def open_training(
    recipe: Recipe, group: ProcessGroup, folder: Path, data: Mapping[str, str], start: Path | None, resume: bool,
    may_change: bool,
) -> tuple[Trainer, dict[str, Any]]:  # fmt: skip
    """Make the trainer of a new or a resumed training, and check or write the folder's run.json.

    Args:
        recipe: what to train.
        group: processes that share each batch.
        folder: folder of the training.
        data: identities of "data", "validation" and "rooms", which must stay the same.
        start: checkpoint or training to start from, unless a saved state is resumed.
        resume: continue the training in the folder, if there is one.
        may_change: accept settings that differ from the earlier part's, if they leave it the same training.

    Returns:
        The trainer, and the saved state that it was restored from; empty at the beginning.

    Raises:
        UserError: the folder holds another training, or this one and `resume` is False; or the weights do not fit.
    """
    state = load_state(folder, "generator") if resume and (folder / STATE).exists() else None
    first = group.rank == 0
    metadata: dict[str, Any] = {
        "recipe": recipe.name, "tables": recipe.tables, "settings": list(recipe.settings), **data,
        "start": start and fingerprint(start), "start_path": start and str(start.resolve()),
    }  # fmt: skip
    upgrades = {"tables": recipe_files.completed}
    begun = first and check_run(folder, metadata, _LABELS if may_change else _FIXED, resume, upgrades)
    changed = _changes(folder, recipe) if begun and may_change else {}
    trainer = Trainer(recipe, group)
    if state is not None:
        trainer.load_state_dict(state)
    elif start is not None:
        metadata["start_model"] = _identities_of(start_from(trainer, start))
    elif len(recipe.training.parts) < len(get_args(Part)):
        raise UserError("training.parts: the parts that do not learn need weights; give them by --start-from")
    if first and not begun:
        write_metadata(folder, metadata)
    elif first:
        _check_start(folder, start, saved=state is not None)
        if changed:
            _record(folder, recipe, trainer.updates, changed)
    return trainer, state or {}


def earlier_settings(folder: Path) -> tuple[str, ...]:
    """The `--set` of the earlier parts of the training in a folder, if there is one."""
    return tuple((read_metadata(folder) or {}).get("settings", ()))


def _changes(folder: Path, recipe: Recipe) -> dict[str, tuple[Any, Any]]:
    earlier = read_metadata(folder) or {}
    changed = changes(recipe_files.completed(earlier.get("tables", {})), json.loads(json.dumps(recipe.tables)))
    require_changeable(changed, folder)
    return changed


def _record(folder: Path, recipe: Recipe, update: int, changed: Mapping[str, tuple[Any, Any]]) -> None:
    """Add changed settings to run.json, with the number of updates done before them."""
    metadata = read_metadata(folder) or {}
    entry = {
        "update": update, "created": datetime.now(UTC).isoformat(timespec="seconds"), "command": sys.argv,
        "settings": {key: list(values) for key, values in changed.items()},
    }  # fmt: skip
    metadata |= {"tables": recipe.tables, "settings": list(recipe.settings)}
    metadata["changes"] = [*metadata.get("changes", []), entry]
    write_text(folder / METADATA, json.dumps(metadata, indent=1))
    for key, (before, after) in changed.items():
        notice(f"after update {update}: {key} changes from {before} to {after}")


def _identities_of(model: EncodecModel | None) -> dict[str, Any] | None:
    """Identities of the model that a training starts from, for run.json, to recognise codes of the old one."""
    if model is None:
        return None
    codes, *whole = identities.accepted_identities(model)
    return {"codes": codes, "identities": whole}


def _check_start(folder: Path, start: Path | None, saved: bool) -> None:
    """Raise UserError if `start` is not what the training in the folder started from.

    Either path or content must agree: the training at that path may have gone on since. `start` may be omitted once
    the training in the folder has saved its state.
    """
    earlier = read_metadata(folder) or {}
    if start is None:
        if earlier.get("start") is not None and not saved:
            raise UserError(f"--out {folder}: has saved no state yet; give --start-from again")
    elif str(start.resolve()) != earlier.get("start_path") and fingerprint(start) != earlier.get("start"):
        raise UserError(f"--out {folder}: was begun with another --start-from; omit it to continue")
