"""Reading a metric of the user's own from --metric: ``NAME=COMMAND``, or a TOML file that describes the command.

name = "polqa"                     # default: the name of this file
command = "polqa {reference} {decoded}"      # {folder} is the folder of this file
pattern = 'MOS-LQO: (\\S+)'        # regular expression; default: the last number that is printed
unit = "MOS"
better = "higher"                  # or "lower"
range = [1, 4.75]                  # a number outside is an error
sample_rate = 48000                # in Hz, of the WAV files; default: the recording's own
channels = "mono"                  # averaged; or "all"
sample_type = "PCM_16"             # of the WAV files; or "PCM_24", "FLOAT"
timeout = 120                      # seconds; default: 60 s and 30 times the recording
files = ["model.bin"]              # whose content matters, too; relative to this file
title = "POLQA"
source = "ITU-T P.863"
licence = "commercial"
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from earmark.codec.errors import UserError
from earmark.codec.suggestions import did_you_mean
from earmark.eval.metrics.command_metric import CommandMetric
from earmark.eval.metrics.external import described
from earmark.eval.metrics.interface import Metric

FORM = "NAME=PROGRAM {reference} {decoded}, or the name of a TOML file"
TEXT = ("name", "command", "pattern", "unit", "better", "channels", "sample_type", "title", "source", "licence")
KEYS = (*TEXT, "range", "sample_rate", "timeout", "files")
SAMPLE_TYPES = ("PCM_16", "PCM_24", "FLOAT")


def read_metric(text: str) -> Metric:
    """Read the value of a --metric option.

    Raises:
        UserError: it has another form, or the file cannot be used.
    """
    name, equals, rest = text.partition("=")
    name, rest = name.strip(), rest.strip()
    if equals and re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) and rest:
        if rest.endswith(".toml") and not re.search(r"\s", rest):
            return _from_file(Path(rest), name)
        return command_metric(name, rest)
    if text.endswith(".toml"):
        return _from_file(Path(text), None)
    raise UserError(f"--metric {text!r}: write {FORM}")


def command_metric(name: str, command: str, *, label: str = "--metric", **attributes: Any) -> Metric:
    """Make a metric of a command.

    Args:
        attributes: those of `CommandMetric`, and of `earmark.register_metric` to describe it.
        label: how messages begin.

    Raises:
        UserError: the command has no {decoded}, or an attribute is not possible.
    """
    own = {field.name: attributes.pop(field.name) for field in fields(CommandMetric) if field.name in attributes}
    function = CommandMetric(name, command, **own)
    if "{decoded}" not in command:
        raise UserError(f"{label} {name}: {{decoded}} is not in its command; write {FORM}")
    _check_pattern(f"{label} {name}", function.pattern)
    return _computed_by(function, described(label, name, function, version="command", **attributes))


def with_patterns(metrics: Sequence[Metric], texts: Iterable[str]) -> list[Metric]:
    """Apply the values of --metric-pattern, ``NAME=REGEX``, to metrics that are commands.

    Raises:
        UserError: a value has another form, names no metric given by --metric, or is no regular expression.
    """
    result = list(metrics)
    for text in texts:
        name, equals, pattern = text.partition("=")
        name = name.strip()
        if not (equals and name and pattern):
            raise UserError(f"--metric-pattern {text!r}: write NAME=REGEX, e.g. 'polqa=MOS: (\\S+)'")
        names = [metric.name for metric in result]
        if name not in names:
            there = f"there is {', '.join(names)}" if names else "add it by --metric"
            raise UserError(f"--metric-pattern {name}: no metric given by --metric; {there}")
        _check_pattern(f"--metric-pattern {name}", pattern)
        index = names.index(name)
        function = result[index].function
        assert isinstance(function, CommandMetric)
        result[index] = _computed_by(replace(function, pattern=pattern), result[index])
    return result


def with_timeout(metric: Metric, timeout: float | None) -> Metric:
    """Limit the time of a command, unless its TOML file does."""
    if timeout is None or not isinstance(metric.function, CommandMetric) or metric.function.timeout is not None:
        return metric
    return replace(metric, function=replace(metric.function, timeout=timeout))


def _computed_by(function: CommandMetric, metric: Metric) -> Metric:
    """The metric, computed by a command."""
    return replace(
        metric, function=function, version=function.version, available=function.unavailable, takes_rate=True,
        needs_reference=function.needs_reference,
    )  # fmt: skip


def _check_pattern(label: str, pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise UserError(f"{label}: pattern {pattern!r} is no regular expression: {error}") from error


def _from_file(file: Path, name: str | None) -> Metric:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"--metric {file}: {getattr(error, 'strerror', None) or error}") from error
    label = f"--metric {file}:"
    _check(label, content)
    limits = content.pop("range", None)
    if limits is not None:
        content |= {"limits": (float(limits[0]), float(limits[1])), "value_range": f"{limits[0]:g} to {limits[1]:g}"}
    command = content.pop("command").replace("{folder}", shlex.quote(str(file.parent.resolve())))
    files = tuple(file.parent / path for path in content.pop("files", ()))
    if absent := [path for path in files if not path.is_file()]:
        raise UserError(f"{label} files: {absent[0]} does not exist")
    own_name = content.pop("name", file.stem)
    return command_metric(name or own_name, command, label=label, files=files, **content)


def _check(label: str, content: Mapping[str, Any]) -> None:
    """Check the keys of a TOML file, and the types of their values."""
    if "command" not in content:
        raise UserError(f'{label} needs a command, e.g. command = "polqa {{reference}} {{decoded}}"')
    for key, value in content.items():
        if key not in KEYS:
            hint = did_you_mean(key, KEYS) or f"; there are {', '.join(KEYS)}"
            raise UserError(f"{label} {key} is unknown{hint}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = {
            "range": isinstance(value, list) and len(value) == 2 and all(type(end) in (int, float) for end in value),
            "sample_rate": number,  # `described` checks it
            "timeout": number and value > 0,
            "files": isinstance(value, list) and all(isinstance(path, str) for path in value),
            "sample_type": value in SAMPLE_TYPES,
        }.get(key, isinstance(value, str))
        if not fits:
            raise UserError(f"{label} {key} = {value!r} is not possible{_example(key)}")


def _example(key: str) -> str:
    if key == "sample_type":
        return f"; choose from {', '.join(SAMPLE_TYPES)}"
    examples = {"range": "[1, 5]", "timeout": "120", "files": '["model.bin"]', "sample_rate": "48000"}
    return f"; write e.g. {key} = {examples[key]}" if key in examples else "; write a text in quotes"
