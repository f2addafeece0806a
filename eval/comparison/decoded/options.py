"""The options --decoded and --bitstreams, and the systems that they and a corpus file give."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from earmark.codec.command_line import option
from earmark.codec.errors import UserError
from earmark.eval.comparison.corpus_file import decoded_in
from earmark.eval.comparison.decoded.folders import DecodedSystem, read_decoded


def decoded_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --decoded and --bitstreams to a command."""
    function = option(
        "--bitstreams", multiple=True, metavar="NAME=FOLDER",
        help="Coded files of a --decoded system, which give its bit rate; without them it is the number after @.",
    )(function)  # fmt: skip
    return option(
        "--decoded", multiple=True, metavar="NAME=FOLDER",
        help="Score audio decoded elsewhere: 'A@6=dec/A', 'A@6=dec/{stem}_out.wav' (also {path}, {category}), or "
        "'dec/*', where each sub-folder is a system. Repeats add up.",
    )(function)  # fmt: skip


def given_systems(
    audio: Path, decoded: Iterable[str], bitstreams: Iterable[str] = (), root: Path | None = None
) -> tuple[DecodedSystem, ...]:
    """The systems that options and a corpus file give by their decoded audio.

    Args:
        audio: folder of recordings, or a corpus file, which may have tables [decoded] and [bitstreams].
        decoded, bitstreams: values such as "A@6=dec/A".
        root: folder that relative paths of the options start from; default: the working directory.

    Raises:
        UserError: a value has another form, a folder does not exist, or two systems have one name.
    """
    systems = read_decoded(decoded, bitstreams, root)
    if audio.is_file():
        tables = decoded_in(audio)
        systems += read_decoded(tables["decoded"], tables["bitstreams"], audio.parent)
    texts = [one.system.text for one in systems]
    if twice := next((text for text in texts if texts.count(text) > 1), None):
        raise UserError(f"--decoded {twice}: {audio} gives this system, too; choose another name")
    return systems
