"""Identity of the codec of a system: results hold for one codec, and a rebuilt codec is another one."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from pathlib import Path

from earmark.baselines import program_files
from earmark.baselines.interface import Family, System
from earmark.baselines.registry import BUILT_IN, distribution_of, family_of


def version_of(system: System) -> str:
    """Version of a system's codec, part of the key of each of its results.

    It is the user's own if there is one. Otherwise it is that of the codec, for one of an installed package with the
    version of the package and a hash of its files, and with a hash of the folders that a command names.
    """
    folders = family_of(system).folders(system) if system.identity is None else {}
    content = f", folders {hashlib.sha256(repr(folders).encode()).hexdigest()[:16]}" if folders else ""
    return lasting_version(system) + content


def lasting_version(system: System) -> str:
    """The part of `version_of` that stays while a codec runs; programs may write to folders."""
    if system.identity is not None:
        return f"given {system.identity}"
    family = family_of(system)
    return ", ".join([family.version(system), *(f"{name} {value}" for name, value in _package(family, system).items())])


def parts_of(system: System) -> dict[str, str]:
    """The programs, files, folders and packages that `version_of` sums up -> hash or version of each."""
    if system.identity is not None:
        return {}
    family = family_of(system)
    return {**family.parts(system), **family.folders(system), **_package(family, system)}


def _package(family: Family, system: System) -> dict[str, str]:
    """Version and content of the installed package that a codec comes from; {} for other codecs."""
    if system.own is not None or system.family in BUILT_IN:
        return {}
    return _package_of(type(family).__module__, distribution_of(system.family))


@functools.cache  # a process has loaded the modules, and does not see later changes
def _package_of(module: str, distribution: str | None) -> dict[str, str]:
    found = {"package": distribution} if distribution else {}
    package = sys.modules.get(module.partition(".")[0])
    file = None if package is None else _file(package)
    if file is None:
        return found
    if file.name == "__init__.py":
        return {**found, f"files of {file.parent.name}": program_files.folder_content(file.parent)}
    return {**found, f"file {file.name}": program_files.file_content(file)[:16]}


def _file(module: object) -> Path | None:
    try:
        return Path(inspect.getfile(module))  # type: ignore[arg-type]
    except TypeError:  # a namespace package, or one that is built in
        return None
