"""The built wheel, installed without the repository and PyTorch, beside packages named like our folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from earmark.codec.audio import write

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("earmark", "codec", "baselines", "eval", "mushra_app")
LIGHT_INSTALL_LACKS = ("torch", "functorch", "torchgen", "visqol", "pesq", "transformers", "onnxruntime")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for name in SOURCES:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(tree / "dist"), str(tree)], check=True)
    return next((tree / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def light(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment that has the wheel and what it requires: links to the packages that lie here."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for installed in map(Path, sys.path):
        if installed.name == "site-packages":
            for package in installed.iterdir():
                ours = "earmark" in package.name or package.suffix == ".pth"
                if not ours and not package.name.startswith(LIGHT_INSTALL_LACKS) and not (site / package.name).exists():
                    (site / package.name).symlink_to(package)
    return folder / "bin" / "python"


@pytest.fixture
def run(light: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python in a folder whose own codec, eval and baselines cannot be imported."""
    for name in ("codec", "eval", "baselines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the package of the user')\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [light, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    time = np.arange(24000) / 24000
    for name, pitch in (("low", 220.0), ("high", 440.0)):
        chirp = np.sin(2 * np.pi * (pitch * time + 300 * time**2)).astype(np.float32)
        folder = tmp_path / "clips" / "music"
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f"{name}.wav", 0.3 * chirp[np.newaxis], 24000)
    return tmp_path / "clips"


def test_the_wheel_brings_one_top_level_name(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith("top_level.txt"))
        assert archive.read(metadata).decode().split() == ["earmark"]
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"earmark"}


def test_the_wheel_has_every_file_that_is_no_test(wheel: Path):
    listed = subprocess.run(["git", "ls-files", *SOURCES], cwd=ROOT, capture_output=True, text=True, check=True)
    expected = {name if name.startswith("earmark/") else f"earmark/{name}" for name in listed.stdout.split()}
    with zipfile.ZipFile(wheel) as archive:
        assert expected <= set(archive.namelist())


def test_the_command_lists_the_codecs_and_says_how_to_get_the_others(run):
    done = run("-m", "earmark", "systems")
    assert done.returncode == 0, done.stderr
    assert "pip install 'earmark[encodec]'" in " ".join(done.stdout.split())


def test_conventional_codecs_are_compared_without_torch(run, clips: Path):
    done = run(
        "-m", "earmark", "compare", str(clips), "--systems", "opus@12,mp3@64", "--metrics", "si_snr", "--out", "run"
    )
    assert done.returncode == 0, done.stderr
    assert (clips.parent / "run" / "report.html").is_file()


def test_arrays_are_scored_without_torch(run):
    program = (
        "import earmark, numpy as np\n"
        "x = np.random.default_rng(0).normal(0, 0.1, 16000).astype('f4')\n"
        "noise = np.roll(x, 4000)\n"
        "noise -= (noise @ x) / (x @ x) * x\n"
        "print(earmark.score(x, x + noise * np.linalg.norm(x) / np.linalg.norm(noise) / 10, 16000)['si_snr'].value)\n"
    )
    done = run("-c", program)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(20, abs=0.05)  # a tenth of the amplitude, orthogonal to the signal


def test_a_neural_codec_without_torch_is_one_line_with_the_command(run, clips: Path):
    done = run("-m", "earmark", "compare", str(clips), "--systems", "encodec_24khz@3", "--out", "run")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'earmark[encodec]'" in done.stderr
