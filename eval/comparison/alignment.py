"""How the systems of a run are aligned: by documented delay or by search, and by the delay that most files share."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earmark.baselines.interface import System
from earmark.baselines.registry import BUILT_IN
from earmark.codec.errors import UserError
from earmark.codec.text import split_list
from earmark.eval.alignment.result import CERTAIN, DOCUMENTED, MAX_LAG, SEARCH, Alignment, Rule
from earmark.eval.comparison.run_folder import REFERENCE

Align = Literal["auto", "documented", "none"]
ALIGN = ("auto", "documented", "none")
SIMILAR = 0.005  # seconds within which delays by envelope agree
FAR = 0.001  # seconds from the common delay from which a delay by envelope is replaced
FORMAT = "NAME=22s for samples of the recording, or NAME=1.5ms"


@dataclass(frozen=True)
class GivenDelay:
    """A delay that the user stated, in samples or milliseconds."""

    value: float
    unit: Literal["s", "ms"]

    def samples(self, sample_rate: int) -> float:
        """The delay at a sample rate; milliseconds give whole samples."""
        return self.value if self.unit == "s" else float(round(self.value * sample_rate / 1000))

    @property
    def text(self) -> str:
        return f"{self.value:g}{self.unit}"


@dataclass(frozen=True)
class Policy:
    """How a run aligns.

    Args:
        align: "auto" trusts the documented delays of Earmark's codecs and searches those of all others; "documented"
            trusts that every system has removed its delay; "none" changes nothing.
        delays: system, or the codec of several, -> delay to remove.
    """

    align: Align = "auto"
    delays: Mapping[str, GivenDelay] = field(default_factory=dict)

    def rule(self, system: System, sample_rate: int) -> Rule:
        """How a system is aligned at a sample rate, before other files are known."""
        given = self.delays.get(system.text) or self.delays.get(system.family)
        if given is not None:
            return Rule("given", given.samples(sample_rate))
        if system.text == REFERENCE or is_documented(system):
            return Rule("none") if self.align == "none" and system.text != REFERENCE else DOCUMENTED
        return {"auto": SEARCH, "documented": DOCUMENTED, "none": Rule("none")}[self.align]

    def identity(self, system: System) -> list[str]:
        """Parts of the policy that determine the aligned audio of a system: [] where earlier versions did the same."""
        given = self.delays.get(system.text) or self.delays.get(system.family)
        if given is not None:
            return ["delay", given.text]
        documented = system.text == REFERENCE or is_documented(system)
        if self.align == "none" and system.text != REFERENCE:
            return ["align", "none"]
        return [] if documented or self.align == "documented" else ["align", "search"]


AUTO = Policy()


def is_documented(system: System) -> bool:
    """Whether the delay of a system is known: Earmark's own codecs, with the weights that belong to them."""
    return system.own is None and system.family in BUILT_IN and "checkpoint" not in system.options


def read_delays(values: Iterable[str]) -> dict[str, GivenDelay]:
    """Read the values of --delay: NAME=22s (samples) or NAME=1.5ms.

    Raises:
        UserError: a value has another form.
    """
    delays = {}
    for value in split_list(values) if isinstance(values, str) else values:
        name, _, text = value.rpartition("=")
        match = re.fullmatch(r"([+-]?\d+(?:\.\d+)?)\s*(s|ms|samples)", text.strip(), re.ASCII)
        if not name or match is None:
            raise UserError(f"--delay {value!r}: write {FORMAT}")
        delays[name.strip()] = GivenDelay(float(match[1]), "ms" if match[2] == "ms" else "s")
    return delays


class Consensus:
    """The delay that most files of a system share, by sample rate: a codec has one, and a tone cannot tell it."""

    def __init__(self) -> None:
        self._clear: dict[tuple[str, int], list[tuple[float, int]]] = defaultdict(list)
        self._rough: dict[tuple[str, int], list[float]] = defaultdict(list)
        self._agreed: dict[tuple[str, int], Rule | None] = {}

    def add(self, system: str, alignment: Alignment | None) -> None:
        """Let a file speak, if its delay was searched."""
        if alignment is None or alignment.mode not in ("search", "shared") or alignment.delay is None:
            return
        key = (system, alignment.sample_rate)
        self._agreed.pop(key, None)
        if alignment.clear:
            own = alignment.removed if alignment.mode == "search" else round(alignment.delay)
            self._clear[key].append((own, alignment.sign))
        elif alignment.by_envelope:
            self._rough[key].append(alignment.delay)

    @property
    def speaks(self) -> bool:
        """Whether any delay was searched."""
        return bool(self._clear or self._rough)

    def rule(self, system: str, sample_rate: int) -> Rule | None:
        """The shared delay as a rule; None if most files do not agree."""
        key = (system, sample_rate)
        if key not in self._agreed:
            self._agreed[key] = self._find(key)
        return self._agreed[key]

    def _find(self, key: tuple[str, int]) -> Rule | None:
        if clear := self._clear[key]:
            delays = np.array([delay for delay, _ in clear])
            near = _cluster(delays, MAX_LAG)
            sign = 1 if sum(one for (_, one), member in zip(clear, near, strict=True) if member) >= 0 else -1
        else:
            delays, sign = np.array(self._rough[key]), 1
            near = _cluster(delays, SIMILAR * key[1])
        if near.sum() * 2 <= len(delays):
            return None
        middle = float(np.median(delays[near]))
        return Rule("shared", middle if abs(middle - round(middle)) > 0.05 else float(round(middle)), sign)

    def contradicts(self, system: str, alignment: Alignment | None) -> Rule | None:
        """The rule by which a file is to be aligned again; None if it is aligned as the others are."""
        if alignment is None or alignment.mode not in ("search", "shared"):
            return None
        shared = self.rule(system, alignment.sample_rate)
        if shared is None or shared.delay is None:
            return SEARCH if alignment.mode == "shared" else None
        if alignment.mode == "shared":
            return None if alignment.agreed == shared.delay else shared
        if not alignment.clear and alignment.sign != shared.sign:
            return shared
        sure = alignment.clear and (alignment.peak or 0) >= CERTAIN  # if not, a neighbouring peak may be as high
        tolerance = MAX_LAG if sure else FAR * alignment.sample_rate if alignment.by_envelope else 0.5
        return None if abs(alignment.removed - shared.delay) <= tolerance else shared


def _cluster(delays: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    """Which of [n] delays lie within the tolerance of the one with most others around it."""
    if len(delays) == 0:
        return np.zeros(0, bool)
    ordered = np.sort(delays)
    counts = np.searchsorted(ordered, ordered + tolerance, "right") - np.searchsorted(ordered, ordered - tolerance)
    near: NDArray[np.bool_] = np.abs(delays - ordered[int(np.argmax(counts))]) <= tolerance
    return near
