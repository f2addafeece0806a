"""The commands for listening tests: `earmark study`, formerly `earmark mushra`."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from earmark.cli import cli
from earmark.mushra_app.cli import study_group


def test_help_lists_the_group_under_one_name():
    listed = [line.split()[0] for line in CliRunner().invoke(cli, ["--help"]).output.splitlines() if line.strip()]
    assert "study" in listed
    assert "mushra" not in listed


@pytest.mark.parametrize("name", list(study_group.commands))
def test_the_former_name_of_the_group_runs_the_same_commands(name):
    new, old = (CliRunner().invoke(cli, [group, name, "--help"]) for group in ("study", "mushra"))
    assert (new.exit_code, old.exit_code) == (0, 0)
    assert old.output == new.output.replace(f"study {name}", f"mushra {name}", 1)
