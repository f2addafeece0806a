"""Identity of the codec of a system: the content of what its command names, its package, or the user's word."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from earmark.baselines import identity, program_files, registry
from earmark.baselines.commands import read_command
from earmark.baselines.interface import System
from earmark.baselines.systems import parse

sys.path.append(str(Path(__file__).parent))
from registered_codecs import HalvedFamily


def system(command: str) -> System:
    return parse("mine", {"mine": read_command(f"mine={command}")})


@pytest.mark.parametrize(
    "command",
    [
        "python3 {script} {{input}} {{bitstream}} && cp {{bitstream}} {{output}}",
        "cp {{input}} {{bitstream}} && python3 {script} {{bitstream}} {{output}}",
        "enc --model={script} {{input}} {{bitstream}} && cp {{bitstream}} {{output}}",
        "cd {folder}; python3 model.py {{input}} {{bitstream}} && cp {{bitstream}} {{output}}",
        "sh -c 'python3 {script} $0 $1' {{input}} {{bitstream}} && cp {{bitstream}} {{output}}",
        "python3 -c 'run(\"{script}\")' {{input}} {{bitstream}} && cp {{bitstream}} {{output}}",
        "D={folder}; python3 $D/model.py {{input}} {{bitstream}} && cp {{bitstream}} {{output}}",
        "enc --models {folder} {{input}} {{bitstream}} && cp {{bitstream}} {{output}}",
        "mycodec {{input}} {{bitstream}} && cp {{bitstream}} {{output}}",
    ],
)  # fmt: skip
def test_the_content_of_what_a_command_names_identifies_it(tmp_path, monkeypatch, command):
    folder = tmp_path / "codec"
    folder.mkdir()
    for name in ("model.py", "mycodec"):
        (folder / name).write_text("GAIN = 1\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    one = system(command.format(script=folder / "model.py", folder=folder))
    before, parts = identity.version_of(one), identity.parts_of(one)
    assert identity.version_of(one) == before
    (folder / ("mycodec" if command.startswith("mycodec") else "model.py")).write_text("GAIN = 2\n")
    assert identity.version_of(one) != before
    assert [name for name, content in identity.parts_of(one).items() if parts[name] != content]


def test_a_folder_that_others_write_to_does_not_identify_a_command(tmp_path):
    assert program_files.folders("TMPDIR=/tmp enc {input}") == {}
    assert list(program_files.folders(f"enc --model {tmp_path}")) == [str(tmp_path)]


def test_a_folder_may_change_while_a_codec_runs(tmp_path):
    one = system(f"enc --log {tmp_path} {{input}} {{bitstream}} && cp {{bitstream}} {{output}}")
    before = identity.version_of(one), identity.lasting_version(one)
    (tmp_path / "log").write_text("coded\n")
    assert identity.version_of(one) != before[0]
    assert identity.lasting_version(one) == before[1]


def test_the_user_s_version_stands_for_all_files(tmp_path):
    script = tmp_path / "enc"
    script.write_text("1")
    one = replace(system(f"{script} {{input}} {{bitstream}} && cp {{bitstream}} {{output}}"), identity="7")
    assert identity.version_of(one) == "given 7"
    script.write_text("2")
    assert identity.version_of(one) == "given 7"


@pytest.mark.parametrize("layout", ["package", "module"])
def test_the_version_and_files_of_a_package_identify_its_codec(tmp_path, monkeypatch, layout):
    """The family says version "1", whatever its code."""

    def version(distribution: str) -> str:
        identity._package_of.cache_clear()
        monkeypatch.setattr(identity, "distribution_of", lambda name: distribution)
        return identity.version_of(one)

    file = tmp_path / "acme" / "__init__.py" if layout == "package" else tmp_path / "acme.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text("GAIN = 1\n")
    module = ModuleType("acme")
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, "acme", module)
    family = type("AcmeFamily", (HalvedFamily,), {"__module__": "acme.codec"})()
    monkeypatch.setattr(registry, "installed", lambda: {"halved": family})
    one = System("halved", "halved", None, {})
    versions = [version("acme 1.0"), version("acme 1.1")]
    file.write_text("GAIN = 2\n")
    versions.append(version("acme 1.1"))
    assert len(set(versions)) == 3
    assert versions[0].startswith("1, package acme 1.0, file")
    identity._package_of.cache_clear()


def test_a_codec_knows_the_package_of_its_entry_point(monkeypatch):
    entry = SimpleNamespace(name="halved", dist=SimpleNamespace(name="acme", version="1.0"))
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    registry.distribution_of.cache_clear()
    assert registry.distribution_of("halved") == "acme 1.0"
    registry.distribution_of.cache_clear()


def test_codecs_of_earmark_have_the_versions_they_had():
    one = parse("opus@12")
    assert identity.version_of(one) == registry.family_of(one).version(one)
    assert identity.parts_of(one) == {}
