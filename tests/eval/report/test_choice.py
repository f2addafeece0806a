"""On real recordings, ViSQOL ranks Opus by its bit rate, as the paper's tables do."""

from __future__ import annotations

import pytest

from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.codec import audio
from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.registry import find

SPEECH = ("speech_libri_f_198.ogg", "speech_libri_m_3436.ogg", "speech_libri_m_5703.ogg", "speech_lyra_1_48k.wav")


@pytest.mark.parametrize(
    ("name", "metric"), [*((name, "visqol_speech") for name in SPEECH), ("music_trumpet.ogg", "visqol_audio")]
)
def test_opus_at_12_kbps_is_above_opus_at_6(shared, name, metric):
    """By at least a quarter of a point on a scale of four."""
    reason = find(metric).available()
    if reason is not None:
        pytest.skip(reason)
    recording = audio.read(shared / "audio" / name)
    source = recording.samples[:, : 5 * recording.sample_rate]

    def visqol(text: str) -> float:
        system = parse(text)
        codec = family_of(system).open(system, recording.sample_rate, source.shape[0])
        decoded = transcode(codec, source, recording.sample_rate).audio
        value = evaluate(find(metric), source, decoded, recording.sample_rate).value
        assert value is not None
        return value

    assert visqol("opus@12") > visqol("opus@6") + 0.25
