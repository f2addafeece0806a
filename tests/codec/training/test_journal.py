"""The log of a training: means of what updates tell, and no entry twice after an interruption."""

from __future__ import annotations

import json

import pytest
import torch

from codec.training.journal import UPDATES_PER_ENTRY, Journal


def entries(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def tell(journal, first, last):
    for number in range(first, last + 1):
        journal.update(number, {"time": torch.tensor(float(number)), "kbps": 6.0}, waited=0.25)


def test_entries_hold_the_means_of_the_updates_since_the_one_before(tmp_path):
    tell(Journal(tmp_path, 0, 1000, tensorboard=False), 1, 2 * UPDATES_PER_ENTRY)
    found = entries(tmp_path)
    assert [entry["update"] for entry in found] == [50, 100]
    assert [entry["time"] for entry in found] == [25.5, 75.5]  # (1 + 50) / 2 and (51 + 100) / 2
    assert found[0]["kbps"] == 6
    assert found[0]["waited"] == 0.25


def test_a_loss_that_only_some_updates_have_is_averaged_over_those(tmp_path):
    journal = Journal(tmp_path, 0, 1000, tensorboard=False)
    for number in range(1, UPDATES_PER_ENTRY + 1):
        journal.update(number, {"discriminator": torch.tensor(2.0)} if number % 2 else {"kbps": 3.0}, waited=0.0)
    assert entries(tmp_path)[0]["discriminator"] == 2


def test_the_last_update_closes_an_entry(tmp_path):
    tell(Journal(tmp_path, 0, 7, tensorboard=False), 1, 7)
    assert [entry["update"] for entry in entries(tmp_path)] == [7]


def test_updates_that_are_made_again_are_logged_once(tmp_path):
    """The process was killed after update 120, its last state is that of 75."""
    journal = Journal(tmp_path, 0, 200, tensorboard=False)
    tell(journal, 1, 120)
    journal.validation(75, {"si_snr@6": 1.0}, {})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"update": 12')  # and the last line is cut
    tell(Journal(tmp_path, 75, 200, tensorboard=False), 76, 200)
    assert [entry["update"] for entry in entries(tmp_path)] == [50, 75, 100, 150, 200]
    assert entries(tmp_path)[1] == {"update": 75, "validation": {"si_snr@6": 1.0}}


def test_a_line_a_minute(tmp_path, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("codec.training.journal.time.monotonic", lambda: now[0])
    journal = Journal(tmp_path, 0, 1000, tensorboard=False)
    for number in range(1, 101):
        now[0] += 1.0
        journal.update(number, {"mel": torch.tensor(0.5), "fraction_mel": 1.0}, waited=0.02)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("60/1000  mel 0.5  gradient 1.00  1.00 updates/s")
    assert "waited 2 %" in said[0]


def test_tensorboard_gets_losses_scores_and_sounds(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    journal = Journal(tmp_path, 0, 1000, tensorboard=True)
    tell(journal, 1, UPDATES_PER_ENTRY)
    journal.validation(50, {"si_snr@6": 4.5}, {})
    journal.sound("speech@6", 0.1 * torch.randn(1, 24000), 24000, 50)
    journal.close()
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert board.Scalars("training/time")[0].value == 25.5
    assert board.Scalars("validation/si_snr@6")[0].value == 4.5
    assert board.Tags()["audio"] == ["speech@6"]
    assert board.Tags()["images"] == ["speech@6/spectrogram"]
