"""`earmark doctor`: what is installed, what is missing, and how to add it."""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import click

from earmark.codec.command_line import command

State = Literal["ok", "missing", "broken"]
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd")  # that change how fast EnCodec is
DEVELOPMENT = ("all", "dev", "docs")  # extras that are no feature


@dataclass(frozen=True)
class Finding:
    """One thing that Earmark uses.

    Args:
        name: what it is.
        detail: its version, or why it is missing and the remedy.
    """

    state: State
    name: str
    detail: str = ""


@command(
    "doctor",
    examples=["earmark doctor"],
    environment={
        "EARMARK_CACHE": "Folder of downloaded weights [default: ~/.cache/earmark].",
        "EARMARK_EVS_DIR": "Folder of the EVS reference programs.",
        "EARMARK_LIBOPUS": "The libopus library to use.",
    },
    exit_status={1: "a package that Earmark requires is missing, or its cache cannot be written"},
)
def doctor() -> int:
    """Check what is installed and what is missing, with the remedy for each.

    Codecs, metrics and extras that are missing are needed only for what you do with them. Lines that begin with
    "broken" need repair.
    """
    click.echo(f"Earmark {version('earmark')}, Python {platform.python_version()}, {_machine()}")
    broken = False
    for title, findings in (
        ("Required", [*_required(), _cache()]),
        ("Extras", [*_extras()]),
        ("Processor", [_gpu()]),
        ("Codecs", [*_codecs()]),
        ("Metrics", [*_metrics()]),
        ("Weights", [*_weights()]),
    ):
        click.echo(f"\n{title}")
        present = [f"{one.name} {one.detail}".strip() for one in findings if one.state == "ok"]
        if present:
            _show("ok", ", ".join(present))
        for one in findings:
            if one.state != "ok":
                _show(one.state, f"{one.name}: {one.detail}")
                broken = broken or one.state == "broken"
    return 1 if broken else 0


def _show(state: State, text: str) -> None:
    width = min(100, shutil.get_terminal_size().columns)
    indent = f"  {state:<8} "
    lines = textwrap.wrap(text, max(20, width - len(indent)), break_on_hyphens=False, break_long_words=False)
    click.echo(indent + f"\n{'':{len(indent)}}".join(lines))


def _machine() -> str:
    from earmark.codec.cores import usable_cores
    from earmark.codec.text import counted

    names = [platform.system(), platform.machine(), counted(usable_cores(), "core")]
    flags = set()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        match = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo.read_text(errors="replace"), re.MULTILINE)
        flags = set(match[1].split()) if match else set()
    return ", ".join([*names, *(name for name in INSTRUCTIONS if name in flags)])


def _requirements() -> Iterator[tuple[str, str | None]]:
    """Name of each required package, and the extra that requires it, None for every installation."""
    for line in requires("earmark") or ():
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", line)
        yield name, extra[1] if extra else None


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _required() -> Iterator[Finding]:
    for name, extra in _requirements():
        if extra is None:
            number = _installed(name)
            remedy = f"not installed; run `pip install {name}`"
            yield Finding("ok" if number else "broken", name, number or remedy)


def _extras() -> Iterator[Finding]:
    """Each extra with the packages that it lacks."""
    packages: dict[str, list[str]] = {}
    for name, extra in _requirements():
        if extra is not None and extra not in DEVELOPMENT:
            packages.setdefault(extra, [])
            if name != "earmark":
                packages[extra].append(name)
    for extra, names in sorted(packages.items()):
        absent = [name for name in names if _installed(name) is None]
        if absent:
            yield Finding("missing", extra, f"{', '.join(absent)}; run `pip install 'earmark[{extra}]'`")
        else:
            yield Finding("ok", extra)


def _cache() -> Finding:
    from earmark.codec.checkpoints.downloads import cache_folder

    folder = cache_folder()
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return Finding("ok", "cache", str(folder))
    except OSError as error:
        reason = error.strerror or str(error)
        return Finding("broken", "cache", f"{folder}: {reason}; set EARMARK_CACHE to a folder that you can write")


def _gpu() -> Finding:
    if find_spec("torch") is None:
        return Finding("missing", "GPU", "not looked for without PyTorch; run `pip install 'earmark[encodec]'`")
    import torch

    if torch.cuda.is_available():
        return Finding("ok", torch.cuda.get_device_name(0), f"(CUDA {torch.version.cuda})")
    if torch.backends.mps.is_available():
        return Finding("ok", "GPU of Apple", "(mps)")
    return Finding("missing", "GPU", "PyTorch finds none; training runs on the CPU")


def _codecs() -> Iterator[Finding]:
    from earmark.baselines.registry import families

    for name, family in families().items():
        reason = family.unavailable()
        yield Finding("missing" if reason else "ok", name, (reason or "").removeprefix(f"{name}: "))


def _metrics() -> Iterator[Finding]:
    from earmark.eval.metrics import registry

    for name, metric in registry.registered().items():
        reason = metric.available()
        yield Finding("missing" if reason else "ok", name, (reason or "").removeprefix("unavailable: "))


def _weights() -> Iterator[Finding]:
    from earmark.baselines import lyra
    from earmark.codec.checkpoints import downloads

    here = {name: downloads.is_cached(name) for name in downloads.OFFICIAL_FILES} | {"lyra_v2": lyra.is_downloaded()}
    for name, present in here.items():
        remedy = f"not downloaded; run `earmark download {name}`"
        yield Finding("ok" if present else "missing", name, "" if present else remedy)
