"""Pre-flight checks: a faultless study passes all of them, and each planted fault fails or warns in its check."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console
from scipy.signal import butter, sosfilt

from earmark.cli import cli
from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.eval.alignment.plain import signed_lag
from earmark.mushra_app.building import bs1534, preflight, preflight_tables
from earmark.mushra_app.building.preflight import check_study, refuse_failures
from earmark.mushra_app.building.stimulus_measures import CACHE, lag_and_correlation, measure_study
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study.duration import session_minutes
from earmark.mushra_app.study.pages import Headphones, Questionnaire, Training, Trials, Volume
from earmark.mushra_app.study.questions import Question
from earmark.mushra_app.study.study import Condition, Item, Stimulus, Study

RATE = 48_000
HEADPHONES = "headphones or loudspeakers, the same type for all"
NAMES = {"reference": "hidden reference", "anchor@3.5k": "low anchor", "opus@6": "system", "mp3@64": "system"}
Change = Callable[[np.ndarray], np.ndarray]


def write(folder: Path, changes: dict[str, Change] | None = None, rate: int = RATE) -> Study:
    """Write a study of two noise items in four conditions that differ by a little noise.

    Args:
        changes: condition -> function applied to its signal in the first item.
    """
    items = []
    for number in range(2):
        rng = np.random.default_rng(number)
        source = 0.1 * rng.standard_normal((1, RATE))
        stimuli = {}
        for name in NAMES:
            coded = source if name == "reference" else source + 0.01 * rng.standard_normal(source.shape)
            if number == 0 and changes and name in changes:
                coded = changes[name](coded)
            path = f"{number}{len(stimuli)}.wav"
            audio.write(folder / "audio" / path, coded.astype(np.float32), rate, "PCM_16")
            stimuli[name] = Stimulus(path, 0.0, -23.0)
        items.append(Item(f"item-{number}", "noise", "noise.wav", 0.0, 1.0, stimuli))
    conditions = tuple(Condition(name, role) for name, role in NAMES.items())
    study = Study("test", RATE, 10, 2, conditions, tuple(items), {})
    studies.save(study, folder)
    return study


def problems(folder: Path, changes: dict[str, Change] | None = None, **more: int) -> dict[str, tuple[str, str]]:
    """Check -> (status, evidence), for the checks that are not ok."""
    study = write(folder, changes, **more)
    return {one.check: (one.status, one.evidence) for one in check_study(study, folder).findings if one.status != "ok"}


def test_a_faultless_study_passes_every_check(tmp_path):
    assert problems(tmp_path) == {}
    assert len(check_study(studies.load(tmp_path), tmp_path).findings) == len(preflight.CHECKS) == 10


def test_unequal_lengths_fail(tmp_path):
    result = problems(tmp_path, {"opus@6": lambda x: x[:, :-480]})
    assert result == {"equal lengths": ("fail", "item-0 has conditions of 47520, 48000 samples")}


def test_another_sample_rate_fails(tmp_path):
    status, evidence = problems(tmp_path, rate=44_100)["equal rates and formats"]
    assert status == "fail"
    assert evidence.startswith("item-0 in reference is at 44100 Hz, the study at 48000 Hz; ")
    assert evidence.endswith("(and 5 more)")  # 2 items of 4 conditions, minus the three listed


def test_stereo_among_mono_fails(tmp_path):
    result = problems(tmp_path, {"opus@6": lambda x: np.vstack([x, x])})
    assert result["equal rates and formats"] == ("fail", "item-0 has conditions of 1, 2 channels")


def test_a_file_of_another_format_fails(tmp_path):
    """One second of mono takes 96 000 bytes at 16 bits and 144 000 at 24, plus the header."""
    study = write(tmp_path)
    path = tmp_path / "audio" / study.items[1].stimuli["opus@6"].audio
    audio.write(path, audio.read(path).samples, RATE, "PCM_24")
    (finding,) = check_study(study, tmp_path).with_status("fail")
    assert finding.check == "equal rates and formats"
    assert re.fullmatch(r"item-1 has files of 960\d\d, 144\d{3} bytes, so their formats differ", finding.evidence)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (48, {}),
        (49, {"lag against the reference": ("warn", "item-0 in opus@6 by +1.0 ms")}),
        (-312, {"lag against the reference": ("warn", "item-0 in opus@6 by -6.5 ms")}),
        (960, {"lag against the reference": ("fail", "item-0 in opus@6 by +20.0 ms")}),
    ],
)
def test_lag(tmp_path, samples, expected):
    """1 ms is 48 samples, 6.5 ms are 312 (Opus' look-ahead), 20 ms are 960."""
    assert problems(tmp_path, {"opus@6": lambda x: np.roll(x, samples, axis=1)}) == expected


def test_a_signal_uncorrelated_with_the_reference_has_no_lag(tmp_path):
    other = 0.1 * np.random.default_rng(9).standard_normal((1, RATE))
    assert problems(tmp_path, {"opus@6": lambda _: other}) == {}


@pytest.mark.parametrize("shift", [-7, 0, 3, 10])
def test_the_lag_equals_that_of_eval_alignment(shift):
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((2, 4000)).astype(np.float32)
    signal = np.roll(reference, shift, axis=1) + 0.1 * rng.standard_normal((2, 4000)).astype(np.float32)
    lag, correlation = lag_and_correlation(reference, signal, RATE)
    assert lag == signed_lag(reference, signal) == shift
    assert correlation == pytest.approx(1 / np.sqrt(1.01), abs=0.01)


@pytest.mark.parametrize(("noise", "expected"), [(2.0, 0), (0.1, 960)])
def test_only_a_certain_match_contradicts_the_alignment_of_the_run(noise, expected):
    """White noise, 20 ms late: with as much more noise the heights are 1 / sqrt(1 + 2^2) = 0.45 and 0.995."""
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((1, RATE)).astype(np.float32)
    signal = np.roll(reference, 960, axis=1) + noise * rng.standard_normal((1, RATE)).astype(np.float32)
    assert lag_and_correlation(reference, signal, RATE)[0] == 960
    assert lag_and_correlation(reference, signal, RATE, aligned=True)[0] == expected


def test_a_periodic_signal_is_not_late_by_a_period():
    tone = np.sin(2 * np.pi * 100 * np.arange(4800) / RATE)[np.newaxis].astype(np.float32)
    assert lag_and_correlation(tone, tone, RATE) == (0, pytest.approx(1))
    assert lag_and_correlation(tone, 0 * tone, RATE) == (0, 0)


def test_louder_by_two_decibels(tmp_path):
    """A factor of 10^(2/20) in amplitude is 2 dB; for noise with the same spectrum, 2 LU."""
    status, evidence = problems(tmp_path, {"opus@6": lambda x: x * 10 ** (2 / 20)})["loudness"]
    assert status == "warn"
    assert evidence.startswith("item-0: opus@6 is 2.")


def test_clipping(tmp_path):
    def clip(x: np.ndarray) -> np.ndarray:
        x = x.copy()
        x[0, 100:103] = 1  # three consecutive samples
        x[0, 200:202] = 1  # only two
        x[0, 300:310] = -1.5
        return x

    assert problems(tmp_path, {"mp3@64": clip})["clipping"] == ("warn", "item-0 in mp3@64: 2 runs")


def test_silence_fails(tmp_path):
    assert problems(tmp_path, {"mp3@64": lambda x: 0 * x}) == {"silence": ("fail", "item-0 in mp3@64")}


def test_a_copy_of_the_reference_is_a_warning(tmp_path):
    source = 0.1 * np.random.default_rng(0).standard_normal((1, RATE))
    result = problems(tmp_path, {"mp3@64": lambda _: source})
    assert result == {"copies of the reference": ("warn", "item-0 in mp3@64")}


def test_missing_and_damaged_files_fail(tmp_path):
    study = write(tmp_path)
    (tmp_path / "audio/01.wav").unlink()
    (tmp_path / "audio/12.wav").write_bytes(b"RIFF")
    (files, *others) = check_study(study, tmp_path).findings
    assert (files.check, files.status) == ("files", "fail")
    assert "01.wav" in files.evidence
    assert "12.wav" in files.evidence
    assert {finding.status for finding in others} == {"ok"}


def test_conditions(tmp_path):
    study = write(tmp_path)
    many = tuple(Condition(f"codec{number}", "system") for number in range(12))
    measured = measure_study(study, tmp_path)
    finding = preflight.conditions(replace(study, conditions=(*study.conditions[:1], *many)), measured)
    assert (finding.status, finding.evidence) == ("fail", "13, but a trial has at most 12 (BS.1534-3, 5.3)")
    no_reference = replace(study, conditions=study.conditions[1:])
    assert preflight.conditions(no_reference, measured).evidence == "0 hidden references instead of one"
    only_reference = replace(study, conditions=study.conditions[:2])
    assert preflight.conditions(only_reference, measured).evidence == "no system under test among them"


def test_session_length(tmp_path):
    """8 conditions and the reference, 5 s each, heard twice: 9 x 5 x 2 = 90 s per trial; with 3 minutes for the other
    pages, 24 trials take 39 minutes and 18 fit in 30.
    """
    study = write(tmp_path)
    eight = tuple(Condition(f"codec{number}", "system") for number in range(8))
    item = replace(study.items[0], seconds=5.0)
    long = replace(study, conditions=eight, items=(item,) * 30, trials_per_listener=24)
    assert session_minutes(long) == 39
    assert preflight.session(long, {}) == preflight.Finding(
        "session", "warn", "about 39 minutes; 18 trials per listener would fit in 30"
    )
    assert preflight.session(replace(long, trials_per_listener=18), {}).status == "ok"


def test_a_session_includes_all_its_pages(tmp_path):
    """Trials of 2 x 9 x 5 s = 90 s: 20 rated, 1 repeated and 2 for practice take 34.5 minutes. The headphone check
    plays 6 x 4 s; with its 6 answers, two questions and the instruction that is 6 x 4 s + 9 x 10 s = 1.9 minutes. With
    the other pages that is 36.4 + 3 minutes, rounded up 40; each trial less saves 1.5, so that 13 trials take 29.
    """
    study = write(tmp_path)
    eight = tuple(Condition(f"codec{number}", "system") for number in range(8))
    questions = (Question("a", "A?", "text"), Question("b", "B?", "text"))
    pages = (Questionnaire(questions), Volume(), Headphones("huggins"), Training("item-0"), Training("item-1"),
             Trials(attention=("instructed", "repeated")))  # fmt: skip
    items = (replace(study.items[0], seconds=5.0),) * 30
    served = replace(study, conditions=eight, items=items, trials_per_listener=20, pages=pages)
    assert session_minutes(served) == 40
    assert preflight.session(served, {}).evidence == "about 40 minutes; 13 trials per listener would fit in 30"


def test_a_study_is_measured_again_only_when_a_file_changes(tmp_path):
    study = write(tmp_path)
    first = measure_study(study, tmp_path)
    cache = tmp_path / CACHE
    cache.write_text(cache.read_text().replace('"clipped": 0', '"clipped": 7'))  # unlike a measurement
    assert measure_study(study, tmp_path)["item-0"]["opus@6"].clipped == 7
    audio.write(tmp_path / "audio/02.wav", np.zeros((1, 100), np.float32), RATE, "PCM_16")
    assert measure_study(study, tmp_path)["item-0"]["opus@6"].samples == 100
    cache.write_text("damaged")
    assert measure_study(study, tmp_path)["item-1"] == first["item-1"]


def test_serve_refuses_a_study_that_fails_a_check(tmp_path):
    study = write(tmp_path, {"mp3@64": lambda x: 0 * x})
    with pytest.raises(UserError, match=r"silence: item-0 in mp3@64; see `earmark study check .*--force"):
        refuse_failures(study, tmp_path)
    assert refuse_failures(write(tmp_path / "good"), tmp_path / "good").with_status("fail") == []


def test_bs1534_point_by_point(tmp_path):
    study = write(tmp_path)
    listed = bs1534.points(study, check_study(study, tmp_path))
    assert [point.clause for point in listed] == sorted(point.clause for point in listed)
    points = {point.requirement: point for point in listed}
    assert points["items of about 10 s, not over 12 s"].clause == "5.1"
    assert points["listeners not overloaded"].met == "experimenter"  # the Recommendation states no longest session
    assert points["a hidden reference"].met == points["a low anchor, 3.5 kHz low-pass"].met == "yes"
    assert points["a mid anchor, 7 kHz low-pass"].met == "no"
    assert points["a mid anchor, 7 kHz low-pass"].evidence == "no condition is the mid anchor"
    screening = points["post-screening by hidden reference and mid anchor"]
    assert (screening.met, screening.evidence) == ("no", "no condition is the mid anchor")
    assert points["about 20 assessors, more where conditions are not controlled"].met == "no"  # 10 annotations per item
    assert points["at least 5 items and 1.5 times as many as systems"].evidence == "2 items, 2 systems"
    assert points["training with all signals before the test"].met == "no"
    assert "ask for them in the instructions" in points[HEADPHONES].evidence


def test_bs1534_reads_the_pages_of_the_session(tmp_path):
    study = replace(write(tmp_path), pages=(Headphones("huggins"), Training("item-0"), Trials()))
    points = {point.requirement: point for point in bs1534.points(study, check_study(study, tmp_path))}
    training = points["training with all signals before the test"]
    assert (training.met, training.evidence) == ("yes", "1 practice trial")
    assert "the headphone check turns away listeners without headphones" in points[HEADPHONES].evidence


def test_earmark_study_check(tmp_path):
    write(tmp_path / "good")
    result = CliRunner().invoke(cli, ["study", "check", str(tmp_path / "good")])
    assert result.exit_code == 0
    assert "0 of 10 checks failed, 0 warnings" in result.output
    assert "ITU-R BS.1534-3" in result.output
    write(tmp_path / "bad", {"mp3@64": lambda x: x[:, :100]})
    result = CliRunner().invoke(cli, ["study", "check", str(tmp_path / "bad")])
    assert result.exit_code == 1
    assert "FAIL" in result.output


def test_names_with_control_characters_do_not_act_on_the_terminal():
    """A study.json from elsewhere may name an item by an escape sequence."""
    result = preflight.Preflight((preflight.Finding("audio", "fail", "item a\x1b[2Jb"),))
    console = Console(record=True, width=80)
    console.print(preflight_tables.findings_table(result))
    assert "a\\x1b[2Jb" in console.export_text()


@pytest.mark.parametrize("clip", ["speech_libri_m_5703.ogg", "speech_lyra_1_48k.wav", "speech_libri_f_198.ogg"])
def test_a_codec_that_bends_the_phase_is_not_late(shared, clip):
    """Low frequencies that are 4 ms late, as in the high-pass filter of a speech codec, do not make the signal late."""
    recording = audio.read(shared / "audio" / clip)
    samples = recording.samples[:, : 3 * recording.sample_rate]
    sections = butter(4, 90, "highpass", fs=recording.sample_rate, output="sos")
    filtered = sosfilt(sections, samples).astype(np.float32)
    lag, _ = lag_and_correlation(samples, filtered, recording.sample_rate)
    assert abs(lag) <= 0.001 * recording.sample_rate
