"""Options and steps that the commands for crowd platforms share. They show what they would send; --send sends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earmark.codec.command_line import Choice, option
from earmark.codec.errors import UserError
from earmark.codec.lock import locked
from earmark.codec.notices import notice
from earmark.mushra_app.platforms.money import Amount, shown

if TYPE_CHECKING:
    from earmark.mushra_app.database.sent import Journal
    from earmark.mushra_app.database.store import Store
    from earmark.mushra_app.platforms.api import Platform
    from earmark.mushra_app.platforms.review import Reviewed

KEYS = {
    "PROLIFIC_TOKEN": "Token of Prolific's API.",
    "AWS_ACCESS_KEY_ID": "Key of Mechanical Turk's API.",
    "AWS_SECRET_ACCESS_KEY": "Its secret.",
    "AWS_SESSION_TOKEN": "Token of a session, with temporary keys.",
}
FAILED = {1: "done, except what is named; repeat the command"}
INSTEAD = {"--dry-run": "nothing is sent without --send", "--yes": "--send sends what is shown"}

study_argument = click.argument("study", type=click.Path(exists=True, file_okay=False, path_type=Path))
some_submissions = click.argument("submissions", nargs=-1, metavar="[SUBMISSION]...")
screen_option = option(
    "--screen", type=Choice(["paper", "bs1534", "bs1534-iqr", "none"]), default="paper", metavar="RULE",
    help="Rule by which listeners pass, as in the report: paper, bs1534, bs1534-iqr or none.",
)  # fmt: skip
send_option = option("--send", is_flag=True, help="Send what is shown. Without it, nothing is sent.")


def most_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --most, by which more than that is refused."""
    return option("--most", type=Amount(10**9), metavar="AMOUNT", help=f"Send nothing if {what} is more.")


def platform_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which platform and which database; the command gets them as `where`."""
    options = (
        option(
            "--platform", type=Choice(["prolific", "mturk"]), metavar="prolific|mturk", show_default="the study's",
            help="Platform.",
        ),
        option("--sandbox", is_flag=True, help="Use the sandbox of Mechanical Turk, where nobody is paid."),
        option(
            "--database", metavar="URL", show_default="STUDY/ratings.sqlite", help="SQLAlchemy URL of the ratings."
        ),
    )  # fmt: skip

    @wraps(function)
    def with_where(
        *arguments: Any, platform: str | None, sandbox: bool, database: str | None, **others: Any
    ) -> Any:  # fmt: skip
        return function(*arguments, where=Where(platform, sandbox, database), **others)

    decorated: Callable[..., Any] = with_where
    for one in reversed(options):
        decorated = one(decorated)
    return decorated


@dataclass(frozen=True)
class Where:
    """Platform and database of a command.

    Args:
        platform: its name; None for that of the study.
        sandbox: whether to use Mechanical Turk's.
        database: SQLAlchemy URL; None for STUDY/ratings.sqlite.
    """

    platform: str | None
    sandbox: bool
    database: str | None


@dataclass(frozen=True)
class Opened:
    """A study and its platform, as a command uses them."""

    store: Store
    platform: Platform
    journal: Journal

    def reviewed(self, screen: str) -> list[Reviewed]:
        """All submissions, judged by a screening rule."""
        from earmark.mushra_app.platforms.review import review

        with asking():
            return review(self.store, self.platform.name, self.platform.submissions(), screen)

    @property
    def currency(self) -> str:
        """Currency of the platform."""
        with asking():
            return self.platform.currency


@contextmanager
def opened(study: Path, where: Where, *, send: bool, create: bool = False) -> Iterator[Opened]:
    """Open a study and its platform. Of the commands that send, one runs at a time.

    Args:
        create: whether the database may be made.

    Raises:
        UserError: the study has no database or no platform with an API, a key is missing, or another command sends.
    """
    from earmark.mushra_app.database.sent import Journal
    from earmark.mushra_app.database.store import open_store
    from earmark.mushra_app.platforms.opening import open_platform
    from earmark.mushra_app.study.study import load

    with locked(study) if send else nullcontext():
        store = open_store(load(study), study, where.database, create=create)
        try:
            with asking():
                platform = open_platform(store, where.platform, sandbox=where.sandbox)
            yield Opened(store, platform, Journal(store))
        finally:
            store.engine.dispose()


@contextmanager
def asking() -> Iterator[None]:
    """Refuse the command if a question to the platform fails; nothing has been sent then."""
    from earmark.mushra_app.platforms.requests import ApiError

    try:
        yield
    except ApiError as error:
        raise UserError(str(error)) from None


def complain(line: str) -> None:
    """Print what failed; the command goes on with the others."""
    click.echo(f"earmark: {line}", err=True)


def end(failed: int) -> None:
    """End the command, with status 1 if something failed."""
    if failed:
        raise click.exceptions.Exit(1)


def say_not_sent() -> None:
    """Say that this was a preview."""
    notice("dry run: nothing was sent; --send sends it")


def check_most(total: int, most: int | None, currency: str, *, needed: bool) -> None:
    """Refuse to send more than --most.

    Args:
        needed: whether money is sent, for which there must be a limit.

    Raises:
        UserError: it would be more, or there is no limit.
    """
    if most is not None and total > most:
        raise UserError(f"--most: {shown(total, currency)} is more than {shown(most, currency)}; nothing was sent")
    if needed and total and most is None:
        raise UserError(f"--send needs --most, the most that you would pay: at least {shown(total, currency)} here")
