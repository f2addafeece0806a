"""Names of listeners in tables and reports: "L0007-b3a2c4", a number in order of arrival and the id of the study.

The id is drawn when a database is made, so that tables of two studies never give two people one name. The number comes
from a counter, so that the name of a listener whose rows were deleted is not used again.
"""

from __future__ import annotations

import secrets

LETTERS, DIGITS, LENGTH = "abcdf", "0123456789abcdef", 6


def new_study_id() -> str:
    """A random id for a study's database: "b3a2c4".

    It begins with a letter: spreadsheets and CSV readers take 605131 and 1e5123 for numbers, and 012345 for 12345.
    """
    return secrets.choice(LETTERS) + "".join(secrets.choice(DIGITS) for _ in range(LENGTH - 1))


def listener_label(number: int, study_id: str) -> str:
    """Name of the listener with this number: 7 -> "L0007-b3a2c4"."""
    return f"L{number:04d}-{study_id}"
