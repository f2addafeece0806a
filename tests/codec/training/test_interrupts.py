"""Interrupts of a training: delayed during an update, immediate while it waits."""

from __future__ import annotations

import signal
import time

import pytest
import torch

from earmark.codec.training.interrupts import Interrupted, Interrupts, suggest_resume

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@BOTH
def test_an_update_is_not_interrupted(number):
    with Interrupts() as interrupts:
        signal.raise_signal(number)
        assert interrupts


@BOTH
def test_waiting_ends_at_once(number):
    def wait():
        signal.raise_signal(number)
        raise AssertionError("went on waiting")

    with Interrupts() as interrupts:
        assert interrupts.waiting_for(lambda: 3) == 3
        assert not interrupts
        assert interrupts.waiting_for(wait) is None
        assert interrupts
        signal.raise_signal(number)  # recorded again after the wait


def test_an_interrupt_before_the_wait_ends_it_too():
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        assert interrupts.waiting_for(lambda: 3) is None


def test_the_third_signal_raises_at_once():
    with Interrupts():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_handlers_are_restored():
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_message_names_resume_if_it_is_missing(tmp_path):
    """Before the training has begun, and with --resume, the same command can be repeated; main() says so."""

    def interrupted(resume):
        with suggest_resume(tmp_path, resume):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(resume=False)
    (tmp_path / "run.json").touch()
    with pytest.raises(KeyboardInterrupt):
        interrupted(resume=True)
    with pytest.raises(Interrupted, match="run the same command with --resume to continue") as caught:
        interrupted(resume=False)
    assert caught.value.exit_code == 130


TRAIN = """
import sys
from pathlib import Path
from earmark import cli
from earmark.codec.training.interrupts import Interrupts

waiting, *sys.argv[1:] = sys.argv[1:]
waiting_for = Interrupts.waiting_for

def watched(self, wait):
    Path(waiting).touch()
    return waiting_for(self, wait)

Interrupts.waiting_for = watched
cli.main()
"""


@BOTH
def test_a_training_that_waits_for_its_batch_stops_and_saves(prepared, corpus, tmp_path, number):
    """A batch of 10^11 examples takes years. The signal goes to the whole process group, workers included."""
    out, waiting, said = (tmp_path / name for name in ("run", "waiting", "said.txt"))
    process = prepared.start(
        "tests.prepared:execute", TRAIN, str(waiting), "train", "tiny", "--data", str(corpus), "--out", str(out),
        "--threads", "1", "--no-visqol", "--no-tensorboard", "--set", "data.batch=100000000000",
        folder=tmp_path, output=said,
    )  # fmt: skip
    until = time.monotonic() + 120
    while not waiting.exists():
        assert time.monotonic() < until, said.read_text()
        time.sleep(0.02)
    time.sleep(0.2)  # from the mark to the wait
    process.send(number)
    assert process.wait() == 130
    assert said.read_text().splitlines()[-1] == "earmark: interrupted; run the same command with --resume to continue"
    assert torch.load(out / "state.pt", weights_only=True)["updates"] == 0
