"""Description of the machine in reports."""

from __future__ import annotations

import os
import platform

from earmark.eval.comparison import machine

CPUINFO = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8480+
processor\t: 1
model name\t: Intel(R) Xeon(R) Platinum 8480+
"""


def test_processor_cores_and_system_but_not_the_name_of_the_machine(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 5, 6}, raising=False)
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    assert machine.machine() == f"Intel(R) Xeon(R) Platinum 8480+, 3 cores, {system}"


def test_an_unnamed_processor_is_left_out(tmp_path, monkeypatch):
    """On ARM cpuinfo has no model name; other systems have no cpuinfo."""
    for text in ("processor\t: 0\nCPU part\t: 0xd0c\n", None):
        file = tmp_path / f"cpuinfo {text is None}"
        if text is not None:
            file.write_text(text)
        monkeypatch.setattr(machine, "CPUINFO", file)
        assert machine.processor() == platform.processor()
