"""A listening test: conditions, items and stimuli (ITU-R BS.1534-3), in the files STUDY/study.json and STUDY/audio."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from earmark.codec.errors import UserError
from earmark.codec.files import write_text
from earmark.codec.inside import inside
from earmark.mushra_app.study import pages
from earmark.mushra_app.study.entry import Entry
from earmark.mushra_app.study.pages import Page, Training, Trials
from earmark.mushra_app.study.platform import Platform
from earmark.mushra_app.study.session_file import Texts, read_session

FORMAT = 1
Role = Literal["hidden reference", "low anchor", "mid anchor", "system"]


@dataclass(frozen=True)
class Condition:
    """A version under test.

    Args:
        name: the system string; never sent to a listener's browser.
    """

    name: str
    role: Role


@dataclass(frozen=True)
class Stimulus:
    """An item in one condition.

    Args:
        audio: file below STUDY/audio, with a random name.
        gain_db: gain applied to match levels.
        loudness: integrated loudness after the gain, in LUFS (ITU-R BS.1770).
        aligned: whether the run that it was cut from aligned the whole recording, and found no delay left.
    """

    audio: str
    gain_db: float
    loudness: float
    aligned: bool = False


@dataclass(frozen=True)
class Item:
    """An excerpt of one recording, in every condition.

    Args:
        id: unique name such as "music-007", shown only to the experimenter.
        file: the recording, relative to the run's AUDIO_DIR.
        start, seconds: position and length of the excerpt.
        stimuli: by condition name; all have the same length, rate and format.
    """

    id: str
    category: str
    file: str
    start: float
    seconds: float
    stimuli: Mapping[str, Stimulus]


@dataclass(frozen=True)
class Study:
    """A listening test.

    Args:
        sample_rate: of every stimulus, in Hz.
        annotations: number of ratings that every item needs.
        trials_per_listener: number of items that one listener rates.
        provenance: the run of `earmark compare` that the study was cut from, with versions and seed.
        pages: of a session after consent, in order; from study.json and session.toml.
        texts: from session.toml.
        comments: whether listeners can comment on each stimulus; session.toml overrides study.json.
        entry: what is asked of a listener's device, from session.toml.
        platform: where participants are recruited, from session.toml; None for what the admin page says.
        items_vary: whether items may lack conditions other than the hidden reference.
    """

    name: str
    sample_rate: int
    annotations: int
    trials_per_listener: int
    conditions: tuple[Condition, ...]
    items: tuple[Item, ...]
    provenance: Mapping[str, str]
    pages: tuple[Page, ...] = pages.DEFAULT
    texts: Texts = field(default_factory=Texts)
    comments: bool = False
    items_vary: bool = False
    entry: Entry = field(default_factory=Entry)
    platform: Platform | None = None

    def item(self, item_id: str) -> Item:
        """The item with this id."""
        return next(item for item in self.items if item.id == item_id)

    def conditions_of(self, item: Item) -> tuple[Condition, ...]:
        """Conditions of an item: all of the study, unless items vary."""
        return tuple(one for one in self.conditions if not self.items_vary or one.name in item.stimuli)

    def condition(self, role: Role) -> Condition | None:
        """The first condition with this role; None if there is none."""
        return next((condition for condition in self.conditions if condition.role == role), None)

    def audio_path(self, folder: Path, item: Item, condition: str) -> Path:
        """Path of a stimulus of the study in `folder`.

        Raises:
            UserError: it leads out of STUDY/audio, possibly by a link.
        """
        return stimulus_path(folder, item.stimuli[condition].audio)

    @property
    def hidden_reference(self) -> Condition:
        reference = self.condition("hidden reference")
        assert reference is not None, "a study always has a hidden reference"
        return reference


def stimulus_path(folder: Path, name: str) -> Path:
    """Path of the file `name` in STUDY/audio, for a study in `folder`.

    Raises:
        UserError: it leads out of STUDY/audio, possibly by a link, or STUDY/audio is a link that leads out of STUDY.
    """
    inside(folder, "audio", folder / "study.json")
    return inside(folder / "audio", name, folder / "study.json")


def save(study: Study, folder: Path) -> None:
    """Write STUDY/study.json, without the texts, entry rules and platform, which stay in session.toml."""
    data = {"format": FORMAT, **asdict(study), "pages": [pages.to_json(page) for page in study.pages]}
    del data["texts"], data["entry"], data["platform"]
    text = json.dumps(data, indent=1, ensure_ascii=False)
    write_text(folder / "study.json", text + "\n")


def load(folder: Path) -> Study:
    """Read STUDY/study.json, and STUDY/session.toml if it exists.

    Raises:
        UserError: if there is no study, another version of Earmark wrote it, or session.toml is wrong.
    """
    path = folder / "study.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if (folder / "run.json").exists():
            raise UserError(
                f"{folder} is a run, not a listening test; make one of it by `earmark study build {folder} -o study/`"
            ) from error
        raise UserError(f"{folder}: no study.json in it; make a study by `earmark study build RUN -o STUDY`") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as a study ({error})") from error
    if data.pop("format", None) != FORMAT:
        raise UserError(f"{path}: another version of Earmark wrote this study; build it again")
    try:
        study = _from_json(data)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: damaged or made by hand ({error}); build the study again") from error
    _check_content(study, path)
    study = replace(study, **read_session(folder, study.pages, {item.id for item in study.items}))
    _check_pages(study, path)
    return study


def _from_json(data: dict[str, Any]) -> Study:
    data["conditions"] = tuple(Condition(**condition) for condition in data["conditions"])
    data["items"] = tuple(
        Item(**{**item, "stimuli": {name: Stimulus(**stimulus) for name, stimulus in item["stimuli"].items()}})
        for item in data["items"]
    )
    if "pages" in data:
        data["pages"] = tuple(pages.from_json(page) for page in data["pages"])
    return Study(**data)


def _check_content(study: Study, path: Path) -> None:
    """Check what the rest of the code takes for granted, since anybody may have written the file.

    Raises:
        UserError: something is missing, or a stimulus names audio outside STUDY/audio.
    """
    if not study.items or study.condition("hidden reference") is None:
        missing = "no condition is the hidden reference" if study.items else "has no items"
        raise UserError(f"{path}: {missing}; build the study again")
    numbers = (study.annotations, study.trials_per_listener, study.sample_rate)
    if not all(isinstance(number, int) and number >= 1 for number in numbers):
        raise UserError(
            f"{path}: annotations, trials_per_listener and sample_rate are whole numbers from 1; build the study again"
        )
    conditions, items = [one.name for one in study.conditions], [one.id for one in study.items]
    for what, names in (("a name", [study.name]), ("a condition", conditions), ("an item", items)):
        wrong = next((name for name in names if not isinstance(name, str)), None)
        if wrong is not None or len(set(names)) < len(names):
            raise UserError(f"{path}: {what} is no text, or occurs twice; build the study again")
    for condition in study.conditions:
        if condition.role not in get_args(Role):
            raise UserError(f"{path}: condition {condition.name} has an unknown role; build the study again")
    for item in study.items:
        if not isinstance(item.seconds, int | float) or not 0 < item.seconds < math.inf:
            raise UserError(f"{path}: the length of item {item.id} is not a number above 0; build the study again")
    for item in study.items:
        for name in item.stimuli:
            study.audio_path(path.parent, item, name)


def _check_pages(study: Study, path: Path) -> None:
    if sum(isinstance(page, Trials) for page in study.pages) != 1:
        raise UserError(f'{path}: "pages" needs exactly one page of kind "trials"')
    known = {item.id for item in study.items}
    for page in study.pages:
        if isinstance(page, Training) and page.item not in known:
            raise UserError(f'{path}: "pages" has a training trial of item {page.item}, which the study does not have')
