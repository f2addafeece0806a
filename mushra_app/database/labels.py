"""Names of listeners in tables and reports: "L0007-7f3a2c", a number in order of arrival and the id of the study.

The id is drawn when a database is made, so that tables of two studies never give two people one name. The number comes
from a counter, so that the name of a listener whose rows were deleted is not used again.
"""

from __future__ import annotations

import secrets

ID_BYTES = 3


def new_study_id() -> str:
    """A random id for a study's database: "7f3a2c"."""
    return secrets.token_hex(ID_BYTES)


def listener_label(number: int, study_id: str) -> str:
    """Name of the listener with this number: 7 -> "L0007-7f3a2c"."""
    return f"L{number:04d}-{study_id}"
