"""Interrupts of a training: delayed during an update, immediate while it waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from earmark.codec.training.interrupts import Interrupted, Interrupts, suggest_resume

ROOT = Path(__file__).resolve().parents[3]
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


@BOTH
def test_a_training_that_waits_for_its_batch_stops_and_saves(corpus, tmp_path, number):
    """A batch of 10^11 examples takes years. The signal goes to the whole process group, workers included."""
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "earmark", "train", "tiny", "--data", str(corpus), "--out", str(out), "--threads", "1",
         "--no-visqol", "--no-tensorboard", "--set", "data.batch=100000000000"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 120
    while not (out / "run.json").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(2)
    os.killpg(process.pid, number)
    said = process.communicate(timeout=60)[1]
    assert said.splitlines()[-1] == "earmark: interrupted; run the same command with --resume to continue"
    assert process.returncode == 130
    assert torch.load(out / "state.pt", weights_only=True)["updates"] == 0
