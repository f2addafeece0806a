"""webMUSHRA configurations become studies that pass the pre-flight checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from click.testing import CliRunner

from earmark.cli import cli, fail
from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.mushra_app.building.preflight import check_study
from earmark.mushra_app.building.stimulus_faults import StimulusError
from earmark.mushra_app.building.webmushra_study import import_webmushra
from earmark.mushra_app.study import study as studies

RATE = 44_100
CONFIG = """
testname: A small test
testId: 0042
pages:
    - type: generic
      id: first
      name: Welcome
    -
        - random
        - type: mushra
          id: 007
          reference: audio/one_ref.wav
          createAnchor35: true
          createAnchor70: false
          stimuli:
              C1: audio/one_c1.wav
              C2: audio/one_c2.wav
        - type: mushra
          id: on
          reference: audio/two_ref.wav
          createAnchor35: true
          stimuli:
              C2: audio/two_c2.wav
              C1: audio/two_c1.wav
    - type: finish
"""


def noise(seed: int, channels: int = 1, samples: int = RATE) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, samples))).astype(np.float32)


def webmushra(folder: Path, config: str = CONFIG) -> Path:
    """Write configs/test.yaml and, beside configs/, the audio, as in a webMUSHRA folder."""
    for number, item in enumerate(("one", "two")):
        for index, name in enumerate(("ref", "c1", "c2")):
            signal = noise(number) + 0.1 * noise(10 * number + index + 5)
            audio.write(folder / f"audio/{item}_{name}.wav", signal, RATE, "PCM_16")
    (folder / "configs").mkdir()
    (folder / "configs/test.yaml").write_text(config, encoding="utf-8")
    return folder / "configs/test.yaml"


def test_a_dry_run_shows_the_items_and_conditions_and_writes_nothing(tmp_path):
    arguments = ["study", "import", str(webmushra(tmp_path)), "-o", str(tmp_path / "study"), "--dry-run"]
    done = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert done.exception is None
    assert "items       2\n" in done.stdout
    assert "reference (hidden reference), C1 (system), C2 (system), anchor35 (low anchor)" in done.stdout
    assert not (tmp_path / "study").exists()


def test_items_conditions_and_skipped_pages(tmp_path):
    imported = import_webmushra(webmushra(tmp_path), tmp_path / "study", annotations=7)
    study = imported.study
    assert study == studies.load(tmp_path / "study")
    assert [item.id for item in study.items] == ["007", "on"]  # not 7, not True
    assert {condition.name: condition.role for condition in study.conditions} == {
        "reference": "hidden reference", "C1": "system", "C2": "system", "anchor35": "low anchor"
    }  # fmt: skip
    assert (study.name, study.sample_rate, study.annotations, study.trials_per_listener) == ("A small test", RATE, 7, 2)
    assert study.provenance["webMUSHRA testId"] == "0042"
    assert (study.texts.title, study.items_vary) == ("A small test", False)
    assert not any("Skipped" in note for note in imported.notes)
    assert not any("--" in note for note in imported.notes)


def test_audio_is_unchanged_except_for_the_anchor(tmp_path):
    study = import_webmushra(webmushra(tmp_path), tmp_path / "study").study
    stimuli = study.items[0].stimuli
    for condition, name in (("reference", "one_ref"), ("C1", "one_c1"), ("C2", "one_c2")):
        original, _ = soundfile.read(tmp_path / f"audio/{name}.wav", dtype="int16")
        copied, rate = soundfile.read(tmp_path / "study/audio" / stimuli[condition].audio, dtype="int16")
        assert rate == RATE
        np.testing.assert_array_equal(original, copied)
    anchor = audio.read(tmp_path / "study/audio" / stimuli["anchor35"].audio).samples[0]
    spectrum = np.abs(np.fft.rfft(anchor)) ** 2  # one bin per hertz
    assert 10 * np.log10(spectrum[4500:].mean() / spectrum[:3500].mean()) < -50  # BS.1534-3, 5.1: at 4.5 kHz


def test_the_study_passes_the_preflight_checks_and_file_names_do_not_reveal_the_condition(tmp_path):
    study = import_webmushra(webmushra(tmp_path), tmp_path / "study").study
    assert [
        finding.check for finding in check_study(study, tmp_path / "study").findings if finding.status == "fail"
    ] == []
    names = [path.name for path in (tmp_path / "study/audio").iterdir()]
    assert len(names) == 8
    assert all(len(name) == len(names[0]) and "c1" not in name[:2] for name in names)
    assert len({path.stat().st_size for path in (tmp_path / "study/audio").iterdir()}) == 1


def test_the_real_configuration(shared, tmp_path):
    """13 trials of a published test, 7 stimuli each; the audio is noise, mono for Mono and stereo for the others."""
    real = shared / "mushra/ambisonics_webmushra/webmushra_config.yaml"
    config = tmp_path / "configs/real.yaml"
    config.parent.mkdir()
    config.write_bytes(real.read_bytes())
    pages = [page for page in yaml.safe_load(real.read_text())["pages"][1] if isinstance(page, dict)]
    assert len(pages) == 13
    for number, page in enumerate(pages):
        for index, path in enumerate([page["reference"], *page["stimuli"].values()]):
            audio.write(tmp_path / path, noise(100 * number + index, 1 if "mono" in path else 2, 4800), 48_000)
    study = import_webmushra(config, tmp_path / "study").study
    assert [item.id for item in study.items] == [page["id"] for page in pages]
    assert [condition.name for condition in study.conditions] == ["reference", *pages[0]["stimuli"]]
    assert study.hidden_reference.name == "reference"
    assert study.condition("low anchor") is None
    assert check_study(study, tmp_path / "study").with_status("fail") == []


def test_different_sample_rates_become_one(tmp_path):
    config = webmushra(tmp_path)
    audio.write(tmp_path / "audio/one_c1.wav", noise(3, samples=24_000), 24_000)
    study = import_webmushra(config, tmp_path / "study").study
    assert study.sample_rate == 48_000
    assert check_study(study, tmp_path / "study").with_status("fail") == []


def test_a_named_audio_folder(tmp_path):
    config = webmushra(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "audio").rename(tmp_path / "elsewhere/audio")
    with pytest.raises(UserError, match=r"one_c1.wav: missing and 5 more; give the folder .* by --audio DIR"):
        import_webmushra(config, tmp_path / "study")
    assert len(import_webmushra(config, tmp_path / "study", tmp_path / "elsewhere").study.items) == 2


def test_a_stimulus_that_is_the_reference_is_skipped(tmp_path):
    config = CONFIG.replace("C1: audio/one_c1.wav", "C1: audio/one_c1.wav\n              hidden: audio/one_ref.wav")
    imported = import_webmushra(webmushra(tmp_path, config), tmp_path / "study")
    assert len(imported.study.conditions) == 4
    assert "Skipped stimuli that are the reference itself, already hidden in every trial: hidden." in imported.notes


def test_an_anchor_by_its_usual_name(tmp_path):
    config = CONFIG.replace("createAnchor35: true", "").replace("C2:", "Anchor70:")
    study = import_webmushra(webmushra(tmp_path, config), tmp_path / "study").study
    assert study.condition("mid anchor").name == "Anchor70"


LAUGHS = "pages:\n" + "".join(f"  - &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]\n" for n in range(9))
BAD = {
    "not yaml": ("pages: [", "line 1: .*is it a webMUSHRA configuration"),
    "text": ("hello", "no list of pages"),
    "no pages": ("testname: x", "no list of pages"),
    "a tag": ("pages: !!python/object/apply:os.system ['true']", "no page of type mushra"),
    "no mushra page": ("pages:\n - type: generic\n   id: a", "no page of type mushra"),
    "no id": ("pages:\n - type: mushra", r"page 1 \(has no id\)"),
    "no reference": ("pages:\n - type: mushra\n   id: a", r"a \(has no reference\)"),
    "no stimuli": ("pages:\n - {type: mushra, id: a, reference: r.wav}", r"a \(has no stimuli, each with a file\)"),
    "a list of stimuli": (
        "pages:\n - {type: mushra, id: a, reference: r.wav, stimuli: [b]}",
        r"a \(has no stimuli, each with a file\)",
    ),
    "only the reference": (
        "pages:\n - {type: mushra, id: a, reference: r, stimuli: {C: r}}",
        "no stimulus except its ref",
    ),
    "a reserved name": (
        "pages:\n - {type: mushra, id: a, reference: r, stimuli: {reference: s}}",
        "has a stimulus ref",
    ),
    "another method": ("pages:\n - {type: bs1116, id: ab}\n - {type: spatial, id: c}", r"ab \(bs1116\), c \(spatial\)"),
    "lists that contain themselves": ("pages: &a [*a]", "recursive"),
    "a billion laughs": (LAUGHS, "contain themselves"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_bad_configurations(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as caught:
        import_webmushra(webmushra(tmp_path, text), tmp_path / "study")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "study").exists()


def test_differences_of_up_to_100_ms_are_fitted(tmp_path):
    """4,400 of 44,100 samples are missing: 99.8 ms, which become silence; 4,500 are 102 ms and too many."""
    config = webmushra(tmp_path)
    short = noise(3, samples=RATE - 4_400)
    audio.write(tmp_path / "audio/two_c2.wav", short, RATE, "PCM_16")
    imported = import_webmushra(config, tmp_path / "study")
    written = audio.read(tmp_path / "study/audio" / imported.study.items[1].stimuli["C2"].audio).samples
    assert written.shape == (1, RATE)
    np.testing.assert_allclose(written[:, : RATE - 4_400 - 441], short[:, :-441], atol=1 / 32768)
    assert not written[:, RATE - 4_400 :].any()
    assert "C2: 1 file padded at the end by up to 99.8 ms." in imported.notes
    assert check_study(imported.study, tmp_path / "study").with_status("fail") == []


@pytest.mark.parametrize(("samples", "fit", "length"), [(20_000, "pad", RATE), (20_000, "cut", 20_000)])
def test_larger_differences_are_fitted_on_request(tmp_path, samples, fit, length):
    config = webmushra(tmp_path)
    audio.write(tmp_path / "audio/two_c2.wav", noise(3, samples=samples), RATE, "PCM_16")
    study = import_webmushra(config, tmp_path / "study", fit=fit).study
    for item, wanted in zip(study.items, (RATE, length), strict=True):
        assert {audio.read(tmp_path / "study/audio" / one.audio).samples.shape[1] for one in item.stimuli.values()} == {
            wanted
        }


@pytest.mark.parametrize(("samples", "fit"), [(RATE - 4_500, "small"), (RATE - 1, "none")])
def test_all_faults_of_the_audio_are_reported_at_once(tmp_path, samples, fit):
    config = webmushra(tmp_path)
    audio.write(tmp_path / "audio/two_c2.wav", noise(3, samples=samples), RATE)
    audio.write(tmp_path / "audio/one_c1.wav", noise(3, samples=RATE + 5_000), RATE)
    (tmp_path / "audio/one_c2.wav").write_bytes(b"RIFF")
    with pytest.raises(StimulusError, match="3 faults: ") as caught:
        import_webmushra(config, tmp_path / "study", fit=fit)
    assert [one.where for one in caught.value.faults] == ["page 007: audio/one_c2.wav", "page 007: C1", "page on: C2"]
    assert "113.4 ms longer than the reference" in caught.value.faults[1].fault  # 5000 / 44100 s
    assert not (tmp_path / "study").exists()


def test_items_per_listener(tmp_path):
    assert import_webmushra(webmushra(tmp_path), tmp_path / "study", trials=1).study.trials_per_listener == 1


def test_a_study_is_not_overwritten(tmp_path):
    config = webmushra(tmp_path)
    import_webmushra(config, tmp_path / "study")
    with pytest.raises(UserError, match="holds a study or audio already"):
        import_webmushra(config, tmp_path / "study")


def test_earmark_study_import(tmp_path):
    result = CliRunner().invoke(cli, ["study", "import", str(webmushra(tmp_path)), "--out", str(tmp_path / "study")])
    assert result.exit_code == 0
    assert "2 items, 4 conditions at 44100 Hz" in result.output
    assert "session.toml: title." in " ".join(result.output.split())
    assert (tmp_path / "study/study.json").exists()


@pytest.mark.parametrize("link", [False, True])
def test_a_configuration_from_elsewhere_cannot_name_audio_outside_its_folder(tmp_path: Path, link: bool):
    """The file would be copied into the study and played to strangers."""
    audio.write(tmp_path / "private.wav", noise(1), RATE)
    folder = tmp_path / "downloaded"
    (folder / "audio").mkdir(parents=True)
    for name in ("one_ref", "one_c1", "one_c2", "two_ref", "two_c1", "two_c2"):
        audio.write(folder / "audio" / f"{name}.wav", noise(2), RATE)
    named = "../private.wav"
    if link:
        (folder / "audio" / "linked.wav").symlink_to(tmp_path / "private.wav")
        named = "audio/linked.wav"
    config = folder / "test.yaml"
    config.write_text(CONFIG.replace("audio/one_c1.wav", named))
    with pytest.raises(UserError, match=f"names “{named}”, which is not a path inside"):
        import_webmushra(config, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_an_alias_bomb_is_refused_at_once(tmp_path: Path):
    """Nine levels of ten aliases stand for 10^9 values."""
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    for name in ("testname", "testId"):
        (tmp_path / "bomb.yaml").write_text("\n".join([*lines, f"{name}: *a9", "pages: [{type: mushra}]"]))
        with pytest.raises(UserError, match=r"its aliases \(\*NAME\) stand for over 200000 values"):
            import_webmushra(tmp_path / "bomb.yaml", tmp_path / "study")


def test_a_path_with_control_characters_does_not_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "test.yaml").write_text(CONFIG.replace("audio/one_ref.wav", '"../\\e[2J\\e]0;x\\a.wav"'))
    done = CliRunner().invoke(cli, ["study", "import", str(tmp_path / "test.yaml"), "-o", str(tmp_path / "study")])
    assert isinstance(done.exception, UserError)
    with pytest.raises(SystemExit):
        fail(str(done.exception), 2)  # as the command does
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert "\\x1b[2J" in shown
