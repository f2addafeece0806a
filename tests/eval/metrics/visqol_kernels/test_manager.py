"""Our kernels against the library itself: every number of a result equal to the last bit."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest

from earmark.eval.metrics import visqol

pytest.importorskip("visqol")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("numba")

RATES = {"speech": 16000, "audio": 48000}


@pytest.fixture(scope="module")
def managers():
    """(the library, the kernels) for both modes; models are loaded once."""
    pairs = {}
    with pytest.MonkeyPatch.context() as patch:
        for mode in RATES:
            patch.setattr(visqol, "_kernels", lambda: None)
            library = visqol._manager.__wrapped__(mode)
            patch.undo()
            pairs[mode] = (library, visqol._manager.__wrapped__(mode))
    return pairs


def numbers(result) -> list:
    """All numbers of a result and of its patches, without the centre frequencies, which our manager leaves out."""
    fields = dataclasses.asdict(result)
    patches = [list(patch.values()) for patch in fields.pop("patch_sims")]
    del fields["center_freq_bands"]
    return [*fields.values(), *(value for patch in patches for value in patch)]


def results(pair, reference, decoded, rate) -> tuple[list, list]:
    from visqol.audio_utils import AudioSignal

    signals = AudioSignal(reference, rate), AudioSignal(decoded, rate)
    library, kernels = (numbers(manager.run_from_signals(*signals)) for manager in pair)
    return library, kernels


def require_equal(pair, reference, decoded, rate) -> None:
    library, kernels = results(pair, reference, decoded, rate)
    assert len(library) == len(kernels)
    for expected, value in zip(library, kernels, strict=True):
        np.testing.assert_array_equal(value, expected, strict=True)


def damaged(x: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    """Typical changes of a signal [time] by codecs and transports."""
    noise = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    lost, hum = x.copy(), np.sin(np.arange(x.size) * 2 * np.pi * 50 / rate).astype(np.float32)
    lost[x.size // 3 : x.size // 2] = 0
    return {
        "itself": x,
        "noise": x + np.float32(0.004) * noise,
        "quieter, with hum": np.float32(0.3) * x + np.float32(0.01) * hum,
        "early": np.concatenate([x[rate // 10 :], np.zeros(rate // 10, np.float32)]),
        "late": np.concatenate([np.zeros(rate // 7, np.float32), x[: -(rate // 7)]]) + np.float32(0.001) * noise,
        "a part lost": lost,
        "a part repeated": np.concatenate([x[: x.size // 2], x[x.size // 2 - rate // 5 : -rate // 5]]),
        "one bit per sample": np.sign(x) * np.abs(x).mean(),
    }


@pytest.mark.parametrize(("mode", "name"), [
    ("speech", "speech_libri_m_3436.ogg"), ("audio", "music_trumpet.ogg"), ("audio", "speech_lyra_1_48k.wav"),
])  # fmt: skip
def test_scores_equal_the_library_s_to_the_last_bit(mode, name, clip, managers):
    rate = RATES[mode]
    reference = clip(name, 2.3, rate)[0]
    for decoded in damaged(reference, rate).values():
        require_equal(managers[mode], reference, decoded, rate)


@pytest.mark.parametrize("mode", RATES)
@pytest.mark.parametrize("seconds", [1.0, 1.337])
def test_lengths_that_fill_no_vector(mode, seconds, clip, managers):
    """Speech mode has 21 bands in lanes for 24, and no number of candidates here is a multiple of 32."""
    rate = RATES[mode]
    reference = clip("speech_lyra_2_48k.wav", seconds, rate)[0]
    noise = np.random.default_rng(1).standard_normal(reference.shape).astype(np.float32)
    require_equal(managers[mode], reference, reference + np.float32(0.01) * noise, rate)


def test_references_in_turns_do_not_mix(clip, managers):
    """Values kept of one reference are not used for another of the same length."""
    first, second = (clip(name, 1.5, 48000)[0] for name in ("music_trumpet.ogg", "sound_robin.ogg"))
    for _ in range(2):
        require_equal(managers["audio"], first, second, 48000)
        require_equal(managers["audio"], second, first, 48000)


def test_a_patch_without_counterpart(managers):
    """The reference has a tone where the decoded signal ends, so that the best path leaves the last patches out."""
    time = np.arange(3 * 16000) / 16000
    reference = np.sin(2 * np.pi * 300 * time * (1 + time)).astype(np.float32)
    decoded = np.random.default_rng(0).standard_normal(reference.size // 2).astype(np.float32)
    require_equal(managers["speech"], reference, decoded, 16000)


def test_the_library_s_warning_is_given_too(clip, managers, caplog):
    """Delayed by 1.4 of its 3 s, the decoded signal ends before the last patches of the reference."""
    sound = clip("speech_libri_f_198.ogg", 3, 16000)[0]
    late = np.zeros_like(sound)
    late[22000:] = sound[:26000]
    with caplog.at_level(logging.WARNING, "visqol"):
        require_equal(managers["speech"], sound, late, 16000)
    library, kernels = (record.getMessage() for record in caplog.records)
    assert library == kernels
    assert library.startswith("Dropping")


def test_too_short_for_a_window_is_refused_as_by_the_library(managers):
    from visqol.audio_utils import AudioSignal

    short = AudioSignal(np.ones(1280), 16000)
    for manager in managers["speech"]:
        with pytest.raises(ValueError, match="1280"):
            manager.run_from_signals(short, short)


@pytest.mark.parametrize("mode", RATES)
def test_the_reference_is_analysed_once(mode, clip, managers, monkeypatch):
    """A second system costs the analysis of its own signal, whole and in the patches, and no more."""
    from earmark.eval.metrics.visqol_kernels import manager, reference

    seen = {"reference": 0, "decoded": 0}
    for module, name in ((reference, "reference"), (manager, "decoded")):
        plain = module.amplitudes
        monkeypatch.setattr(module, "amplitudes", lambda *signal, plain=plain, name=name, **options: (
            seen.update({name: seen[name] + 1}) or plain(*signal, **options)
        ))  # fmt: skip
    rate = RATES[mode]
    x = clip("music_sugar_plum.ogg", 2, rate)[0]
    kernels = managers[mode][1]
    from visqol.audio_utils import AudioSignal

    result = kernels.run_from_signals(AudioSignal(x, rate), AudioSignal(x, rate))
    once = seen["reference"]
    assert once == seen["decoded"] == 1 + len(result.patch_sims)
    kernels.run_from_signals(AudioSignal(x, rate), AudioSignal(np.float32(0.5) * x, rate))
    assert seen == {"reference": once, "decoded": 2 * once}
