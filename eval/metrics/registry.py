"""The registry of metrics: Earmark's own, those of installed packages, and those that the user registers.

A package adds metrics by the entry-point group ``earmark.metrics``. An entry has the name of the metric and refers to
what `register_metric` returned, or to a plain function of two arrays.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points
from importlib.metadata import version as installed_version
from typing import Any

from earmark.codec.errors import UserError
from earmark.codec.extras import Extra, missing
from earmark.codec.suggestions import did_you_mean, same
from earmark.codec.text import split_list
from earmark.eval.metrics.command_options import command_metric
from earmark.eval.metrics.external import described
from earmark.eval.metrics.interface import UNAVAILABLE, Better, Channels, Function, Metric, Score, failed
from earmark.eval.metrics.remembered import remembered

GROUP = "earmark.metrics"
ALL = "all"  # as a name: every metric that can run here
MODULES = ("si_snr", "si_sdr", "visqol", "pesq", "stoi", "spectral", "loudness", "dnsmos")  # under eval.metrics
# `visqol` is the metric a reader expects for the category: speech mode for speech, audio mode for the rest.
BY_CATEGORY = {"visqol": ("visqol_speech", "visqol_audio")}

_METRICS: dict[str, Metric] = {}


def metric(
    *,
    name: str,
    title: str,
    source: str,
    licence: str,
    unit: str = "",
    better: Better = "higher",
    value_range: str = "",
    sample_rate: int | None = None,
    channels: Channels = "mono",
    version: Callable[[], str] = lambda: "1",
    available: Callable[[], str | None] = lambda: None,
    needs_reference: bool = True,
    takes_rate: bool = False,
    speech_only: bool = False,
    imports: tuple[str, ...] = (),
) -> Callable[[Function], Function]:
    """Register the decorated function as one of Earmark's own metrics; see `Metric` for the arguments."""

    def register(function: Function) -> Function:
        _METRICS[name] = Metric(
            name, title, unit, better, value_range, function, sample_rate, channels, version, available,
            source, licence, takes_rate=takes_rate, needs_reference=needs_reference, speech_only=speech_only,
            imports=imports,
        )  # fmt: skip
        return function

    return register


@functools.cache
def library(distribution: str) -> str:
    """Name and version of an installed library, "pystoi 0.4.1"; the `version` of a metric that a library computes."""
    try:
        return f"{distribution} {installed_version(distribution)}"
    except PackageNotFoundError:
        return f"{distribution} missing"


def needs(*modules: str, extra: Extra) -> Callable[[], str | None]:
    """The `available` of a metric computed by modules that an extra of Earmark installs."""

    def reason() -> str | None:
        absent = missing(*modules, extra=extra)
        return None if absent is None else f"{UNAVAILABLE} {absent}"

    return reason


def registered() -> dict[str, Metric]:
    """All metrics by name: Earmark's own first, then the others in order of registration."""
    _load_own()
    _load_entry_points()
    return dict(_METRICS)


def names(requested: Iterable[str]) -> tuple[str, ...]:
    """The metrics that a user requests, by their exact names; "all" stands for every metric that can run here.

    Raises:
        UserError: there is no such metric.
    """
    result: list[str] = []
    for name in requested:
        if name.casefold() == ALL:
            modes = {mode for pair in BY_CATEGORY.values() for mode in pair}
            single = [metric.name for metric in registered().values() if metric.name not in modes]
            result += [other for other in [*BY_CATEGORY, *single] if find(other).available() is None]
        else:
            result.append(_exact(name))
    return tuple(dict.fromkeys(result))


def names_of(metrics: str | Iterable[str | Metric | Function]) -> tuple[str, ...]:
    """Names of the metrics that a Python caller gives.

    Args:
        metrics: a comma-separated list; or names, registered metrics, and functions, which are registered under their
            own names.

    Raises:
        UserError: there is no such metric, or a function's name belongs to another metric.
    """
    given: list[str] = []
    for one in split_list(metrics) if isinstance(metrics, str) else metrics:
        if isinstance(one, Metric):
            if registered().get(one.name) != one:
                add(one)
            given.append(one.name)
        elif isinstance(one, str):
            given.append(one)
        else:
            given.append(register_metric(getattr(one, "__name__", type(one).__name__), one).name)
    return names(given)


def _exact(name: str) -> str:
    known = [*BY_CATEGORY, *registered(), *remembered()]
    exact = same(name, known)
    if exact is None:
        hint = did_you_mean(name, known) or "; `earmark metrics` lists the metrics"
        raise UserError(f"--metrics: there is no metric {name!r}{hint}")
    return exact


