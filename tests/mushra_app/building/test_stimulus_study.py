"""Studies from folders of stimuli: two layouts, every fault in one table, and the mended folder in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from earmark.cli import cli
from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.eval.levels import loudness
from earmark.mushra_app.building.bs1534 import points
from earmark.mushra_app.building.preflight import check_study
from earmark.mushra_app.building.stimulus_faults import StimulusError
from earmark.mushra_app.building.stimulus_study import StimuliRequest, build_from_stimuli
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.web import create_app
from tests.mushra_app.browsing import Listener, resize, serve

RATE = 16_000
SECONDS = 1.0
ITEMS = ("one", "two", "three", "four")
CONDITIONS = ("clean", "tts_a", "tts_b")
LAYOUTS = {"folders": "{condition}/{item}.wav", "{item}_{condition}.wav": "{item}_{condition}.wav"}


def noise(seed: int, samples: int = round(SECONDS * RATE), channels: int = 1) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, samples))).astype(np.float32)


def write_stimuli(folder: Path, pattern: str, items: tuple[str, ...] = ITEMS) -> Callable[[str, str], Path]:
    """Write noise for every item and condition; returns the function (item, condition) -> path."""

    def path(item: str, condition: str) -> Path:
        return folder / pattern.format(item=item, condition=condition)

    for number, item in enumerate(items):
        for index, condition in enumerate(CONDITIONS):
            signal = noise(number) + (0.2 * noise(100 + 10 * number + index) if index else 0)
            audio.write(path(item, condition), signal, RATE, "PCM_16")
    return path


def study_build(folder: Path, layout: str, *options: str) -> Result:
    arguments = ["study", "build", "--stimuli", str(folder), "--layout", layout, "--reference", "clean", *options]
    return CliRunner().invoke(cli, [*arguments, "-o", str(folder.parent / "study")], env={"COLUMNS": "200"})


@pytest.mark.parametrize(("layout", "pattern"), LAYOUTS.items(), ids=["folders", "pattern"])
def test_ten_faults_in_one_table_and_the_mended_folder_as_a_test(tmp_path, chromium, layout, pattern):
    """Conditions called tts_a and items called four_b make the pattern ambiguous; the reference's items decide."""
    folder = tmp_path / "wavs"
    path = write_stimuli(folder, pattern, ("one", "two", "three", "four_b"))
    mended = tmp_path / "mended"
    shutil.copytree(folder, mended)

    audio.write(path("extra", "tts_a"), noise(50), RATE)
    path("two", "tts_b").unlink()
    audio.write(path("one", "tts_a"), noise(51, RATE + 1_760), RATE)  # 110 ms
    audio.write(path("three", "tts_a"), noise(52, 24_000), 24_000)
    audio.write(path("one", "clean"), noise(0), RATE)
    soundfile.write(path("one", "clean").with_suffix(".flac"), noise(0).T, RATE)
    shutil.copy(path("one", "tts_b"), path("four_b", "tts_b"))
    path("two", "tts_a").write_bytes(path("three", "tts_b").read_bytes()[:8_000])
    audio.write(path("three", "tts_b"), 0 * noise(0), RATE)
    audio.write(folder / "readme.wav", noise(53), RATE)
    soundfile.write(path("four_b", "tts_a"), noise(54, channels=4).T, RATE)
    expected = [
        (path("extra", "tts_a"), "no reference; no file in tts_b"),
        (path("two", "tts_b"), "no file in tts_b"),
        (path("one", "tts_a"), "1.110 s, 110.0 ms longer than the reference"),
        (path("three", "tts_a"), "24000 Hz; its reference has 16000 Hz"),
        (path("one", "clean"), "the same item and condition as"),
        (path("one", "tts_b"), "the same audio as"),
        (path("two", "tts_a"), "truncated"),
        (path("three", "tts_b"), "silent"),
        (folder / "readme.wav", "outside the folders" if layout == "folders" else "does not match"),
        (path("four_b", "tts_a"), "4 channels"),
    ]

    result = study_build(folder, layout)
    assert isinstance(result.exception, StimulusError)
    rows = result.output.splitlines()
    for file, fault in expected:
        shown = file.relative_to(folder).as_posix()
        item = next((one for one in ("extra", "two") if fault.startswith("no ") and one in file.name), shown)
        assert any(fault in row and (item in row or shown in row) for row in rows), (fault, result.output)
    assert "10 faults: " in str(result.exception)
    assert str(result.exception).endswith("no study was written")
    assert not (tmp_path / "study").exists()

    assert study_build(mended, layout, "--bits", "24").exit_code == 0
    study = studies.load(tmp_path / "study")
    assert len(study.items) == 4
    assert check_study(study, tmp_path / "study").with_status("fail") == []
    app = create_app(tmp_path / "study")
    resize(chromium, 1280, 800)
    for url in serve(app):
        chromium.delete_all_cookies()
        listener = Listener(chromium, app, url)
        listener.begin()
        listener.rate_all([10, 20, 80, 90])
        listener.wait("#next:enabled").click()
        listener.wait_for_trial(2)
        assert set(listener.stored.condition) == {"clean", "tts_a", "tts_b", "anchor@3.5k"}
        chromium.get("about:blank")


