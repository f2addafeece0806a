"""Description of the machine for reports: processor, cores and operating system, without its name."""

from __future__ import annotations

import platform
from pathlib import Path

from earmark.codec.cores import usable_cores
from earmark.codec.text import counted

CPUINFO = Path("/proc/cpuinfo")


def machine() -> str:
    """ "AMD EPYC 7763 64-Core Processor, 2 cores, Linux 6.1.0 x86_64"; cores that this process may use."""
    cores = usable_cores()
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return ", ".join(filter(None, (processor(), counted(cores, "core"), system)))


def processor() -> str:
    """Name of the processor, or "" if it is unknown."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
