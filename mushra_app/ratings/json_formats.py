"""Results in JSON: listen-and-rate (a session per file), BeaqleJS, and tables as jsPsych saves them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.codec.errors import UserError
from earmark.mushra_app.ratings.errors import Errors, NoRatingsError
from earmark.mushra_app.ratings.readable import ReadRatings
from earmark.mushra_app.ratings.scales import EMPTY
from earmark.mushra_app.ratings.text_table import tidied, tidy


def parse_json(path: Path, text: str) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: if it is damaged.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged JSON ({error}); export the ratings again") from error


def is_beaqlejs(data: Any) -> bool:
    """Whether this is a result of BeaqleJS: a list of tests with ratings by file, and the listener at its end."""
    return isinstance(data, list) and any(_is_beaqlejs_test(one) for one in data)


def _is_beaqlejs_test(one: Any) -> bool:
    return isinstance(one, dict) and "TestID" in one and isinstance(one.get("rating"), dict)


def read_beaqlejs(path: Path, data: list[Any], errors: Errors) -> ReadRatings:
    """Read a result of BeaqleJS (its submitted or downloaded .txt file).

    A test set is an item, a key of its files a condition. The listener is the name that was typed in, or the file.
    """
    person = next((one for one in data if isinstance(one, dict) and "UserName" in one), {})
    name = tidy(str(person.get("UserName") or ""))
    listener = name or path.stem
    rows = []
    for test in data:
        if not _is_beaqlejs_test(test):
            continue
        item, runtime = tidy(str(test["TestID"])), test.get("Runtime")
        for key, value in test["rating"].items():
            condition = tidy(str(key))
            score = _number(path, value, f"test {item}, {condition}", errors)
            rows.append({
                "listener": listener, "item": item, "condition": condition, "score": score,
                "row": f"test {item}", "column": condition, "session": path.name,
                "seconds": runtime / 1000 if isinstance(runtime, int | float) else None,
            })  # fmt: skip
    return ReadRatings(pd.DataFrame(rows), "BeaqleJS result file", names_listeners=bool(name))


def is_listen_and_rate(data: Any) -> bool:
    """Whether this is a session of listen-and-rate."""
    return isinstance(data, dict) and "session_id" in data and isinstance(_records(data), list)


def _records(session: Mapping[str, Any]) -> Any:
    """Its ratings, under the name of newer or of older versions."""
    return session.get("records", session.get("ratings"))


def as_table(path: Path, data: Any) -> pd.DataFrame:
    """A session of listen-and-rate, or a list of objects, as a table of text with headings.

    Sessions get the columns that the CSV files of listen-and-rate have: session_id, test_type, metadata_..., system,
    utterance or item, rating.

    Raises:
        NoRatingsError: if it is neither.
    """
    if is_listen_and_rate(data):
        metadata = data.get("metadata")
        common = {
            "session_id": data["session_id"], "test_type": data.get("test_type", ""),
            **{f"metadata_{name}": value for name, value in (metadata if isinstance(metadata, dict) else {}).items()},
        }  # fmt: skip
        records = [{**common, **_flat(one)} for one in _records(data)]
    elif isinstance(data, list) and data and all(isinstance(one, dict) for one in data):
        records = [_flat(one) for one in data]
    else:
        raise NoRatingsError(
            f"{path}: JSON, but not results of listen-and-rate or BeaqleJS, nor a list of rows; convert it to a long "
            "table with listener, item, condition, score"
        )
    table = pd.DataFrame(records).map(_cell).astype("str")
    table.columns = pd.Index([tidy(str(name)) for name in table.columns])
    table.index += 1
    return table.apply(tidied) if not table.empty else table


def _flat(record: Any) -> dict[str, Any]:
    """A record with the values of inner objects as name.inner."""
    if not isinstance(record, dict):
        return {}
    flat: dict[str, Any] = {}
    for name, value in record.items():
        flat |= {f"{name}.{inner}": one for inner, one in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _cell(value: Any) -> str:
    is_missing = value is None or (isinstance(value, float) and value != value)
    return "" if is_missing else str(value)


def _number(path: Path, value: Any, where: str, errors: Errors) -> float:
    """A score; NaN for none."""
    if value is None or (isinstance(value, str) and value.strip().lower() in EMPTY):
        return float("nan")
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError):
        errors.add(path, f"{where}: “{tidy(str(value))}” is not a number")
        return float("nan")