def test_a_dry_run_checks_everything_and_writes_nothing(tmp_path):
    path = write_stimuli(tmp_path / "wavs", "{condition}/{item}.wav")
    result = study_build(tmp_path / "wavs", "folders", "--dry-run")
    assert result.exit_code == 0
    assert "4: 4 uncategorised" in result.output
    assert "tts_b (system), anchor@3.5k (low anchor)" in result.output
    path("one", "tts_a").unlink()
    assert isinstance(study_build(tmp_path / "wavs", "folders", "--dry-run").exception, StimulusError)
    assert not (tmp_path / "study").exists()


def test_a_study_is_replaced_only_with_force(tmp_path):
    write_stimuli(tmp_path / "wavs", "{condition}/{item}.wav")
    assert study_build(tmp_path / "wavs", "folders").exit_code == 0
    assert "add --force to replace it" in str(study_build(tmp_path / "wavs", "folders").exception)
    result = study_build(tmp_path / "wavs", "folders", "--force", "--no-anchor")
    assert result.exit_code == 0
    stimuli = {one.audio for item in studies.load(tmp_path / "study").items for one in item.stimuli.values()}
    assert {file.name for file in (tmp_path / "study/audio").iterdir()} == stimuli  # the anchors are removed


def test_keep_going_skips_the_items_with_faults(tmp_path):
    folder = tmp_path / "wavs"
    path = write_stimuli(folder, "{condition}/{item}.wav")
    path("two", "tts_b").unlink()
    audio.write(folder / "readme.wav", noise(53), RATE)
    result = study_build(folder, "folders", "--keep-going")
    assert result.exit_code == 1
    assert "skipped what has one of these 2 faults" in result.output
    assert [item.id for item in studies.load(tmp_path / "study").items] == ["four", "one", "three"]
    shutil.rmtree(folder / "tts_b")
    (folder / "tts_b").mkdir()
    without_a_condition = study_build(folder, "folders", "--keep-going", "--force").exception
    assert isinstance(without_a_condition, StimulusError)  # it is no item's fault


def test_the_study_holds_the_stimuli_as_they_are(tmp_path):
    """With --levels keep, at a usual rate, the samples of the study are those of the files, 24 bits of them."""
    folder = tmp_path / "wavs"
    for index, condition in enumerate(("reference", "codec")):
        audio.write(folder / condition / "music/a.wav", noise(index, 44_100, 2), 44_100, "PCM_24")
        audio.write(folder / condition / "speech/a.wav", noise(index + 5, 44_100, 1), 44_100, "PCM_24")
    built = build_from_stimuli(StimuliRequest(folder, tmp_path / "study", levels="keep", trials=1))
    study = built.study
    assert (study.sample_rate, study.trials_per_listener, built.notes) == (44_100, 1, [])
    assert [(item.id, item.category, item.file) for item in study.items] == [
        ("music/a", "music", "reference/music/a.wav"), ("speech/a", "speech", "reference/speech/a.wav"),
    ]  # fmt: skip
    assert {one.name: one.role for one in study.conditions} == {
        "reference": "hidden reference", "codec": "system", "anchor@3.5k": "low anchor",
    }  # fmt: skip
    for item in study.items:
        for condition in ("reference", "codec"):
            source, _ = soundfile.read(folder / condition / f"{item.id}.wav", dtype="int32")
            written, rate = soundfile.read(tmp_path / "study/audio" / item.stimuli[condition].audio, dtype="int32")
            assert rate == 44_100
            np.testing.assert_array_equal(source, written)
            assert soundfile.info(tmp_path / "study/audio" / item.stimuli[condition].audio).subtype == "PCM_24"


@pytest.mark.parametrize(("rates", "expected"), [((96_000,), 96_000), ((44_100, 48_000), 48_000), ((32_000,), 48_000)])
def test_the_rate_of_the_references_is_kept_if_sound_cards_have_it(tmp_path, rates, expected):
    folder = tmp_path / "wavs"
    for number, rate in enumerate(rates):
        for index, condition in enumerate(("reference", "codec")):
            audio.write(folder / condition / f"{number}.wav", noise(number + 5 * index, rate), rate, "PCM_16")
    study = build_from_stimuli(StimuliRequest(folder, tmp_path / "study")).study
    assert study.sample_rate == expected
    evidence = {one.requirement: one.evidence for one in points(study, check_study(study, tmp_path / "study"))}
    (material,) = (text for requirement, text in evidence.items() if requirement.startswith("critical material"))
    assert material == "the items are the author's choice"
    (finding,) = [one for one in check_study(study, tmp_path / "study").findings if "rates" in one.check]
    assert finding.status == ("warn" if expected == 96_000 else "ok")