def find(name: str, *, speech: bool = False) -> Metric:
    """Look up a metric; for a metric with modes, `speech` selects the mode.

    A metric that a run got from its user, and that is not defined here, is known by its description alone.

    Raises:
        UserError: there is no such metric.
    """
    exact = _exact(name)
    own = registered()
    chosen = BY_CATEGORY[exact][0 if speech else 1] if exact in BY_CATEGORY else exact
    return own[chosen] if chosen in own else remembered()[chosen]


def register_metric(
    name: str,
    function: Function | str,
    *,
    unit: str = "",
    better: Better = "higher",
    sample_rate: int | None = None,
    channels: Channels = "mono",
    title: str | None = None,
    value_range: str = "",
    version: str | None = None,
    source: str = "",
    licence: str = "",
    needs_reference: bool = True,
) -> Metric:
    """Add a metric of your own, so that `earmark.score`, `earmark.compare` and the reports know it by its name.

    Worker processes of `earmark.compare` receive the function with each task. A function of a notebook or script is
    sent by value, one of a module by name, so that workers must be able to import the module.

    Args:
        name: identifier of the metric, e.g. "level_gap".
        function: takes the reference and the decoded signal, NumPy arrays of float32 and of equal shape: [time] if
            `channels` is "mono", [channels, time] if it is "all"; and their rate in Hz if it has a parameter
            `sample_rate`. Returns the score as a number. Silent signals and NaN samples never reach it; an exception
            or a NaN becomes a score with status "error". Or a command, "polqa {reference} {decoded}", which gets two
            WAV files and prints the score; its identity includes the content of the program.
        unit: unit of the score, e.g. "dB".
        better: which scores are better, "higher" or "lower".
        sample_rate: rate in Hz to which both signals are resampled first; default: the recording's own.
        channels: "mono" averages the channels first, "all" passes them on.
        title: name in tables and reports; default: `name`.
        value_range: possible values in words, e.g. "0 to 1".
        version: has to change whenever the results change, as a run keeps the scores it has. Default: a hash of the
            function's source code, which covers other functions that it calls in a notebook or script only.
        source: publication that defines the metric.
        licence: licence of its code.
        needs_reference: False for a function that ignores the reference.

    Returns:
        The registered metric. A package that declares the entry point
        ``level_gap = "my_package.metrics:LEVEL_GAP"`` in the group ``earmark.metrics`` refers to it.

    Raises:
        UserError: an argument is not valid, or the name belongs to another metric.
    """
    about: dict[str, Any] = {
        "unit": unit, "better": better, "sample_rate": sample_rate, "channels": channels, "title": title,
        "value_range": value_range, "source": source, "licence": licence,
    }  # fmt: skip
    if isinstance(function, str):
        new = command_metric(name, function, label="register_metric:", **about)
    else:
        new = described("register_metric:", name, function, version=version, needs_reference=needs_reference, **about)
    add(new)
    return new


def add(new: Metric, label: str = "register_metric:") -> None:
    """Add an external metric; replaces an earlier version of the same function, as a notebook runs a cell again.

    Args:
        label: how the message begins.

    Raises:
        UserError: its name belongs to another metric.
    """
    _load_own()
    known = _METRICS.get(new.name)
    if new.name in BY_CATEGORY or (known is not None and not (known.external and _origin(known) == _origin(new))):
        raise UserError(f"{label} there is a metric {new.name!r} already; choose another name")
    _METRICS[new.name] = new


def _origin(chosen: Metric) -> tuple[str, str]:
    """Module and name of a metric's function."""
    function = chosen.function
    definition = function if hasattr(function, "__qualname__") else type(function)
    return definition.__module__, definition.__qualname__


@functools.cache
def _load_own() -> None:
    for module in MODULES:
        importlib.import_module(f"earmark.eval.metrics.{module}")


@functools.cache
def _load_entry_points() -> None:
    """Add the metrics of installed packages; one that does not load is listed with the reason."""
    for entry in entry_points(group=GROUP):
        try:
            target = entry.load()
            new = target if isinstance(target, Metric) else register_metric(entry.name, target)
            if new.name != entry.name:
                raise UserError(f"it registers {new.name!r}")
        except Exception as error:  # third-party code may raise anything, and must not affect other metrics
            _METRICS.setdefault(entry.name, _broken(entry, error))


def _broken(entry: EntryPoint, error: Exception) -> Metric:
    """Stands for a metric whose entry point does not load."""
    first_line = (str(error).splitlines() or [""])[0]
    reason = (
        f"{UNAVAILABLE} its entry point {entry.value} does not load ({type(error).__name__}: {first_line}); install "
        "what it lacks, or uninstall its package"
    )

    def refuse(reference: object, decoded: object) -> Score:
        return failed(reason)

    return Metric(
        entry.name, entry.name, "", "higher", "", refuse, None, "mono", lambda: "", lambda: reason, "", "",
        external=True,
    )  # fmt: skip
