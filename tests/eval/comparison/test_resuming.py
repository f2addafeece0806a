"""A finished run is recognised without reading its audio: on disk by size and times, at a URL by listings."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from earmark.baselines.systems import parse_list
from earmark.codec.remote_paths import path_or_url
from earmark.eval.comparison import records, runner, stamps
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.comparison.run_folder import STAMPS, audio_path

pytestmark = pytest.mark.filterwarnings("ignore:UPath .counted. filesystem not explicitly implemented")
REQUESTS: Counter[str] = Counter()


def plan_of(audio_dir: Path, run: Path) -> runner.Plan:
    return runner.Plan(
        audio_dir=audio_dir, systems=tuple(parse_list("anchor@3.5k,anchor@7k")), metrics=("si_snr",), run=run,
        format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=0, command="earmark compare",
    )  # fmt: skip


@pytest.fixture
def computed(corpus_dir, tmp_path):
    """A finished run on disk."""
    plan = plan_of(corpus_dir, tmp_path / "run")
    assert runner.run(plan).computed == 6
    return plan


@pytest.fixture
def stamped(monkeypatch):
    """The decoded files of which a stamp is computed."""
    paths: list[str] = []
    original = stamps.stamp

    def counting(path: Path) -> str:
        paths.append(path.name)
        return original(path)

    monkeypatch.setattr(stamps, "stamp", counting)
    return paths


def test_an_unchanged_file_is_not_read(computed, stamped):
    assert not runner.run(computed).changed
    assert stamped == []


def test_a_touched_file_is_read_and_not_computed_again(computed, stamped):
    path = audio_path(computed.run, "anchor@7k", "speech/a.wav")
    os.utime(path, ns=(1, 1))
    assert runner.run(computed).computed == 0
    assert stamped == ["a.wav"]
    assert runner.run(computed).computed == 0
    assert stamped == ["a.wav"]


def test_a_file_of_the_same_size_and_time_is_found_to_be_another(computed, stamped):
    """No program can set the time of the last change of metadata back."""
    path = audio_path(computed.run, "anchor@7k", "speech/a.wav")
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert runner.run(computed).computed == 1


@pytest.mark.parametrize("content", [None, b"no table"])
def test_a_run_without_stored_stamps_reads_its_files(computed, stamped, content):
    (computed.run / STAMPS).unlink()
    if content is not None:
        (computed.run / STAMPS).write_bytes(content)
    assert runner.run(computed).computed == 0
    assert len(stamped) == 9  # 3 recordings in 2 systems and as they were scored
    assert runner.run(computed).computed == 0
    assert len(stamped) == 9


@pytest.fixture
def store():
    """A store that tells an ETag as S3 does, lists 1000 files by one request, and counts its requests."""
    fsspec = pytest.importorskip("fsspec")
    pytest.importorskip("upath")
    from fsspec.implementations.memory import MemoryFileSystem

    class Store(MemoryFileSystem):
        protocol = "counted"
        store: dict = {}  # noqa: RUF012 - fsspec's own form: shared by all instances
        pseudo_dirs = [""]  # noqa: RUF012

        @classmethod
        def _strip_protocol(cls, path):
            return super()._strip_protocol(path.replace("counted://", "memory://", 1))

        def info(self, path, **options):
            REQUESTS["info"] += 1
            return super().info(path, **options)

        def ls(self, path, detail=True, **options):
            REQUESTS["ls"] += 1
            return super().ls(path, detail=detail, **options)

        def find(self, path, maxdepth=None, withdirs=False, detail=False, **options):
            REQUESTS["find"] += 1
            start = f"{self._strip_protocol(path)}/"
            found = {
                name: {"name": name, "size": len(file.getvalue()), "ETag": f"{hash(file.getvalue()):x}",
                       "LastModified": datetime(2026, 1, 1, tzinfo=UTC), "type": "file"}
                for name, file in sorted(self.store.items()) if name.startswith(start)
            }  # fmt: skip
            return found if detail else list(found)

        def _open(self, path, mode="rb", **options):
            REQUESTS[f"open {Path(path).suffix}" if "r" in mode else "write"] += 1
            return super()._open(path, mode, **options)

    fsspec.register_implementation("counted", Store, clobber=True)
    yield Store
    Store.store.clear()


def test_requests_to_a_store_do_not_grow_with_the_number_of_recordings(store, corpus_dir, monkeypatch):
    """Recordings and decoded files are known from listings, and none of them is opened or asked for."""
    monkeypatch.setattr(records, "SHORTEST", 1e9)  # one file of records, however slow the machine is
    counts = []
    for copies in (1, 5):
        for number in range(copies):
            for path in sorted(corpus_dir.rglob("*.wav")):
                target = path_or_url("counted://clips") / f"{path.parent.name}/{number}{path.name}"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
        plan = plan_of(path_or_url("counted://clips"), path_or_url(f"counted://run{copies}"))
        assert runner.run(plan).computed == 6 * copies
        REQUESTS.clear()
        again = runner.run(plan)
        assert (again.computed, again.changed) == (0, False)
        assert REQUESTS["open .wav"] == 0
        counts.append(dict(REQUESTS))
    assert counts[0] == counts[1]
    assert counts[0]["find"] == 3  # recordings, decoded files and records


def test_a_recording_and_a_decoded_file_replaced_in_a_store_are_noticed(store, corpus_dir):
    root, run = path_or_url("counted://clips"), path_or_url("counted://run")
    (root / "speech").mkdir(parents=True)
    for name, path in zip("ab", sorted(corpus_dir.rglob("*.wav")), strict=False):
        (root / "speech" / f"{name}.wav").write_bytes(path.read_bytes())
    plan = plan_of(root, run)
    runner.run(plan)
    decoded = run / "audio" / "anchor@7k" / "speech" / "a.wav"
    decoded.write_bytes(decoded.read_bytes()[:-4] + b"\x01\x02\x03\x04")  # of the same size
    assert runner.run(plan).computed == 1
    (root / "speech" / "b.wav").write_bytes((root / "speech" / "a.wav").read_bytes())
    assert runner.run(plan).computed == 2
