"""The command `earmark` in the process of the tests, which saves starting Python for each call."""

from __future__ import annotations

import signal

import pytest

from earmark import cli


def call(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run `earmark ARGUMENTS` as its script does.

    Returns:
        Exit status, standard output and standard error.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["earmark", *arguments])
        patch.setenv("THP_MEM_ALLOC_ENABLE", "1")  # main() sets it for good
        handler = signal.getsignal(signal.SIGTERM)
        capsys.readouterr()
        try:
            cli.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        finally:
            signal.signal(signal.SIGTERM, handler)
    return status, *capsys.readouterr()
