"""The sentences at the head of a report."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from earmark.eval.report.choice import headline_metric
from earmark.eval.report.summary import headlines, leads
from earmark.eval.statistics.aggregate import summarise
from earmark.eval.statistics.differences import differences

RATES = {"opus@6": 5.7, "encodec_24khz@6": 6.0, "opus@12": 11.7, "mp3@64": 64.0, "reference": np.nan}


def kbps(system: str) -> float:
    return RATES.get(system, float(system.partition("@")[2] or "nan"))


def run(metric="visqol", files=12, **means):
    """Scores of `files` recordings, spread a little around each system's mean."""
    apart = np.linspace(-0.1, 0.1, files)
    return pd.DataFrame(
        {
            "file": f"{index}.wav", "category": "speech", "system": system, "metric": metric,
            "value": mean + (apart[index] if number % 2 else -apart[index]), "status": "ok",
            "kbps_nominal": kbps(system), "kbps": kbps(system), "encode_seconds": 1.0, "decode_seconds": 1.0,
            "duration": 5.0,
        }
        for number, (system, mean) in enumerate(means.items())
        for index in range(files)
    )  # fmt: skip


def test_a_system_leads_where_none_is_better_for_its_bits():
    """opus@6 spends 5 % less than encodec@6, the same bit rate; mp3@64 is worse at 5 times the bit rate."""
    means = {"opus@6": 2.0, "encodec_24khz@6": 3.5, "opus@12": 4.0, "mp3@64": 3.9, "reference": 5.0}
    result = leads(summarise(run(**means)), "visqol", "speech")
    assert [(one.system, one.rival) for one in result] == [
        ("encodec_24khz@6", "opus@6"),
        ("opus@12", "encodec_24khz@6"),
    ]
    assert [round(one.gap, 6) for one in result] == [1.5, 0.5]


def test_the_sentence_says_what_is_significant():
    """One system is better on all 12 files: p = 2 / 2^12, times 3 pairs is 0.0015."""
    scores = run(**{"opus@6": 2.0, "encodec_24khz@6": 3.5, "opus@12": 3.51})
    (found,) = headlines(summarise(scores), differences(scores, "visqol"), "visqol")
    sentence = found.text
    assert sentence.startswith("speech: encodec_24khz@6 (3.50) up to 6.0 kbps, 1.50 ahead of opus@6 (significant);")
    assert "opus@12 (3.51) up to 11.7 kbps, 0.01 ahead of encodec_24khz@6 (not significant, p = " in sentence
    assert sentence.endswith("Of 3 pairs of systems 2 differ significantly.")


def test_many_leaders_are_folded_below_the_two_ends():
    """Six bit rates, each better than those below it."""
    scores = run(**{f"opus@{kbps}": quality for kbps, quality in zip((6, 8, 12, 16, 24, 32), range(1, 7), strict=True)})
    (found,) = headlines(summarise(scores), differences(scores, "visqol"), "visqol")
    assert (found.is_long, len(found.clauses)) == (True, 6)
    assert re.match(r"speech: from opus@6 \(1\.00\) at \S+ kbps to opus@32 \(6\.00\) at \S+ kbps\. ", found.short)


def test_where_less_is_better_the_lowest_leads():
    scores = run("mel_distance", **{"opus@6": 9.0, "encodec_24khz@6": 7.0})
    (found,) = headlines(summarise(scores), differences(scores, "mel_distance"), "mel_distance")
    assert "encodec_24khz@6 (7.00) up to 6.0 kbps, 2.00 ahead of opus@6 (significant)" in found.text


def test_conditions_without_a_bit_rate_lead_nothing():
    scores = run(reference=5.0)
    assert headlines(summarise(scores), differences(scores, "visqol"), "visqol") == []


def test_visqol_makes_the_headline_wherever_it_stands():
    """`--metrics si_snr,visqol` is the default."""
    si_snr, visqol = run("si_snr", **{"opus@6": 9.0}), run(**{"opus@6": 3.0})
    assert headline_metric(pd.concat([si_snr, visqol])) == "visqol"
    assert headline_metric(si_snr) == "si_snr"
    assert headline_metric(pd.concat([si_snr, visqol.assign(status="error")])) == "si_snr"
