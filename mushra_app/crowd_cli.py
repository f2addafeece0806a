"""`earmark study submissions | approve | reject`: review of the submissions on a crowd platform, by its API."""

from __future__ import annotations

from pathlib import Path

import click

from earmark.codec.command_line import command, option, out_file, shared, show
from earmark.codec.errors import UserError
from earmark.codec.files import require_new
from earmark.codec.text import counted
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
from earmark.mushra_app.platforms.money import shown

HEADINGS = ("submission", "listener", "state", "result", "bonuses")  # as many as fit; CSV and JSON have more


@command(
    short_help="List submissions, and who passed",
    examples=["earmark study submissions study/", "earmark study submissions study/ --format csv -o all.csv"],
    environment=KEYS,
)
@study_argument
@platform_options
@screen_option
@shared.printed_format("text", "markdown", "csv", "json")
@out_file
@shared.force
def submissions(study: Path, where: Where, screen: str, output: str, out: Path | None, force: bool) -> None:
    """List the submissions to STUDY on its platform, with their sessions here and whether they passed.

    A submission passes if its session is complete, is not excluded, and is kept by the screening rule.
    """
    if out is not None:
        require_new(out, force)
    from earmark.eval.tables.grid import RENDERERS, Grid

    with opened(study, where, send=False) as open_study:
        reviewed = open_study.reviewed(screen)
        currency = open_study.currency if any(one.submission.bonuses for one in reviewed) else ""
        title = open_study.platform.title
    data = tuple(
        {
            "submission": one.submission.id, "participant": one.submission.participant, "listener": one.listener,
            "state": one.submission.state if one.submission.state != "other" else one.submission.status.lower(),
            "status": one.submission.status, "result": one.problem or "passed",
            "bonuses": " + ".join(shown(amount, currency) for amount in one.submission.bonuses),
        }
        for one in reviewed
    )  # fmt: skip
    passed = sum(one.passed for one in reviewed)
    note = f"{counted(len(reviewed), 'submission')}, {passed} passed by the rule {screen}."
    headings = HEADINGS if currency else HEADINGS[:-1]
    rows = tuple(tuple(record[name] for name in headings) for record in data)
    grid = Grid(f"Submissions on {title}", headings, rows, (note,), left=len(headings), data=data)
    show(RENDERERS[output](grid), out)


@command(
    short_help="Approve those that passed",
    examples=["earmark study approve study/", "earmark study approve study/ --finished --send"],
    environment=KEYS,
    exit_status=FAILED,
    remedies=INSTEAD,
)
@study_argument
@some_submissions
@option("--finished", is_flag=True, help="Also those who finished and did not pass, by the rule or by hand.")
@most_option("the sum of the rewards")
@platform_options
@screen_option
@send_option
@shared.quiet
def approve(
    study: Path, submissions: tuple[str, ...], finished: bool, most: int | None, where: Where, screen: str, send: bool
) -> None:
    """Approve the submissions to STUDY that wait for review and passed, or those named. Their reward is then paid.

    A SUBMISSION is named by its id, its participant or its listener. Those that are approved already stay as they are.
    """
    from earmark.mushra_app.platforms import decisions

    with opened(study, where, send=send) as open_study:
        platform, journal = open_study.platform, open_study.journal
        reviewed = open_study.reviewed(screen)
        waiting = [one for one in reviewed if one.submission.state == "waiting"]
        passed = [one for one in waiting if one.passed or (finished and one.is_finished)]
        named = decisions.chosen(reviewed, submissions) if submissions else passed
        cases, failed = decisions.open_cases(named, "approve", journal, complain)
        with asking():
            reward = platform.reward() if cases else 0
        for one in cases:
            reason = f": {one.problem}" if one.problem and one.listener else ""
            session = f"{one.listener or 'no session'}{reason}"
            click.echo(f"approve {one.submission.id} of {one.submission.participant}, {session}")
        currency = open_study.currency if cases else ""
        cost = f"; {shown(len(cases) * reward, currency)} without the fee" if reward else ""
        click.echo(
            f"{len(waiting)} of {counted(len(reviewed), 'submission')} wait for review; {len(cases)} to approve{cost}"
        )
        if most is not None and reward is None:
            raise UserError("--most: the rewards differ, so that their sum is not known; nothing was sent")
        check_most(len(cases) * (reward or 0), most, currency, needed=False)
        if send:
            decisions.settle(reviewed, "approve", journal)
            sent = decisions.decide(cases, "approve", platform.approve, journal, complain)
            click.echo(f"{sent} approved")
            failed += len(cases) - sent
        else:
            say_not_sent()
    end(failed)


@command(
    short_help="Reject submissions, with a reason",
    examples=[
        "earmark study reject study/ 62b1b7ce --reason 'No trial was rated ...'",
        "earmark study reject study/ L0007-b3a2c4 --reason '...' --send",
    ],
    environment=KEYS,
    exit_status=FAILED,
    remedies=INSTEAD,
)
@study_argument
@click.argument("submissions", nargs=-1, required=True, metavar="SUBMISSION...")
@option("--reason", required=True, metavar="TEXT", help="Reason, which the participant reads.")
@option(
    "--category", metavar="NAME", show_default="OTHER",
    help="Category of the rejection on Prolific, such as NO_DATA.",
)  # fmt: skip
@platform_options
@screen_option
@send_option
@shared.quiet
def reject(
    study: Path, submissions: tuple[str, ...], reason: str, category: str | None, where: Where, screen: str, send: bool
) -> None:
    """Reject the named submissions to STUDY, which are then not paid. One that passed is never rejected.

    A SUBMISSION is named by its id, its participant or its listener.
    """
    from earmark.mushra_app.platforms import decisions

    with opened(study, where, send=send) as open_study:
        platform, journal = open_study.platform, open_study.journal
        kind = decisions.check_reason(platform, reason, category)
        reviewed = open_study.reviewed(screen)
        named = decisions.chosen(reviewed, submissions)
        passed = [one for one in named if one.passed and one.submission.state == "waiting"]
        for one in passed:
            complain(f"{one.title}: passed by the rule {screen}, and is not rejected")
        cases, failed = decisions.open_cases(
            [one for one in named if one not in passed], "reject", journal, complain
        )  # fmt: skip
        for one in cases:
            click.echo(f"reject {one.submission.id} of {one.submission.participant}: {one.problem}")
        click.echo(f"{len(cases)} to reject{f' as {kind}' if kind else ''}, with the reason: {reason}")
        if send:
            decisions.settle(reviewed, "reject", journal)
            sent = decisions.decide(cases, "reject", lambda one: platform.reject(one, reason, kind), journal, complain)
            click.echo(f"{sent} rejected")
            failed += len(cases) - sent
        else:
            say_not_sent()
    end(failed + len(passed))
