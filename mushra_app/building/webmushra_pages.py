"""Contents of a webMUSHRA configuration: its MUSHRA pages, its texts and questions, and what cannot be imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earmark.codec.errors import UserError
from earmark.mushra_app.building import webmushra_yaml
from earmark.mushra_app.building.preflight import MOST_CONDITIONS
from earmark.mushra_app.building.webmushra_omissions import listed
from earmark.mushra_app.building.webmushra_texts import BEFORE, read_session
from earmark.mushra_app.building.webmushra_values import is_on, page_name, text_of
from earmark.mushra_app.ratings.table import assign_roles
from earmark.mushra_app.ratings.text_table import tidy
from earmark.mushra_app.study.study import Role

REFERENCE = "reference"  # webMUSHRA's name for the hidden reference in its results
# Anchors that webMUSHRA makes itself: option of the page -> (webMUSHRA's name, our system string).
ANCHORS = {"createAnchor35": ("anchor35", "anchor@3.5k"), "createAnchor70": ("anchor70", "anchor@7k")}
MOST_PAGES, DEEPEST = 5_000, 20  # limits to nested lists, which YAML aliases can make endless


@dataclass(frozen=True)
class Page:
    """A page of type mushra.

    Args:
        id: the page's id, which becomes the item's.
        reference: path of the reference as written in the configuration.
        stimuli: condition -> path as written in the configuration; "" for an anchor that the import makes.
    """

    id: str
    reference: str
    stimuli: Mapping[str, str]


@dataclass
class Configuration:
    """A configuration as far as it can be imported.

    Args:
        name, test_id: of the test.
        pages: its MUSHRA pages, with different ids.
        roles: condition of any page -> role.
        session: settings for session.toml: title, instructions, consent, language, questionnaire.
        trials: number of pages that a listener sees; None for all.
        notes: what was skipped or assumed, one sentence each.
    """

    name: str
    test_id: str
    pages: list[Page] = field(default_factory=list)
    roles: dict[str, Role] = field(default_factory=dict)
    session: dict[str, Any] = field(default_factory=dict)
    trials: int | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def items_vary(self) -> bool:
        """Whether pages differ in their conditions."""
        return any(page.stimuli.keys() != self.roles.keys() for page in self.pages)


class _CannotImportError(Exception):
    """Why a page cannot be imported."""


def read_configuration(config: Path) -> Configuration:
    """Read the YAML file of a webMUSHRA test.

    Pages of type mushra become items, the texts before the first trial instructions and consent, and the questions of
    the last page a questionnaire. All other pages, texts and options are named in the notes.

    Raises:
        UserError: if the file is not a webMUSHRA configuration, or no page can be imported.
    """
    data = webmushra_yaml.read(config)
    name = tidy(text_of(data.get("testname")) or text_of(data.get("testId")) or config.stem)
    result = Configuration(name, tidy(text_of(data.get("testId"))))
    pages = _flat(config, data["pages"])
    elements, result.trials, skipped = pages.settings, pages.trials, pages.others
    trials: dict[int, str] = {}
    copies: set[str] = set()
    for number, settings in enumerate(elements, start=1):
        if settings.get("type") == "mushra":
            try:
                page, copied = _page(settings, {page.id for page in result.pages})
            except _CannotImportError as reason:
                skipped.append(f"{page_name(settings, number)} ({reason})")
                continue
            if page.id != tidy(settings["id"]):
                result.notes.append(f"A second page has the id {tidy(settings['id'])}; it is called {page.id}.")
            result.pages.append(page)
            trials[number] = page.id
            copies |= copied
        elif settings.get("type") not in (*BEFORE, "finish"):
            skipped.append(f"{page_name(settings, number)} ({tidy(text_of(settings.get('type')) or 'no type')})")
    if not result.pages:
        what = f": {', '.join(skipped)}" if skipped else ""
        raise UserError(f"{config}: no page of type mushra that can be imported{what}; only MUSHRA tests can be")
    session = read_session(data, elements, trials)
    result.session = session.settings
    result.notes += session.notes
    skipped += session.skipped
    in_order = [name for number, name in trials.items() if number in pages.in_order]
    if in_order and len(trials) > 1:
        result.notes.append(f"Items come in random order; webMUSHRA does not shuffle {', '.join(in_order)}.")
    if omissions := listed(session.omissions):
        result.notes.append(f"Texts and options that are not imported: {omissions}.")
    if skipped:
        result.notes.append(f"Skipped what cannot be imported: {', '.join(skipped)}.")
    if copies:
        result.notes.append(f"Skipped stimuli that are the reference itself, already hidden in every trial: "
                            f"{', '.join(sorted(copies))}.")  # fmt: skip
    _assign_roles(config, result)
    return result


@dataclass
class _Pages:
    """Pages out of nested lists.

    Args:
        settings: of every page, in order.
        in_order: numbers of the pages that no list shuffles, counted from 1.
        trials: number of MUSHRA pages that a listener sees; None for all.
        others: what is no page, with the reason.
    """

    settings: list[Mapping[str, Any]] = field(default_factory=list)
    in_order: set[int] = field(default_factory=set)
    trials: int | None = None
    others: list[str] = field(default_factory=list)


def _flat(config: Path, pages: Sequence[Any]) -> _Pages:
    """Pages in order, out of nested lists.

    The first element of a list may be the word "random". A number behind it means that many of the list's elements, as
    some versions of webMUSHRA have it; without one, a listener sees all.
    """
    found = _Pages()
    seen, is_subset = 0, False

    def walk(level: Sequence[Any], depth: int, shuffled: bool) -> int:
        """Add the pages of a list; returns the number of MUSHRA pages that a listener sees of them."""
        nonlocal seen, is_subset
        shown: list[int] = []
        wanted = None
        shuffled |= level[:1] == ["random"]
        for element in level:
            seen += 1
            if seen > MOST_PAGES or depth > DEEPEST:
                raise UserError(f"{config}: over {MOST_PAGES} pages, or lists that contain themselves")
            if isinstance(element, list):
                shown.append(walk(element, depth + 1, shuffled))
            elif isinstance(element, dict):
                found.settings.append(element)
                found.in_order |= set() if shuffled else {len(found.settings)}
                shown.append(element.get("type") == "mushra")
            elif level[0] == "random" and str(element).isdecimal():
                wanted = int(element)
            elif element and element != "random":
                found.others.append(f"{tidy(str(element))} (not a page)")
        is_subset |= wanted is not None and wanted < len(shown)
        # A random choice of elements with different numbers of pages shows their mean number.
        return round(sum(shown) * min(1, wanted / len(shown))) if wanted is not None and shown else sum(shown)

    total = walk(pages, 0, False)
    found.trials = max(1, total) if is_subset else None
    return found


def _page(settings: Mapping[str, Any], taken: set[str]) -> tuple[Page, set[str]]:
    """The page, and the names of stimuli skipped because they are the reference.

    Raises:
        _CannotImportError: if it has no id, reference or stimuli, or more conditions than a trial can have.
    """
    name, reference, stimuli = (settings.get(key) for key in ("id", "reference", "stimuli"))
    if not isinstance(name, str) or not tidy(name):
        raise _CannotImportError("has no id")
    if not isinstance(reference, str) or not reference:
        raise _CannotImportError("has no reference")
    if not isinstance(stimuli, dict) or not all(isinstance(path, str) and path for path in stimuli.values()):
        raise _CannotImportError("has no stimuli, each with a file")
    files = {tidy(str(condition)): path for condition, path in stimuli.items()}
    copies = {condition for condition, path in files.items() if path == reference}
    files = {condition: path for condition, path in files.items() if condition not in copies}
    made = {anchor for option, (anchor, _) in ANCHORS.items() if is_on(settings.get(option))}
    reserved = sorted(({REFERENCE} | made) & set(files))
    if reserved:
        raise _CannotImportError(f"has a stimulus {reserved[0]}, a name that webMUSHRA adds; rename it")
    if not files:
        raise _CannotImportError("no stimulus except its reference")
    names = {REFERENCE: reference, **files, **dict.fromkeys(sorted(made), "")}
    if len(names) > MOST_CONDITIONS:
        raise _CannotImportError(f"{len(names)} conditions; a trial has at most {MOST_CONDITIONS}, BS.1534-3")
    own = unique = tidy(name)
    number = 2
    while unique in taken:
        unique, number = f"{own}-{number}", number + 1
    return Page(unique, reference, names), copies


def _assign_roles(config: Path, result: Configuration) -> None:
    """Set the roles of all conditions, with notes on them and on pages that lack some."""
    names = dict.fromkeys(name for page in result.pages for name in page.stimuli)
    named: dict[Role, str | None] = {
        "hidden reference": REFERENCE,
        "low anchor": "anchor35" if "anchor35" in names else None,
        "mid anchor": "anchor70" if "anchor70" in names else None,
    }
    roles, notes = assign_roles(names, named, str(config), hints=False)
    result.roles = {name: roles[name] for name in names}
    result.notes += notes
    lacking = [
        f"{page.id} has no {', '.join(absent)}"
        for page in result.pages
        if (absent := [name for name in names if name not in page.stimuli])
    ]
    if lacking:
        result.notes.append(f"Items differ in their conditions: {'; '.join(lacking)}.")
