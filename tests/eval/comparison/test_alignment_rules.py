"""Rules of alignment: stated delays, the delay that most files share, and what the terminal and the report say."""

from __future__ import annotations

import pandas as pd
import pytest

from earmark.codec.errors import UserError
from earmark.eval.alignment.result import SEARCH, Alignment, Rule
from earmark.eval.comparison.alignment import Consensus, GivenDelay, read_delays
from earmark.eval.comparison.removed_delays import removed_delays
from earmark.eval.report.alignment import alignment_grids

RATE = 48_000


def test_delays_are_read_in_samples_and_milliseconds():
    delays = read_delays(["mine=22s", "mine@6=-1.5ms", "a=b=3 samples"])
    assert delays == {"mine": GivenDelay(22, "s"), "mine@6": GivenDelay(-1.5, "ms"), "a=b": GivenDelay(3, "s")}
    assert delays["mine"].samples(RATE) == 22
    assert delays["mine@6"].samples(44_100) == -66  # 1.5 ms x 44.1 kHz = 66.15


@pytest.mark.parametrize("value", ["mine", "mine=22", "=22s", "mine=22h", "mine=s"])
def test_other_forms_are_refused(value):
    with pytest.raises(UserError, match="--delay"):
        read_delays([value])


def found(removed: float, *, clear: bool = True, sign: int = 1, mode: str = "search") -> Alignment:
    return Alignment(RATE, mode, removed=removed, delay=removed, clear=clear, sign=sign)


def heard(*alignments: Alignment) -> Consensus:
    consensus = Consensus()
    for one in alignments:
        consensus.add("mine", one)
    return consensus


def test_most_files_decide_for_a_tone():
    tone = found(85, clear=False)
    consensus = heard(found(37), found(37), found(38), tone)
    assert consensus.rule("mine", RATE) == Rule("shared", 37.0, 1)
    assert consensus.contradicts("mine", tone) == Rule("shared", 37.0, 1)
    assert consensus.contradicts("mine", found(37)) is None
    assert consensus.rule("other", RATE) is None
    assert consensus.rule("mine", 44_100) is None  # rates have delays of their own


def test_files_that_disagree_keep_their_own():
    assert heard(found(0), found(500), found(1000), found(1500)).rule("mine", RATE) is None


def test_a_shared_rule_falls_when_the_others_no_longer_agree():
    earlier = Alignment(RATE, "shared", 37.0, removed=37.0)
    assert heard(found(0), found(500)).contradicts("mine", earlier) == SEARCH


def test_documented_delays_do_not_speak():
    consensus = heard(found(3, mode="documented"))
    assert not consensus.speaks


def test_inverted_polarity_is_shared():
    assert heard(found(5, sign=-1), found(5, sign=-1), found(5)).rule("mine", RATE) == Rule("shared", 5.0, -1)


@pytest.fixture
def run() -> tuple[pd.DataFrame, dict]:
    rows = [("a.wav", "mine@6", 37.0, "", 0), ("b.wav", "mine@6", 37.0, "inverted", 0),
            ("c.wav", "mine@6", 900.0, "outlier (+900 samples instead of +37 samples)", 12),
            ("a.wav", "opus@6", -3.0, "", 0)]  # fmt: skip
    scores = pd.DataFrame(rows, columns=["file", "system", "delay", "marks", "beyond_full_scale"]).assign(
        sign=[1, -1, 1, 1], gain_db=0.0, peak=0.9, drift_ppm=0.0, true_peak_db=[-1.0, -2.0, 6.2, -3.0]
    )
    return scores, {"recordings": [{"file": name, "sample_rate": RATE} for name in ("a.wav", "b.wav", "c.wav")]}


def test_the_terminal_names_removed_delays(run):
    """37 samples at 48 kHz are 0.77 ms. The delay of Opus is documented."""
    assert list(removed_delays(*run)) == ["mine@6: 37 samples (0.8 ms) late in 2 of 3 recordings, removed"]


def test_the_report_has_delays_levels_and_marked_files(run):
    systems, files = alignment_grids(*run)
    mine = systems.data[0]
    assert (mine["delay"], mine["inverted"], mine["true_peak_db"], mine["beyond_full_scale"]) == (37.0, 1, 6.2, 12)
    assert mine["delay_ms"] == pytest.approx(0.771, abs=0.001)
    assert systems.rows[0][1] == "37 (37 to 900)"
    assert [row[:2] for row in files.rows] == [("mine@6", "b.wav"), ("mine@6", "c.wav")]
    assert {note.partition(":")[0] for note in files.notes} == {"inverted", "outlier"}


def test_earlier_runs_have_no_section(run):
    scores, info = run
    assert alignment_grids(scores.drop(columns="marks"), info) == []
    assert list(removed_delays(scores.drop(columns="delay"), info)) == []