def test_levels_and_lengths_are_matched_and_rates_converted(tmp_path):
    """A quiet codec at 8 kHz that returns 20 ms more than the reference of 22.05 kHz."""
    folder = tmp_path / "wavs"
    audio.write(folder / "reference/a.wav", noise(1, 22_050, 2), 22_050, "PCM_16")
    audio.write(folder / "codec/a.flac.wav", 0.1 * noise(2, 8_160), 8_000, "PCM_16")
    (folder / "codec/a.flac.wav").rename(folder / "codec/a.wav")
    built = build_from_stimuli(StimuliRequest(folder, tmp_path / "study", anchor=False))
    assert built.notes == [
        "codec: converted from 8000 Hz to 48000 Hz.",
        "codec: 1 mono file played in both channels, as others are stereo.",
        "reference: converted from 22050 Hz to 48000 Hz.",
        "codec: 1 file cut at the end by up to 20.0 ms.",
    ]
    (item,) = built.study.items
    assert set(item.stimuli) == {"reference", "codec"}
    for stimulus in item.stimuli.values():
        written = audio.read(tmp_path / "study/audio" / stimulus.audio)
        assert (written.samples.shape, written.sample_rate) == ((2, 48_000), 48_000)
        assert loudness(written.samples, 48_000) == pytest.approx(-23, abs=0.1)


def test_roles_by_option_and_by_name(tmp_path):
    folder = tmp_path / "wavs"
    path = write_stimuli(folder, "{item}/{condition}.wav")
    for item in ITEMS:
        path(item, "clean").rename(path(item, "Hidden Reference"))
    request = StimuliRequest(folder, tmp_path / "study", "{item}/{condition}", low_anchor="tts_a", mid_anchor=True)
    study = build_from_stimuli(request).study
    assert [(one.name, one.role) for one in study.conditions] == [
        ("Hidden Reference", "hidden reference"), ("tts_a", "low anchor"), ("tts_b", "system"),
        ("anchor@7k", "mid anchor"),
    ]  # fmt: skip


def test_some_conditions_and_some_items(tmp_path):
    folder = tmp_path / "wavs"
    write_stimuli(folder, "speech/{item}-{condition}.wav")
    layout = "{category}/{item}-{condition}.flac"
    request = StimuliRequest(folder, tmp_path / "study", layout, "clean", systems=("tts_b",), per_category=3)
    study = build_from_stimuli(request).study
    assert len(study.items) == 3
    assert {item.category for item in study.items} == {"speech"}
    assert [one.name for one in study.conditions] == ["clean", "tts_b", "anchor@3.5k"]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"reference": "cleen"}, "no such condition; the conditions are clean, tts_a, tts_b; did you mean clean?"),
        ({"reference": None}, "usual name for the hidden reference; name one by --reference: clean, tts_a, tts_b"),
        ({"systems": ("tts_c",)}, "tts_c: no such condition"),
        ({"low_anchor": "noisy"}, "noisy: no such condition for --low-anchor"),
        ({"systems": ("clean",)}, "no condition except the reference"),
    ],
)  # fmt: skip
def test_faults_of_options_are_in_the_table_too(tmp_path, options, fault):
    write_stimuli(tmp_path / "wavs", "{condition}/{item}.wav", ITEMS[:1])
    with pytest.raises(StimulusError) as caught:
        build_from_stimuli(StimuliRequest(tmp_path / "wavs", tmp_path / "study", **{"reference": "clean", **options}))
    assert any(fault in f"{one.where}: {one.fault}; {one.remedy}" for one in caught.value.faults)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("{item}.wav", "has no {condition}"),
        ("{item}_{codec}.wav", "has {codec}; write folders, or a pattern"),
        ("{item}{condition}", "put a character between two fields"),
        ("{item}+{condition}", "no file matches"),
    ],
)  # fmt: skip
def test_bad_layouts(tmp_path, layout, message):
    write_stimuli(tmp_path / "wavs", "{item}_{condition}.wav", ITEMS[:1])
    with pytest.raises(UserError, match=message):
        build_from_stimuli(StimuliRequest(tmp_path / "wavs", tmp_path / "study", layout))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name either a RUN or --stimuli DIR"),
        (["--stimuli", ".", "--seconds", "3"], "--seconds: cuts excerpts of a run"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(tmp_path, arguments, message):
    result = CliRunner().invoke(cli, ["study", "build", *arguments, "-o", str(tmp_path / "study")])
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)
