"""`earmark study publish | bonus`: places and bonuses on a crowd platform, by its API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earmark.codec.command_line import command, option, shared
from earmark.codec.errors import UserError
from earmark.codec.text import counted
from earmark.mushra_app.addresses import public_address
from earmark.mushra_app.crowd_options import (
    FAILED,
    INSTEAD,
    KEYS,
    Where,
    asking,
    check_most,
    complain,
    end,
    most_option,
    opened,
    platform_options,
    say_not_sent,
    screen_option,
    send_option,
    some_submissions,
    study_argument,
)
from earmark.mushra_app.platforms.money import Amount, shown

if TYPE_CHECKING:
    from earmark.mushra_app.database.store import Store
    from earmark.mushra_app.platforms.api import Offer, Step


def _name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", value):
        raise UserError(f"--name {value}: must have up to 32 letters, digits, - and _")
    return value


@command(
    short_help="Pay a bonus to those that passed",
    examples=[
        "earmark study bonus study/ --amount 0.50 --reason 'Careful work'",
        "earmark study bonus study/ --amount 0.50 --reason 'Thanks' --most 12 --send",
    ],
    environment=KEYS,
    exit_status=FAILED,
    remedies=INSTEAD,
)
@study_argument
@some_submissions
@option("--amount", type=Amount(), required=True, metavar="AMOUNT", help="Bonus of each, such as 0.50.")
@option("--reason", required=True, metavar="TEXT", help="Reason, which workers of Mechanical Turk read.")
@option(
    "--name", default="bonus", callback=_name, metavar="NAME",
    help="Name of this bonus. A submission gets one bonus of a name, however often the command runs.",
)  # fmt: skip
@most_option("the sum, on Prolific with its fee,")
@option("--again", is_flag=True, help="Pay those whose payment was interrupted and is not in your account at Prolific.")
@platform_options
@screen_option
@send_option
@shared.quiet
def bonus(
    study: Path, submissions: tuple[str, ...], amount: int, reason: str, name: str, most: int | None, again: bool,
    where: Where, screen: str, send: bool,
) -> None:  # fmt: skip
    """Pay a bonus for the submissions to STUDY that passed, or for those named.

    A SUBMISSION is named by its id, its participant or its listener.
    """
    from earmark.mushra_app.platforms import bonuses, decisions

    with opened(study, where, send=send) as open_study:
        platform, journal = open_study.platform, open_study.journal
        reviewed = open_study.reviewed(screen)
        passed = [one for one in reviewed if one.passed and one.submission.state in ("waiting", "approved")]
        named = decisions.chosen(reviewed, submissions) if submissions else passed
        cases, failed = bonuses.due(named, name, amount, reason, journal, complain)
        currency = open_study.currency
        for one in cases:
            note = "; an earlier payment was interrupted" if one.earlier else ""
            click.echo(f"pay {shown(amount, currency)} to {one.submission.participant} for {one.submission.id}{note}")
        total = len(cases) * amount
        click.echo(f"{len(cases)} to pay under the name {name}; {shown(total, currency)} without the fee: {reason}")
        check_most(total, most, currency, needed=send)
        if not send:
            say_not_sent()
        elif cases:
            problems: list[str] = []
            try:
                with asking():
                    paid = platform.pay(cases, journal, most=most or 0, again=again, report=problems.append)
            finally:
                for line in problems:
                    complain(line)
            click.echo(f"{paid} paid")
            failed += len(problems)
    end(failed)


@command(
    short_help="Publish the study on its platform",
    examples=[
        "earmark study publish study/ --places 3 --url https://listen.example.org/",
        "earmark study publish study/ --places 30 --most 100 --send",
    ],
    environment=KEYS,
    exit_status=FAILED,
    remedies=INSTEAD,
)
@study_argument
@option(
    "--places", type=click.IntRange(1, 10_000), required=True, metavar="N",
    help="Participants in all; places that exist already count.",
)  # fmt: skip
@option("--url", metavar="URL", help="Public address of the study, if something is made that leads there.")
@option("--reward", type=Amount(), metavar="AMOUNT", show_default="by the hourly pay of the admin page", help="Reward.")
@option("--minutes", type=click.IntRange(1, 600), metavar="MIN", show_default="estimated", help="Length of a session.")
@option("--title", metavar="TEXT", show_default="name of the study", help="Title that participants see.")
@option("--description", metavar="TEXT", show_default="a sentence on the task", help="Description that they see.")
@option("--days", type=click.IntRange(1, 30), default=7, metavar="N", help="Days for which HITs are offered.")
@most_option("the sum of the rewards")
@platform_options
@send_option
@shared.quiet
def publish(
    study: Path, places: int, url: str | None, most: int | None, where: Where, send: bool, **wanted: Any
) -> None:  # fmt: skip
    """Publish STUDY on its platform, or raise the number of its places.

    On Prolific, publishes the study whose id is on the admin page; without one, makes it, for computers only, and
    enters its id and code there. On Mechanical Turk, makes HITs of at most 9 assignments. Places that exist already
    are not made again.
    """
    address = public_address(url) or ""
    with opened(study, where, send=send, create=True) as open_study:
        store, platform = open_study.store, open_study.platform
        with asking():
            steps = platform.publishing(_offer(store, places, address, wanted), store, open_study.journal)
        if not steps:
            click.echo(f"{platform.title}: published, with {places} places or more; nothing to do")
            return
        for step in steps:
            click.echo(step.text)
            for line in step.details:
                click.echo(f"  {line}")
        total = sum(step.cost for step in steps)
        currency = open_study.currency
        click.echo(f"{counted(len(steps), 'change')}; {shown(total, currency)} in rewards, without the fee")
        if store.crowd.anonymous:
            click.echo("note: the open link admits anybody; switch it off on the admin page (Admission)", err=True)
        check_most(total, most, currency, needed=send)
        if send:
            _make(steps)
        else:
            say_not_sent()


def _make(steps: Sequence[Step]) -> None:
    """Make the changes in order. The first that fails ends them, since each needs those before it."""
    from earmark.mushra_app.platforms.requests import ApiError

    for step in steps:
        try:
            step.do()
        except ApiError as error:
            complain(f"{step.text}: {error}")
            end(1)
        click.echo(f"done: {step.text}")


def _offer(store: Store, places: int, address: str, wanted: Mapping[str, Any]) -> Offer:
    """The offer, with defaults for what was not given."""
    from earmark.mushra_app.platforms.api import Offer
    from earmark.mushra_app.study import cost
    from earmark.mushra_app.study.duration import session_minutes

    minutes = wanted["minutes"] or session_minutes(store.study)
    reward = wanted["reward"] or cost.reward(minutes, store.crowd.hourly)
    description = wanted["description"] or (
        f"Listen to short sounds on headphones and rate how similar they are to a reference. About {minutes} minutes; "
        "once per person."
    )
    given = frozenset(name for name, value in {**wanted, "url": address}.items() if value)
    title = wanted["title"] or store.study.name
    return Offer(places, reward, minutes, title, description, address, wanted["days"], given)
