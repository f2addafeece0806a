"""The script that trains a leg of the bundled model on a GPU that is lent for minutes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .markdown import ROOT


def test_a_leg_on_a_lent_gpu_gives_back_parts_that_join(tmp_path: Path):
    """The training is a stand-in that writes a state of 31 MB and ends with 130, as one that is interrupted."""
    (tmp_path / "shards" / "part-0").mkdir(parents=True)
    stand_in = tmp_path / "earmark"
    stand_in.write_text(
        '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\nmkdir -p "$2"\necho one update > "$2/log.jsonl"\n'
        'seq 4500000 > "$2/state.pt"\nsleep 0.3\nexit 130\n'
    )
    stand_in.chmod(0o755)
    script = ROOT / "docs" / "trained-model" / "gpu-leg.sh"
    done = subprocess.run(
        ["bash", str(script), str(tmp_path / "shards"), "start.safetensors", str(tmp_path / "out"), "1"],
        env={**os.environ, "EARMARK": str(stand_in), "POLL": "0.1", "TMPDIR": str(tmp_path)}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    parts = sorted((tmp_path / "out").glob("state.pt.part-*"))
    assert len(parts) == 3
    assert max(part.stat().st_size for part in parts) <= 15 << 20
    subprocess.run([str(tmp_path / "out" / "join.sh")], check=True)
    assert (tmp_path / "out" / "state.pt").read_text() == "".join(f"{number}\n" for number in range(1, 4500001))
    assert (tmp_path / "out" / "log.jsonl").read_text() == "one update\n"
