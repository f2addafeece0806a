"""Results of the Web Audio Evaluation Tool (Jillings et al. 2015): one XML file per session."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.text import counted
from earmark.mushra_app.ratings.errors import Errors, NoRatingsError
from earmark.mushra_app.ratings.readable import ReadRatings
from earmark.mushra_app.ratings.scales import EMPTY
from earmark.mushra_app.ratings.text_table import tidy
from earmark.mushra_app.study.study import Role

ROOT = "waetresult"
REPEAT = re.compile(r"-repeat-\d+$")  # end of the name of a page that is shown again
TYPES: dict[str, Role] = {"reference": "hidden reference", "anchor": "low anchor"}


def read_waet(path: Path, text: str, errors: Errors) -> ReadRatings:
    """Read a result file: scores from 0 to 1 at page/audioelement/value.

    A page is an item, an element a condition. Pages that are not complete, and open references, are skipped. A page
    that was shown again is another session of the listener.

    Raises:
        NoRatingsError: if it is another XML file.
        UserError: if it is damaged.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UserError(f"{path}: has a document type or entities, which result files do not have")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise UserError(f"{path}: damaged XML ({error}); export the ratings again") from error
    if root.tag != ROOT:
        raise NoRatingsError(f"{path}: XML, but not a result of the Web Audio Evaluation Tool (<{ROOT}>)")
    key = tidy(root.get("key") or "")
    pages = [page for page in root.findall("page") if page.get("ref")]
    complete = [page for page in pages if page.get("state", "complete") == "complete"]
    axes = {axis for page in complete for axis in _axes(page)}
    types: dict[str, set[str]] = {}
    rows: list[dict[str, Any]] = []
    for page in complete:
        rows += _ratings(path, page, key or path.stem, len(axes) > 1, types, errors)
    notes = []
    if len(pages) > len(complete):
        notes.append(f"skipped {counted(len(pages) - len(complete), 'page')} that the listener did not complete.")
    roles = {role: next(iter(types[name])) for name, role in TYPES.items() if len(types.get(name, ())) == 1}
    columns = ["listener", "item", "condition", "score", "row", "column", "session", "comment", "seconds", "category"]
    frame = pd.DataFrame(rows, columns=columns)
    if len(axes) <= 1:
        frame = frame.drop(columns="category")
    return ReadRatings(
        frame, "result file of the Web Audio Evaluation Tool", notes, names_listeners=bool(key), scale=(0.0, 1.0),
        roles=roles,
    )  # fmt: skip


def _axes(page: ElementTree.Element) -> Iterator[str]:
    """Names of the page's scales; most pages have one."""
    for value in page.findall("audioelement/value"):
        name = value.get("interface-name")
        yield "" if name in (None, "null") else tidy(name or "")


def _ratings(
    path: Path, page: ElementTree.Element, listener: str, several: bool, types: dict[str, set[str]], errors: Errors
) -> Iterator[dict[str, Any]]:
    name = tidy(page.get("ref") or "")
    item = REPEAT.sub("", name)
    time = page.find("metric/metricresult[@id='testTime']")
    seconds = pd.to_numeric(time.text or "", errors="coerce") if time is not None else None
    for element in page.findall("audioelement"):
        kind = element.get("type", "normal")
        condition = _condition(element, item)
        if kind == "outside-reference":
            continue
        if not condition:
            errors.add(path, f"page {name}: an element has no name")
            continue
        types.setdefault(kind, set()).add(condition)
        comment = element.find("comment/response")
        for value, axis in zip(element.findall("value"), _axes(page), strict=False):
            axis = axis if several else ""
            text = (value.text or "").strip()
            score = pd.to_numeric(text, errors="coerce")
            if pd.isna(score) and text.lower() not in EMPTY:
                errors.add(path, f"page {name}, element {condition}: “{tidy(text)}” is not a number")
            yield {
                "listener": listener, "item": f"{item} ({axis})" if axis else item, "condition": condition,
                "score": float(score), "row": name, "column": condition, "session": name,
                "comment": tidy(comment.text or "") if comment is not None else "", "seconds": seconds,
                "category": axis or "uncategorised",
            }  # fmt: skip


def _condition(element: ElementTree.Element, item: str) -> str:
    """Name of an element, else its id, without the page's name in front, which makes ids unique in a test."""
    name = tidy(element.get("name") or "") or tidy(element.get("ref") or "")
    for separator in "-_. ":
        name = name.removeprefix(f"{item}{separator}")
    return name
