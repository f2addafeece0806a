"""Tables for download. In CSV files, an apostrophe keeps spreadsheets from running cells as formulas."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from io import BytesIO

import pandas as pd

from earmark.mushra_app.ratings.safe_csv import csv_text
from earmark.mushra_app.web.listener_rows import ListenerRow

DEVICE = ("browser", "system", "type", "pointer", "sample_rate")


def as_csv(table: pd.DataFrame) -> bytes:
    """UTF-8 CSV with neutralised formulas. Numbers are unchanged."""
    return csv_text(table).encode()


def as_parquet(table: pd.DataFrame) -> bytes:
    """Parquet, with every value unchanged."""
    file = BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()


def listeners_table(rows: Iterable[ListenerRow]) -> pd.DataFrame:
    """One row per listener: origin, progress, and whether the ratings count. Contains no secrets."""
    return pd.DataFrame(
        [
            {
                "listener": row.listener.label, "source": row.listener.source, "person": row.listener.person or "",
                "visit": "" if row.listener.source == "personal" else row.listener.visit or "",
                "receipt": row.listener.receipt, "state": row.state,
                "trials": row.trials, "done": row.done, "median_seconds": row.seconds,
                "started": datetime.fromtimestamp(row.listener.started, UTC).isoformat(timespec="seconds"),
                "excluded": row.listener.excluded, "excluded_by": row.listener.excluded_by, "evidence": row.evidence,
                "flags": row.flags,
                **{name: row.listener.device.get(name) for name in DEVICE},
            }
            for row in rows
        ]
    )  # fmt: skip


def answers_table(answers: pd.DataFrame, checks: pd.DataFrame) -> pd.DataFrame:
    """One row per answer: listener, question, answer. A check is listed as the question "check: NAME"."""
    verdict = checks["passed"].map({True: "passed", False: "failed"})
    rows = {"listener": checks["listener"], "question": "check: " + checks["check"],
            "answer": verdict + ": " + checks["evidence"]}  # fmt: skip
    return pd.concat([answers, pd.DataFrame(rows)]).sort_values("listener", kind="stable")
