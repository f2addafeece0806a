"""The structure of the package: imports run one way, without cycles, lazy imports and those for types included."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("codec", "baselines", "eval", "mushra_app", "earmark")  # each may import itself and those before it


def _modules() -> dict[str, Path]:
    """Every module by its name below `earmark`: codec.audio.files, eval.options, earmark.cli."""
    names = {}
    for layer in LAYERS:
        for path in (ROOT / layer).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            names[".".join(parts).removesuffix(".__init__")] = path
    return names


MODULES = _modules()


def _short(name: str) -> str:
    """Name of a module as in MODULES: `earmark.codec.errors` is codec.errors, `earmark.cli` is itself."""
    inner = name.removeprefix("earmark.")
    return inner if inner.partition(".")[0] in LAYERS else name


def _imports(path: Path) -> Iterator[str]:
    """Modules of ours that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path}: write imports with the full name"
            for alias in node.names:
                inner = _short(f"{node.module}.{alias.name}")
                name = inner if inner in MODULES else _short(node.module)
                if name in MODULES:
                    yield name
        elif isinstance(node, ast.Import):
            yield from (name for alias in node.names if (name := _short(alias.name)) in MODULES)


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """The modules that each module imports."""
    return {name: {target for target in _imports(path) if target != name} for name, path in MODULES.items()}


def _box(name: str) -> str:
    """The module, or the folder that holds it, directly below a source folder: codec.audio, eval.options."""
    return ".".join(name.split(".")[:2])


def _boxes(graph: dict[str, set[str]], layer: str) -> dict[str, set[str]]:
    """Imports between the modules and folders directly below a source folder."""
    boxes: dict[str, set[str]] = {}
    for name, targets in graph.items():
        if name.startswith(f"{layer}."):
            inside = {_box(target) for target in targets if target.startswith(f"{layer}.")}
            boxes.setdefault(_box(name), set()).update(inside - {_box(name)})
    return boxes


def _require_no_cycle(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(reversed(error.args[1]))}")


def test_modules_are_found(graph: dict[str, set[str]]):
    assert {"codec.errors", "baselines.opus", "eval.metrics.si_snr", "mushra_app.web", "earmark.cli"} <= MODULES.keys()
    assert "codec.errors" in graph["codec.files"]


def test_no_module_imports_itself_through_others(graph: dict[str, set[str]]):
    _require_no_cycle(graph)


@pytest.mark.parametrize("layer", LAYERS)
def test_no_folder_imports_itself_through_others(graph: dict[str, set[str]], layer: str):
    _require_no_cycle(_boxes(graph, layer))


def test_imports_run_one_way(graph: dict[str, set[str]]):
    uphill = [
        f"{name} -> {target}"
        for name, targets in graph.items()
        for target in targets
        if LAYERS.index(target.partition(".")[0]) > LAYERS.index(name.partition(".")[0])
    ]
    assert uphill == []


def test_every_module_is_imported_by_its_installed_name():
    """`import codec` would find whatever lies in the user's folder."""
    for path in (*MODULES.values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            assert not {name.partition(".")[0] for name in names} & set(LAYERS[:-1]), path


@pytest.mark.parametrize("program", ["import earmark", "import earmark.cli"])
def test_importing_the_package_loads_no_heavy_library(program: str):
    heavy = {"torch", "flask", "pandas", "matplotlib", "numpy", "scipy"}
    code = f"{program}; import sys; print(*{heavy!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_importing_codec_leaves_the_environment_alone():
    """torch, OpenMP and others read it once, so a library that changes it changes its user's whole program."""
    modules = [f"earmark.{name}" for name in MODULES if name.startswith("codec.")]
    program = (
        "import importlib, os, torch\nbefore = dict(os.environ)\n"
        f"for name in {modules}: importlib.import_module(name)\n"
        "assert dict(os.environ) == before, set(os.environ.items()) ^ set(before.items())"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
