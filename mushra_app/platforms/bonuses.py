"""Bonuses: who is due one, and which were paid before under the same name."""

from __future__ import annotations

from collections.abc import Sequence

from earmark.codec.errors import UserError
from earmark.mushra_app.database.sent import Journal
from earmark.mushra_app.platforms.api import Bonus, Report
from earmark.mushra_app.platforms.money import decimal
from earmark.mushra_app.platforms.review import Reviewed


def due(
    reviewed: Sequence[Reviewed], name: str, amount: int, reason: str, journal: Journal, report: Report
) -> tuple[list[Bonus], int]:  # fmt: skip
    """Bonuses of one name that are not known to be paid, and how many cannot be; prints a line on each of these.

    Args:
        name: of the bonus. A submission gets one bonus of a name.

    Raises:
        UserError: a bonus of this name and another amount was sent.
    """
    entries = journal.entries("bonus ")
    unknown = {key.rpartition(" ")[2]: key for key, entry in entries.items() if entry.done is None}
    found, refused = [], 0
    for one in reviewed:
        key = f"bonus {name} {one.submission.id}"
        earlier = entries.get(key)
        if earlier is not None and earlier.details["amount"] != amount:
            raise UserError(
                f"--name {name}: a bonus of {decimal(earlier.details['amount'])} was sent under this name; choose "
                "another --name for a second one"
            )
        if earlier is not None and earlier.done is not None:
            continue
        if unknown.get(one.submission.id, key) != key:
            other = unknown[one.submission.id].split(" ")[1]
            report(f"{one.title}: the bonus {other} is not known to be paid; repeat that first, by --name {other}")
            refused += 1
        elif one.submission.state not in ("waiting", "approved"):
            report(f"{one.title}: gets no bonus: its status is {one.submission.status}")
            refused += 1
        else:
            told = reason if earlier is None else earlier.details["reason"]
            found.append(Bonus(key, one.submission, amount, told, earlier))
    return found, refused
