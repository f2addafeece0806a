"""Reading a webMUSHRA configuration as webMUSHRA does, with yaml.js, which accepts more than YAML."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from earmark.codec.errors import UserError

LARGEST = 4_000_000  # bytes
MOST_VALUES = 200_000  # a list or mapping that an alias repeats counts each time
# A line "key: value" or "- key: value", split as yaml.js does: at the first colon that a blank follows.
ENTRY = re.compile(r"^(?P<head> *(?:- +)*(?:\"[^\"]*\"|'[^']*'|[^ '\"\[{#][^\n]*?) *: +)(?P<value>\S.*?)\s*$")
BLOCK = re.compile(r"(?:^|[ :-] *)[|>][+-]?\d?[+-]?(?: +#.*)?$")  # the end of a line that a block of text follows
NOT_PLAIN = ("'", '"', "[", "{", "&", "*", "!", "|", ">")  # values that both parsers read alike


class _Loader(yaml.BaseLoader):
    """Keeps every scalar as text, so that a page named 007 stays 007; the first of equal keys counts, as in yaml.js."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        own: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, "a key is not text", key_node.start_mark)
            value = self.construct_object(value_node, deep=deep)
            if key == "<<":
                for one in value if isinstance(value, list) else [value]:
                    merged = {**(one if isinstance(one, dict) else {}), **merged}
            else:
                own.setdefault(key, value)
        return {**merged, **own}


# BaseLoader builds mappings in two steps, to allow for recursive ones; here a mapping is complete when it is merged.
_Loader.add_constructor("tag:yaml.org,2002:map", lambda loader, node: _Loader.construct_mapping(loader, node, True))  # type: ignore[arg-type]


def read(config: Path) -> dict[str, Any]:
    """Read a configuration.

    Values may contain what YAML forbids outside quotation marks: a colon and a blank, or a first character such as @.

    Raises:
        UserError: if the file is too large, neither YAML nor what yaml.js accepts, or has no list of pages.
    """
    try:
        if config.stat().st_size > LARGEST:
            raise UserError(f"{config}: over {LARGEST // 1_000_000} MB, too large for a webMUSHRA configuration")
        data = _parse(config.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{config}: not readable ({error.strerror or error})") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        fault = f"line {mark.line + 1}: {getattr(error, 'problem', '')}" if mark else "not UTF-8, or nested too deeply"
        raise UserError(f"{config}: not YAML ({fault}); is it a webMUSHRA configuration?") from error
    if _size(data, {}) > MOST_VALUES:
        raise UserError(f"{config}: its aliases (*NAME) stand for over {MOST_VALUES} values, or contain themselves")
    if not isinstance(data, dict) or not isinstance(data.get("pages"), list):
        raise UserError(f"{config}: no list of pages; is it a webMUSHRA configuration?")
    return data


def _size(data: Any, sizes: dict[int, float]) -> float:
    """Number of values with every alias written out; infinite if a value contains itself.

    Args:
        sizes: by id(), of the values seen so far.
    """
    if not isinstance(data, dict | list):
        return 1
    if id(data) not in sizes:
        sizes[id(data)] = math.inf  # until it is known
        parts = [*data.keys(), *data.values()] if isinstance(data, dict) else data
        sizes[id(data)] = 1 + sum(_size(part, sizes) for part in parts)
    return sizes[id(data)]


def _parse(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError:
        quoted = _with_quotation_marks(text)
        if quoted == text:
            raise
        return yaml.load(quoted, Loader=_Loader)


def _with_quotation_marks(text: str) -> str:
    """Quote the values that only yaml.js reads; lines keep their numbers, and blocks of text stay as they are."""
    lines, block = [], None
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip(" "))
        if block is not None and (not line.strip() or indent > block):
            lines.append(line)
            continue
        block = indent if BLOCK.search(line) else None
        lines.append(line if block is not None or line.lstrip().startswith("#") else _quoted(line))
    return "\n".join(lines)


def _quoted(line: str) -> str:
    match = ENTRY.match(line)
    if match is None or match["value"].startswith(NOT_PLAIN):
        return line
    value = match["value"].partition(" #")[0].rstrip()
    if value.startswith("#"):
        return line
    doubled = value.replace("'", "''")
    return f"{match['head']}'{doubled}'"
