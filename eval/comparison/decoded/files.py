"""The decoded files of a run: matched before work starts, identified by their content, recorded in run.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from earmark.codec.errors import UserError
from earmark.codec.notices import notice
from earmark.eval.comparison.corpus import Source
from earmark.eval.comparison.decoded import report
from earmark.eval.comparison.decoded.folders import DecodedSystem
from earmark.eval.comparison.decoded.loading import DecodedFile, with_bitstream
from earmark.eval.comparison.decoded.matching import Match, match
from earmark.eval.comparison.digests import Digests


class DecodedFiles:
    """The files of all systems that are given by their decoded audio.

    Args:
        systems: the systems of the plan.
        sources: the recordings of the plan.

    Attributes:
        matches: system -> its files.

    Raises:
        UserError: a folder has no file of any recording, or it is not clear which one belongs to a recording.
    """

    def __init__(self, systems: Sequence[DecodedSystem], sources: Sequence[Source]) -> None:
        self._systems = {one.system.text: one for one in systems}
        self.matches = {text: match(text, one.audio, sources) for text, one in self._systems.items()}
        self._bitstreams: dict[str, Match] = {
            text: match(f"--bitstreams {text}", one.bitstreams, sources, any_suffix=True)
            for text, one in self._systems.items()
            if one.bitstreams is not None
        }
        self._sha256: dict[str, dict[str, str]] = {text: {} for text in self._systems}

    def __contains__(self, system: str) -> bool:
        return system in self._systems

    def announce(self, digests: Digests, before: Mapping[str, Any]) -> None:
        """Print on standard error what was matched, and what differs from the run so far.

        Args:
            before: content of run.json; {} for a new run.
        """
        known: Mapping[str, Any] = before.get("decoded", {})
        for text, system in self._systems.items():
            lines = [report.match_line(system, self.matches[text], self._bitstreams.get(text))]
            if text in known:
                sha256 = self._hashes(text, digests)
                lines += report.changes(text, str(system.audio), sha256, known[text])
            for line in lines:
                notice(line)

    def _hashes(self, system: str, digests: Digests) -> dict[str, str]:
        """Recording -> hash of its decoded file; files that cannot be read are absent."""
        hashes = {}
        for file, path in self.matches[system].files.items():
            try:
                hashes[file] = digests.of(path)
            except UserError:  # the task of this file reports it
                continue
        return hashes

    def of(self, system: str, file: str, digests: Digests) -> DecodedFile | None:
        """The decoded file of a recording; None if there is none.

        Raises:
            UserError: it cannot be read.
        """
        path = self.matches[system].files.get(file)
        if path is None:
            return None
        digest = self._sha256[system][file] = digests.of(path)
        bitstreams = self._bitstreams.get(system)
        coded = bitstreams.files.get(file) if bitstreams is not None else None
        one = DecodedFile(path, digest)
        return one if coded is None else with_bitstream(one, coded)

    @property
    def missing(self) -> int:
        """Number of pairs of recording and system without a decoded file."""
        return sum(len(one.missing) for one in self.matches.values())

    @property
    def notes(self) -> Sequence[str]:
        """Remarks for the report: which systems lack which recordings."""
        return report.missing_notes(self.matches)

    def entries(self) -> dict[str, dict[str, Any]]:
        """The entries of run.json: where the files are, and the hash of each."""
        return {
            text: {
                "location": str(system.audio),
                "bitstreams": None if system.bitstreams is None else str(system.bitstreams),
                "sha256": self._sha256[text],
            }
            for text, system in self._systems.items()
        }
