"""Metrics of others: `register_metric`, the entry points of installed packages, and their way to worker processes."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from earmark.baselines.systems import parse
from earmark.cli import cli
from earmark.codec.errors import UserError
from earmark.eval.comparison import runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.metrics import registry, transport
from earmark.eval.metrics.interface import Score
from earmark.eval.metrics.registry import find, register_metric
from earmark.eval.scoring import score

MODULE = '''
"""A module of the user's, with a metric."""
import numpy as np


def level_gap(reference, decoded):
    """Difference of the levels in dB."""
    return 20 * abs(np.log10(reference.std() / decoded.std()))
'''


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch):
    """Metrics that a test registers end with it."""
    monkeypatch.setattr(registry, "_METRICS", registry.registered())


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Make a module that worker processes can import, too: theirs(code)."""

    def write(code: str) -> ModuleType:
        (tmp_path / "lib").mkdir()
        (tmp_path / "lib" / "their_metrics.py").write_text(textwrap.dedent(code))
        monkeypatch.syspath_prepend(tmp_path / "lib")
        monkeypatch.delitem(__import__("sys").modules, "their_metrics", raising=False)
        return importlib.import_module("their_metrics")

    return write


def half(reference: np.ndarray, decoded: np.ndarray) -> float:
    return 0.5


def noise(channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((channels, 4800))


def test_a_registered_metric_scores_like_any_other():
    shapes = []

    def peak_ratio(reference: np.ndarray, decoded: np.ndarray) -> float:
        shapes.append(reference.shape)
        return np.abs(decoded).max() / np.abs(reference).max()

    metric = register_metric("peak_ratio", peak_ratio, unit="x", better="lower", sample_rate=16000, channels="all")
    assert find("peak_ratio") is metric
    assert (metric.title, metric.unit, metric.better, metric.input_format) == (
        "peak_ratio", "x", "lower", "at 16 kHz, all channels",
    )  # fmt: skip
    answer = score(noise(2), 0.5 * noise(2), 48000, ["peak_ratio"])["peak_ratio"]
    assert answer == Score(pytest.approx(0.5, abs=1e-3))
    assert shapes == [(2, 1600)]


def test_what_a_function_raises_or_returns_instead_of_a_number_is_the_reason():
    register_metric("nothing", lambda reference, decoded: None)
    register_metric("nan", lambda reference, decoded: float("nan"))
    scores = score(noise(), 2 * noise(), 48000, ["nothing", "nan"])
    assert scores["nothing"].status == "error"
    assert scores["nothing"].reason.startswith("TypeError: ")
    assert scores["nan"] == Score(None, "error", "nan returned nan")


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("level gap", {}, "'level gap' is not a name"),
        (3, {}, "3 is not a name"),
        ("si_snr", {}, "there is a metric 'si_snr' already; choose another name"),
        ("visqol", {}, "there is a metric 'visqol' already"),
        ("gap", {"function": 3}, "gap needs a function of two arrays, not int"),
        ("gap", {"better": "more"}, "better='more' of gap is not one of higher, lower"),
        ("gap", {"channels": 2}, "channels=2 of gap is not one of mono, all"),
        ("gap", {"sample_rate": 16e3}, "sample_rate=16000.0 of gap is not a rate in Hz"),
    ],
)
def test_a_mistake_is_one_line(name, changes, says):
    with pytest.raises(UserError, match=f"^register_metric: {says}") as caught:
        register_metric(name, **({"function": half} | changes))
    assert "\n" not in str(caught.value)


def test_a_function_may_be_registered_again_but_takes_no_other_ones_name(theirs):
    """A notebook runs a cell again; a second package must not replace the metric of the first."""
    first = register_metric("gap", half)
    again = register_metric("gap", half, unit="dB", version="2")
    assert find("gap") is again
    assert first.version() != again.version() == "2"
    with pytest.raises(UserError, match="there is a metric 'gap' already"):
        register_metric("gap", theirs(MODULE).level_gap)


def test_the_version_follows_the_source_code(theirs):
    module = theirs(MODULE)
    version = register_metric("level_gap", module.level_gap).version()
    Path(module.__file__).write_text(MODULE.replace("20 *", "10 *"))
    importlib.invalidate_caches()
    assert register_metric("level_gap", importlib.reload(module).level_gap).version() != version


class Entry:
    """An entry point of the group earmark.metrics."""

    def __init__(self, name: str, load: Callable[[], object]) -> None:
        self.name, self.value, self.load = name, f"their_package:{name}", load


def entry_points(monkeypatch: pytest.MonkeyPatch, *entries: Entry) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: entries if group == "earmark.metrics" else [])
    registry._load_entry_points.__wrapped__()  # the cache has what is installed


def missing() -> object:
    raise ImportError("No module named 'their_dependency'\nand more")


def test_packages_add_metrics_and_a_broken_one_does_not_affect_them(monkeypatch, theirs):
    module = theirs(MODULE)
    entry_points(
        monkeypatch,
        Entry("broken", missing),
        Entry("level_gap", lambda: register_metric("level_gap", module.level_gap, unit="dB", better="lower")),
        Entry("plain", lambda: half),
        Entry("misnamed", lambda: register_metric("other", half)),
        Entry("si_snr", lambda: half),
    )
    scores = score(noise(), 0.1 * noise(), 48000, ["level_gap", "plain", "broken"])
    assert scores["level_gap"].value == pytest.approx(20, abs=1e-4)
    assert scores["plain"].value == 0.5
    assert scores["broken"] == Score(
        None, "error",
        "unavailable: its entry point their_package:broken does not load (ImportError: No module named "
        "'their_dependency'); install what it lacks, or uninstall its package",
    )  # fmt: skip
    assert "registers 'other'" in find("misnamed").available()
    assert find("si_snr").title == "SI-SNR"
    listing = CliRunner().invoke(cli, ["metrics", "--format", "csv"])
    assert listing.exit_code == 0
    assert "level_gap" in listing.output
    assert "No module named 'their_dependency'" in CliRunner().invoke(cli, ["metrics"]).output


def plan(corpus_dir: Path, run: Path, *metrics: str) -> runner.Plan:
    return runner.Plan(
        audio_dir=corpus_dir, systems=(parse("opus@12"),), metrics=metrics, run=run, format=ReferenceFormat(),
        speech=SPEECH_PATTERNS, jobs=2, command="",
    )  # fmt: skip


def test_worker_processes_get_registered_metrics(corpus_dir, tmp_path, theirs):
    register_metric("level_gap", theirs(MODULE).level_gap, unit="dB", better="lower")
    result = runner.run(plan(corpus_dir, tmp_path / "run", "level_gap", "si_snr"))
    assert (result.scores["status"] == "ok").all()
    assert result.info["metric_versions"]["level_gap"] == find("level_gap").version()


def test_a_metric_of_a_script_reaches_the_worker_processes(corpus_dir, tmp_path):
    """Workers do not run the script, and its functions belong to __main__ there."""
    script = tmp_path / "script.py"
    script.write_text(
        f"import earmark\n{MODULE}\n"
        "earmark.register_metric('level_gap', level_gap, unit='dB', better='lower')\n"
        f"run = earmark.compare({str(corpus_dir)!r}, ['opus@12'], metrics=['level_gap'], out='run', jobs=1)\n"
        "print(*set(run.scores['status']))\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ok"]


def test_a_function_that_cannot_be_sent_is_refused_before_the_run(corpus_dir, tmp_path):
    lock = threading.Lock()
    register_metric("local", lambda reference, decoded: float(lock.locked()))
    with pytest.raises(UserError, match=r"--metrics local: its function cannot be sent to worker .*top level"):
        runner.run(plan(corpus_dir, tmp_path / "run", "local"))
    assert not (tmp_path / "run").exists()


def test_a_package_that_a_machine_lacks_is_named(theirs):
    register_metric("level_gap", theirs(MODULE).level_gap)
    packed = transport.pack(["level_gap", "si_snr"])
    (metric,) = transport.unpack(packed).values()
    assert (metric.name, metric.version()) == ("level_gap", find("level_gap").version())
    with pytest.raises(UserError, match=r"a worker process cannot import a metric \(.*their_metric"):
        transport.unpack(packed.replace(b"their_metrics", b"their_metrica"))
    assert transport.pack(["si_snr", "visqol"]) == b""
