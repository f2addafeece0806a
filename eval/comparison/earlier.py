"""What a run showed before, and no longer does after a command that names less."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earmark.codec.errors import UserError
from earmark.codec.text import counted
from earmark.eval.comparison.run_folder import read_info

KEPT = "their scores are kept, and the options of before show them again"


def earlier(run: Path) -> dict[str, Any] | None:
    """Return the metadata of a run that is about to be written again; None if there is none."""
    try:
        return read_info(run)
    except UserError:
        return None


def no_longer_shown(before: dict[str, Any] | None, now: dict[str, Any]) -> Iterator[str]:
    """Yield a line for the systems, the metrics and the recordings that only the earlier metadata have."""
    if before is None:
        return
    for names in ("systems", "metrics"):
        gone = [name for name in before.get(names, ()) if name not in now[names]]
        if gone:
            yield f"no longer shows the {names} {', '.join(gone)}: {KEPT}"
    present = {(entry["file"], entry.get("sha256")) for entry in now["recordings"]}
    lost = [entry for entry in before.get("recordings", ()) if (entry["file"], entry.get("sha256")) not in present]
    if lost:
        folder = f" of {before['audio_dir']}" if before.get("audio_dir") != now["audio_dir"] else ""
        yield f"no longer shows {counted(len(lost), 'recording')}{folder}, e.g. {lost[0]['file']}: {KEPT}"
