"""The log of a training: means of metrics, and no duplicate entries after an interruption."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from earmark.codec.errors import WriteError
from earmark.codec.training.journal import UPDATES_PER_ENTRY, Journal


def entries(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def seconds(number):
    """Readings of a stopwatch after `number` updates of 2 s each, a quarter of which is waiting."""
    return {"data": 0.5 * number, "generator": 1.5 * number}


def log_updates(journal, first, last):
    for number in range(first, last + 1):
        journal.update(number, {"time": torch.tensor(float(number)), "kbps": 6.0}, seconds(number))


def test_an_entry_has_the_means_since_the_previous_one(tmp_path):
    log_updates(Journal(tmp_path, 0, 1000, tensorboard=False), 1, 2 * UPDATES_PER_ENTRY)
    logged = entries(tmp_path)
    assert [entry["update"] for entry in logged] == [50, 100]
    assert [entry["time"] for entry in logged] == [25.5, 75.5]  # (1 + 50) / 2 and (51 + 100) / 2
    assert logged[0]["kbps"] == 6
    assert [entry["waited"] for entry in logged] == [0.25, 0.25]
    assert [entry["seconds_generator"] for entry in logged] == [75, 75]  # 50 x 1.5 s
    assert logged[1]["updates_per_second"] == pytest.approx(0.5)


def test_a_loss_of_some_updates_is_averaged_over_those(tmp_path):
    journal = Journal(tmp_path, 0, 1000, tensorboard=False)
    for number in range(1, UPDATES_PER_ENTRY + 1):
        journal.update(number, {"discriminator": torch.tensor(2.0)} if number % 2 else {"kbps": 3.0}, {})
    assert entries(tmp_path)[0]["discriminator"] == 2


def test_the_last_update_closes_an_entry(tmp_path):
    log_updates(Journal(tmp_path, 0, 7, tensorboard=False), 1, 7)
    assert [entry["update"] for entry in entries(tmp_path)] == [7]


def test_repeated_updates_are_logged_once(tmp_path):
    """The process was killed after update 120; its last saved state is of update 75."""
    journal = Journal(tmp_path, 0, 200, tensorboard=False)
    log_updates(journal, 1, 120)
    journal.validation(75, {"si_snr@6": 1.0}, {})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"update": 12')  # incomplete last line
    log_updates(Journal(tmp_path, 75, 200, tensorboard=False), 76, 200)
    assert [entry["update"] for entry in entries(tmp_path)] == [50, 75, 100, 150, 200]
    assert entries(tmp_path)[1] == {"update": 75, "validation": {"si_snr@6": 1.0}}


def usage():
    return {"perplexity": [200.0, 100.0], "used": [1.0, 0.5]}


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("earmark.codec.training.journal.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_one_line_per_minute(tmp_path, clock, capsys):
    """The line shows the mean since the start, (1 + 60) / 2, although no entry ends there."""
    journal = Journal(tmp_path, 0, 1000, tensorboard=False, usage=usage)
    for number in range(1, 101):
        clock[0] += 1.0
        journal.update(number, {"mel": float(number), "fraction_mel": 0.75, "fraction_time": 0.25}, seconds(number))
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "60/1000  mel 30.5  gradient mel 0.75, time 0.25  "
        "codebooks' perplexity 150 (least 100), used 75 % (least 50 %)  0.50 updates/s, 0.5 h left, waited 25 %"
    ]


def test_slow_updates_are_printed_too(tmp_path, clock, capsys):
    """Two updates in three minutes do not complete an entry."""
    journal = Journal(tmp_path, 0, 1000, tensorboard=False)
    for number in (1, 2):
        clock[0] += 90.0
        journal.update(number, {"mel": float(number)}, seconds(number))
    said = capsys.readouterr().err.splitlines()
    assert [line.partition("  gradient")[0][:16] for line in said] == ["1/1000  mel 1  0", "2/1000  mel 2  0"]


def test_entries_have_the_usage_of_the_codebooks(tmp_path):
    journal = Journal(tmp_path, 0, 1, tensorboard=False, usage=usage)
    log_updates(journal, 1, 1)
    assert entries(tmp_path)[0]["perplexity"] == [200, 100]


def test_damaged_lines_are_dropped(tmp_path):
    whole = '{"update": 3, "time": 1.0}\n'
    (tmp_path / "log.jsonl").write_bytes(whole.encode() + b"\xff\x00garbage\n[1]\n{}\n" + whole.encode())
    Journal(tmp_path, 5, 10, tensorboard=False)
    assert (tmp_path / "log.jsonl").read_text() == 2 * whole


def test_a_log_that_cannot_be_written_is_one_line(tmp_path):
    journal = Journal(tmp_path, 0, 1, tensorboard=False)
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(WriteError, match=r"log\.jsonl: cannot be written"):
        log_updates(journal, 1, 1)


def test_tensorboard_gets_losses_scores_and_audio(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    journal = Journal(tmp_path, 0, 1000, tensorboard=True, usage=usage)
    log_updates(journal, 1, UPDATES_PER_ENTRY)
    journal.validation(50, {"si_snr@6": 4.5}, {})
    journal.audio("speech@6", 0.1 * torch.randn(1, 24000), 24000, 50)
    journal.close()
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert board.Scalars("training/time")[0].value == 25.5
    assert board.Scalars("validation/si_snr@6")[0].value == 4.5
    assert board.Scalars("perplexity/codebook_01")[0].value == 100
    assert board.Scalars("used/codebook_00")[0].value == 1
    assert board.Tags()["audio"] == ["speech@6"]
    assert board.Tags()["images"] == ["speech@6/spectrogram"]


def test_shares_of_the_gradient_add_up_to_one(tmp_path, log):
    """A loss that takes part in half of the updates, with a half there, has a quarter of all."""
    journal = Journal(tmp_path, 0, UPDATES_PER_ENTRY, tensorboard=False)
    for number in range(1, UPDATES_PER_ENTRY + 1):
        shares = {"fraction_mel": 1.0} if number % 2 else {"fraction_mel": 0.5, "fraction_adversarial": 0.5}
        journal.update(number, shares, {})
    (entry,) = log(tmp_path)
    assert entry["fraction_adversarial"] == 0.25
    assert entry["fraction_mel"] == 0.75
