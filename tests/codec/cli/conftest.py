"""The command `earmark`, run in this process, and weights for it."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TextIO

import pytest

import earmark.cli as program

from .command_line import SMALL, Done, Run, save_model


@pytest.fixture
def earmark(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `earmark ARGUMENTS` in this process."""

    def run(*arguments: object, stdin: bytes = b"", stdout: TextIO | None = None) -> Done:
        output, errors = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["earmark", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            patch.setattr(sys, "stdout", stdout or output)
            patch.setattr(sys, "stderr", errors)
            with pytest.raises(SystemExit) as caught:
                program.main()
        return Done(int(caught.value.code or 0), output.buffer.getvalue(), errors.buffer.getvalue().decode())

    return run


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    return {name: save_model(config, folder / f"{name}.safetensors") for name, config in SMALL.items()}
