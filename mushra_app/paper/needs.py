"""Needs of each table and figure of the paper, and what is missing here, as `earmark reproduce LIST` prints them."""

from __future__ import annotations

import textwrap
from pathlib import Path

from earmark.baselines.systems import parse
from earmark.codec.checkpoints.downloads import bundled, cached
from earmark.codec.errors import UserError
from earmark.codec.extras import missing as missing_extra
from earmark.eval.comparison.availability import unavailable_metrics, unavailable_systems
from earmark.mushra_app.paper.items import Item, items
from earmark.mushra_app.paper.scale import Name

WIDTH = 80


def needs_of(item: Item, scale: Name) -> list[str]:
    """The needs of an item in words: weights, programs, data and listeners."""
    if item.kind == "drawing":
        return ["nothing: it is drawn from the model"]
    synthetic = scale == "tiny"
    needs = []
    names = dict.fromkeys(system.partition("@")[0] for system in item.systems if system != "reference")
    if names:
        needs.append(f"codecs {', '.join(names)}")
    if item.coded:
        needs.append("their language models")
    if item.trainings:
        needs.append(f"{len(item.trainings)} {'training' if len(item.trainings) == 1 else 'trainings'} on "
                     + ("synthetic data" if synthetic else "--data"))  # fmt: skip
    if item.needs_run:
        layout = "stereo music at 48 kHz" if item.channels == 2 else "recordings"
        needs.append("synthetic recordings" if synthetic else f"{layout}, --audio or --data")
    if item.heard:
        needs.append("listeners, who are simulated" if synthetic else "listeners")
    return needs


def missing_of(item: Item, scale: Name, data: tuple[Path, ...], audio: Path | None) -> list[tuple[str, str]]:
    """The needs of an item that are not met here: name and remedy of each."""
    found: list[tuple[str, str]] = []
    if reason := missing_extra("torch", extra="encodec"):
        found.append(("PyTorch", reason))
    if item.kind == "drawing":
        return found
    for name in dict.fromkeys(system.partition("@")[0] for system in item.systems if system.startswith("encodec_")):
        if not _is_here(name):
            found.append((f"the paper's weights of {name}", f"`earmark download {name}`{_stand_in(name, scale)}"))
        model = name.replace("encodec_", "encodec_lm_")
        if item.coded and not _is_here(model):
            found.append((f"its language model {model}", f"`earmark download {model}`{_stand_in(model, scale)}"))
    for name, reason in unavailable_systems([parse(one) for one in item.systems if "encodec_" not in one]).items():
        found.append((name, reason))
    found += unavailable_metrics(item.metrics).items()
    if scale != "tiny":
        if item.trainings and not data:
            found.append(("training data", "--data PATH, from `earmark data index` or `earmark data open-corpus`"))
        if item.needs_run and not data and audio is None:
            found.append(("recordings", "--audio PATH, or the split test of --data"))
        if item.heard:
            found.append(
                ("listeners", "the command builds a study, and `earmark study serve DIR/study` collects ratings")
            )
    return found


def _is_here(name: str) -> bool:
    try:
        cached(name)
    except UserError:
        return False
    return True


def _stand_in(name: str, scale: Name) -> str:
    if bundled(name) is not None:
        return "; the smaller one that comes with Earmark stands in"
    return "; a model that is trained first stands in" if scale == "tiny" and "_lm_" not in name else ""


def listing(scale: Name, data: tuple[Path, ...], audio: Path | None) -> str:
    """The list of all items with what they need and what is missing, 80 columns wide, and the remedies below."""
    lines: list[str] = []
    remedies: dict[str, int] = {}
    for item in items().values():
        lines += _wrapped(f"{item.name:<9}{item.title}", 0, 9)
        absent = missing_of(item, scale, data, audio)
        numbers = [remedies.setdefault(remedy, len(remedies) + 1) for _, remedy in absent]
        named = ", ".join(f"{name} [{number}]" for (name, _), number in zip(absent, numbers, strict=True))
        lines += _wrapped(f"needs {'; '.join(needs_of(item, scale))}", 9, 11)
        lines += _wrapped(f"missing: {named}" if named else "nothing is missing", 9, 11)
    lines += ["", *(line for remedy, number in remedies.items() for line in _wrapped(f"[{number}] {remedy}", 0, 4))]
    tail = (
        f"Scale {scale}. `earmark reproduce ITEM -o DIR` makes one of them, `earmark reproduce all -o DIR` makes all."
    )
    return "\n".join([*lines, "", *_wrapped(tail, 0, 0)]) + "\n"


def _wrapped(text: str, indent: int, following: int) -> list[str]:
    """Lines of at most WIDTH columns; the first is indented by `indent`, the following ones by `following`."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * following, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
