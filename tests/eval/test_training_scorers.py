"""Metrics as scorers of a training's validation, in this process and in another."""

from __future__ import annotations

import pickle

import numpy as np

from earmark.codec.training.scoring import Beside
from earmark.eval.training_scorers import metric_scorers, visqol_scorer


def test_a_scorer_is_the_same_in_another_process():
    """As bytes, from which the other process looks the metrics up by their names."""
    scorers = {"visqol": visqol_scorer(), **metric_scorers(["si_sdr"])}
    assert Beside(scorers).available
    copies = pickle.loads(pickle.dumps(scorers))
    assert copies["visqol"]._speech.name == "visqol_speech"
    assert copies["visqol"]._other.name == "visqol_audio"
    reference = np.random.default_rng(0).standard_normal(24000).astype(np.float32)
    decoded = reference + 0.1 * np.random.default_rng(1).standard_normal(24000).astype(np.float32)
    score = copies["si_sdr"]("music", reference, decoded, 24000)
    assert score == scorers["si_sdr"]("music", reference, decoded, 24000)
    assert 19.5 < score < 20.5  # noise at -20 dB
