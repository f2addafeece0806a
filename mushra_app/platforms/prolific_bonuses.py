"""Bonuses on Prolific: set up as one payment, which pays nothing, and then paid by its id.

"Set up bonuses" and "Pay bonuses" in docs.prolific.com/api-reference. The second request is not idempotent: sent twice,
it pays twice. Each bonus is therefore in the journal before it is sent, with the id of the payment, and is not sent
again. If the answer was lost, the list of submissions shows in the following minutes whether Prolific has paid. What it
does not list, only the experimenter can decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from earmark.mushra_app.database.sent import Journal
from earmark.mushra_app.platforms.api import Bonus, Report
from earmark.mushra_app.platforms.money import decimal, shown
from earmark.mushra_app.platforms.prolific_client import ProlificClient
from earmark.mushra_app.platforms.requests import ApiError

MOST_AT_ONCE = 200  # participants of one payment


def pay(
    client: ProlificClient, bonuses: Sequence[Bonus], journal: Journal, *, most: int, again: bool, report: Report
) -> int:  # fmt: skip
    """Pay bonuses, each at most once; see Platform.pay."""
    due = [bonus for bonus in bonuses if _is_due(bonus, journal, again=again, report=report)]
    paid = 0
    for start in range(0, len(due), MOST_AT_ONCE):
        batch = due[start : start + MOST_AT_ONCE]
        try:
            total = _pay_batch(client, batch, journal, most)
        except ApiError as error:
            for bonus in batch:
                report(f"{bonus.submission.id}: {'not paid' if error.no_effect else 'not known to be paid'}: {error}")
            continue
        paid += len(batch)
        most -= total
    return paid


def _is_due(bonus: Bonus, journal: Journal, *, again: bool, report: Report) -> bool:
    """Whether to send a bonus: the first time, or again if the experimenter says so."""
    if bonus.earlier is None:
        return True
    before = bonus.earlier.details["listed"]
    if bonus.submission.bonuses.count(bonus.amount) > before:
        journal.finish([bonus.key])
        return False
    if again:
        return True
    when = datetime.fromtimestamp(bonus.earlier.begun).strftime("%Y-%m-%d %H:%M")
    report(
        f"{bonus.submission.id}: was sent to be paid at {when}, and Prolific does not list it yet; if it is not in "
        "your account there in an hour either, pay it by --again"
    )
    return False


def _pay_batch(client: ProlificClient, batch: Sequence[Bonus], journal: Journal, most: int) -> int:
    """Pay up to MOST_AT_ONCE bonuses; returns the sum that Prolific takes, with its fee."""
    rows = "\n".join(f"{bonus.submission.id},{decimal(bonus.amount)}" for bonus in batch)
    body = {"study_id": client.study()["id"], "csv_bonuses": rows}
    payment = client.call("POST", "/submissions/bonus-payments/", body)
    total = round(payment["total_amount"])
    if total > most:
        raise ApiError(
            f"Prolific takes {shown(total, client.currency())} with its fee, which is more than --most allows; nothing "
            "was paid",
            no_effect=True,
        )
    keys = [bonus.key for bonus in batch]
    journal.begin({
        bonus.key: {
            "amount": bonus.amount, "reason": bonus.reason, "payment": payment["id"],
            "listed": bonus.submission.bonuses.count(bonus.amount),
        }
        for bonus in batch
    })  # fmt: skip
    try:
        client.call("POST", f"/bulk-bonus-payments/{payment['id']}/pay/")
    except ApiError as error:
        if error.no_effect:
            journal.withdraw(keys)
        raise
    journal.finish(keys)
    return total
