"""Lines for the terminal on delays that alignment removed: one for each system whose delay was searched or given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from earmark.baselines.registry import BUILT_IN
from earmark.codec.text import counted
from earmark.eval.comparison.run_folder import REFERENCE

SAME = 1.0  # samples around the median within which recordings share a delay
LEAST = 0.5  # samples; smaller delays are not worth a line


def removed_delays(scores: pd.DataFrame, info: Mapping[str, Any]) -> Iterator[str]:
    """Lines such as "mine@6: 37 samples (0.8 ms) late in 8 of 8 recordings, removed".

    Earmark's own codecs have documented delays, and are left out.

    Args:
        scores: rows of RUN/scores.parquet.
        info: content of run.json.
    """
    if "delay" not in scores:
        return
    rates = {recording["file"]: recording.get("sample_rate") for recording in info["recordings"]}
    files = scores.drop_duplicates(["file", "system"])
    files = files.assign(rate=files["file"].map(rates)).dropna(subset=["delay", "rate"])
    for _, members in files.groupby(["system", "rate"], sort=False):
        system, rate = str(members["system"].iloc[0]), float(members["rate"].to_numpy(np.float64)[0])
        delays = members["delay"].to_numpy(np.float64)
        middle = float(np.median(delays))
        if system == REFERENCE or system.partition("@")[0] in BUILT_IN or abs(middle) < LEAST:
            continue
        sharing = int((np.abs(delays - middle) <= SAME).sum())
        number = f"{abs(middle):.1f}".removesuffix(".0")
        unit = "sample" if number == "1" else "samples"
        side = "late" if middle > 0 else "early"
        most = f"{sharing} of {counted(len(delays), 'recording')}"
        yield f"{system}: {number} {unit} ({abs(1000 * middle / rate):.1f} ms) {side} in {most}, removed"
