"""Systems given by their decoded audio: scored like codecs, converted with a note, identified by content."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import earmark
from earmark.baselines.systems import parse_list
from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.eval.comparison import runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.comparison.decoded.options import given_systems
from earmark.eval.comparison.run_folder import audio_path
from earmark.eval.statistics.aggregate import summarise
from earmark.eval.statistics.differences import differences
from earmark.eval.tables.layout import lay_out

FILES = ("speech/a.wav", "music/b.wav", "music/c.wav")


@pytest.fixture
def plan(corpus_dir: Path, tmp_path: Path) -> runner.Plan:
    return runner.Plan(
        audio_dir=corpus_dir, systems=(), metrics=("si_snr",), run=tmp_path / "run", format=ReferenceFormat(),
        speech=SPEECH_PATTERNS, jobs=0, command="earmark compare",
    )  # fmt: skip


def decoded(plan: runner.Plan, *values: str, bitstreams: tuple[str, ...] = ()) -> runner.Plan:
    return replace(plan, decoded=given_systems(plan.audio_dir, values, bitstreams))


def noisy(plan: runner.Plan, folder: Path, noise_db: float = -20.0, skip: tuple[str, ...] = ()) -> Path:
    """A decoded folder: each recording with white noise below its own power, so that SI-SNR is -noise_db."""
    for number, file in enumerate(FILES):
        if file not in skip:
            source = audio.read(plan.audio_dir / file)
            noise = np.random.default_rng(number).standard_normal(source.samples.shape)
            noise *= np.sqrt(np.mean(source.samples**2) / np.mean(noise**2)) * 10 ** (noise_db / 20)
            audio.write(folder / file, (source.samples + noise).astype(np.float32), source.sample_rate)
    return folder


def test_a_run_s_own_decoded_audio_gets_the_run_s_scores(plan, tmp_path):
    """Sample by sample the same signal, so that every metric has the same value."""
    codec = runner.run(replace(plan, systems=tuple(parse_list("opus@12"))))
    again = replace(decoded(plan, f"given@12={plan.run}/audio/opus@12"), run=tmp_path / "again")
    scores = runner.run(again).scores
    assert scores.value.to_numpy() == pytest.approx(codec.scores.value.to_numpy(), abs=1e-6)
    for file in FILES:
        ours, theirs = (audio.read(audio_path(*of, file)) for of in ((plan.run, "opus@12"), (again.run, "given@12")))
        np.testing.assert_array_equal(ours.samples, theirs.samples)
    assert (scores.kbps_nominal == 12).all()
    assert scores[["kbps", "encode_seconds", "decode_seconds"]].isna().all(axis=None)
    layout = lay_out(summarise(scores))
    assert layout.speeds == ()
    assert any("given@12: the bit rate is stated, not measured" in note for note in layout.notes)


def test_missing_files_are_missing_and_pairs_are_of_the_common_files(plan, tmp_path, capfd):
    noisy(plan, tmp_path / "dec" / "A")
    noisy(plan, tmp_path / "dec" / "B", -10.0, skip=("music/c.wav",))
    (tmp_path / "dec" / "B" / "z.wav").touch()
    result = runner.run(decoded(plan, f"{tmp_path}/dec/*"))
    lines = capfd.readouterr().err
    assert "A: 3 of 3 recordings matched" in lines
    assert "B: 2 of 3 recordings matched" in lines
    assert "missing music/c.wav; 1 file matches no recording: z.wav; bit rate unknown" in lines
    assert result.failures == []
    assert (result.scores.status == "ok").all()
    assert len(result.scores) == 5
    summary = summarise(result.scores).query("category == 'all'").set_index("system")
    assert summary.n.to_dict() == {"A": 3, "B": 2}
    assert summary.failed.to_dict() == {"A": 0, "B": 0}
    (pair,) = (one for one in differences(result.scores, "si_snr") if one.category == "all")
    assert (pair.n, pair.mean) == (2, pytest.approx(10, abs=0.1))
    assert any("B: no decoded audio of 1 recording: music/c.wav" in note for note in result.info["notes"])


def test_other_formats_are_converted_with_a_note(plan, tmp_path):
    """b.wav, 44.1 kHz stereo, as 48 kHz mono with 16 bits."""
    source = audio.read(plan.audio_dir / "music" / "b.wav")
    mono = audio.resample(source.samples.mean(axis=0, keepdims=True), 44100, 48000)
    path = tmp_path / "dec" / "b.wav"
    audio.write(path, mono, 48000, "PCM_16")
    result = runner.run(decoded(plan, f"A={path.parent}"))
    kept = audio.read(audio_path(plan.run, "A", "music/b.wav"))
    assert (kept.sample_rate, kept.samples.shape) == (44100, source.samples.shape)
    assert kept.samples[0] == pytest.approx(
        audio.resample(mono, 48000, 44100)[0], abs=2 / 32768
    )  # rounding to 16 bits, twice over by resampling
    np.testing.assert_array_equal(kept.samples[0], kept.samples[1])
    assert "A: decoded audio in 48 kHz mono is converted to the format of its recording" in result.info["notes"]


def test_lengths_are_fitted_and_marked_above_100_ms(plan, tmp_path):
    for file, seconds in zip(FILES, (-0.09, 0.2, -0.2), strict=True):
        source = audio.read(plan.audio_dir / file)
        length = source.samples.shape[1] + round(seconds * source.sample_rate)
        audio.write(tmp_path / "dec" / file, audio.fit_length(source.samples * 0.5, length), source.sample_rate)
    result = runner.run(decoded(plan, f"A={tmp_path}/dec"))
    assert [note for note in result.info["notes"] if "er than" in note] == [
        "music/b.wav: A is 0.20 s longer than the recording; its end was cut",
        "music/c.wav: A is 0.20 s shorter than the recording, and scored where it is there",
    ]
    for file in FILES:
        whole = audio.read(plan.audio_dir / file).samples.shape
        assert audio.read(audio_path(plan.run, "A", file)).samples.shape == whole


def test_the_content_of_a_decoded_file_is_its_identity(plan, tmp_path, capfd):
    folder = noisy(plan, tmp_path / "dec")
    given = decoded(plan, f"A={folder}")
    first = runner.run(given)
    assert runner.run(given).computed == 0
    assert "changed" not in capfd.readouterr().err

    shutil.copyfile(noisy(plan, tmp_path / "worse", -10.0) / "speech" / "a.wav", folder / "speech" / "a.wav")
    second = runner.run(given)
    assert second.computed == 1
    assert "A: 1 file changed since the last run, scored again: speech/a.wav" in capfd.readouterr().err
    values = [result.scores.set_index("file").value for result in (first, second)]
    assert values[0]["speech/a.wav"] == pytest.approx(20, abs=0.1)
    assert values[1]["speech/a.wav"] == pytest.approx(10, abs=0.1)
    assert values[0].drop("speech/a.wav").equals(values[1].drop("speech/a.wav"))

    elsewhere = tmp_path / "elsewhere"
    for file in FILES:
        target = elsewhere / f"{Path(file).stem}_dec.wav"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(folder / file, target)
    assert runner.run(decoded(plan, f"A={elsewhere}/{{stem}}_dec.wav")).computed == 0
    assert f"A: its files are now {elsewhere}/{{stem}}_dec.wav, before {folder}" in capfd.readouterr().err


def test_bit_rates_from_bitstreams(plan, tmp_path):
    """1.5 s in 1125 bytes are 6 kbps."""
    folder = noisy(plan, tmp_path / "dec")
    for file in FILES[:2]:
        path = tmp_path / "bits" / f"{file}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1125))
    result = runner.run(decoded(plan, f"A@5={folder}", bitstreams=(f"A={tmp_path}/bits",)))
    assert result.scores.set_index("file").kbps[list(FILES[:2])].tolist() == [6.0, 6.0]
    assert result.scores.set_index("file").kbps.isna()["music/c.wav"]
    assert summarise(result.scores).query("category == 'all'").kbps.tolist() == [6.0]


def test_bitstreams_in_a_known_container_count_without_it(plan, tmp_path):
    """16-bit PCM at 8 kHz is 128 kbps, whatever its length and header; the other file is of unknown format."""
    folder, bits = noisy(plan, tmp_path / "dec"), tmp_path / "bits"
    audio.write(bits / FILES[0], np.zeros((1, 4000), np.float32), 8000, "PCM_16")
    (bits / FILES[1]).parent.mkdir(parents=True, exist_ok=True)
    (bits / FILES[1]).write_bytes(bytes(1125))
    result = runner.run(decoded(plan, f"A={folder}", bitstreams=(f"A={bits}",)))
    by_file = result.scores.set_index("file")
    assert by_file.kbps[list(FILES[:2])].tolist() == [128.0, 6.0]
    assert by_file.coded_seconds[list(FILES[:2])].tolist() == [0.5, 1.5]
    assert by_file.file_bytes[list(FILES[:2])].tolist() == [False, True]


def test_a_corpus_file_gives_decoded_audio_of_its_excerpts(plan, tmp_path):
    """Decoded files of the whole recordings and of the excerpts alone score alike."""
    corpus = tmp_path / "corpus.toml"
    corpus.write_text(
        'seed = 3\n[[folders]]\npath = "audio/music"\ncategory = "music"\nseconds = 0.5\n'
        '[decoded]\nwhole = "whole"\npart = "{category}-parts/{stem}.wav"\n'
    )
    whole = noisy(plan, tmp_path / "all", -20.0)
    shutil.copytree(whole / "music", tmp_path / "whole")
    from earmark.eval.comparison.corpus_file import read_corpus

    for source in read_corpus(corpus):
        rate = audio.read(source.path).sample_rate
        first, length = (round(seconds * rate) for seconds in source.excerpt)
        samples = audio.read(whole / source.file).samples[:, first : first + length]
        audio.write(tmp_path / "music-parts" / Path(source.file).name, samples, rate)
    systems = given_systems(corpus, ())
    scores = runner.run(replace(plan, audio_dir=corpus, decoded=systems)).scores
    values = scores.pivot_table(index="file", columns="system", values="value")
    assert values["whole"].tolist() == pytest.approx(values["part"].tolist(), abs=1e-6)
    assert (scores.duration == 0.5).all()


def test_a_broken_decoded_file_fails_alone(plan, tmp_path):
    folder = noisy(plan, tmp_path / "dec")
    (folder / "speech" / "a.wav").write_text("no audio")
    soundfile.write(folder / "music" / "b.wav", np.full((100, 1), np.nan), 44100, subtype="FLOAT")
    result = runner.run(decoded(plan, f"A={folder}"))
    assert len(result.failures) == 2
    assert result.scores.set_index("file").status.to_dict() == {FILES[0]: "error", FILES[1]: "error", FILES[2]: "ok"}


def test_one_name_for_a_codec_and_decoded_audio_is_refused(plan, tmp_path):
    folder = noisy(plan, tmp_path / "dec")
    both = replace(decoded(plan, f"opus@12={folder}"), systems=tuple(parse_list("opus@12")))
    with pytest.raises(UserError, match="--decoded opus@12: --systems has this name, too"):
        runner.run(both)


def test_decoded_folders_at_urls(plan, tmp_path, capfd):
    """Sub-folders and bitstreams at fsspec URLs, with a missing file; scores as from local folders."""
    pytest.importorskip("upath")
    noisy(plan, tmp_path / "dec" / "A", skip=("music/c.wav",))
    local = runner.run(decoded(plan, f"A={tmp_path}/dec/A"))
    from upath import UPath

    root = UPath("memory://test-decoded")
    for path in (tmp_path / "dec" / "A").rglob("*.wav"):
        name = path.relative_to(tmp_path).as_posix()
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(path.read_bytes())
        bits = root / "bits" / "A" / f"{path.stem}.bin"
        bits.parent.mkdir(parents=True, exist_ok=True)
        bits.write_bytes(bytes(1125))
    far = replace(decoded(plan, f"{root}/dec/*", bitstreams=(f"A={root}/bits/A",)), run=tmp_path / "far")
    capfd.readouterr()
    result = runner.run(far)
    assert result.scores.value.equals(local.scores.value)
    assert result.scores.kbps.tolist() == [6.0, 6.0]
    assert "A: 2 of 3 recordings matched in memory://test-decoded/dec/A" in capfd.readouterr().err
    assert runner.run(far).computed == 0


def test_decoded_folders_from_python(plan, tmp_path):
    """As a mapping and as values of --decoded, without any codec."""
    folder = noisy(plan, tmp_path / "dec" / "A")
    run = earmark.compare(
        plan.audio_dir, decoded={"A@6": folder}, metrics=["si_snr"], out=tmp_path / "one", jobs=0
    )  # fmt: skip
    assert run.scores.value.tolist() == pytest.approx([20.0] * 3, abs=0.1)
    assert run.metadata["decoded"]["A@6"]["location"] == str(folder)
    assert "A@6" in run.report.read_text()
    more = earmark.compare(plan.audio_dir, decoded=[f"{tmp_path}/dec/*"], metrics=["si_snr"], out=run.folder, jobs=0)
    assert more.metadata["systems"] == ["A@6", "A"]
    with pytest.raises(UserError, match="systems is empty; name at least one"):
        earmark.compare(plan.audio_dir, metrics=["si_snr"], out=run.folder, jobs=0)


def test_a_name_stays_what_it_is_in_a_run(plan, tmp_path):
    runner.run(decoded(plan, f"opus@12={noisy(plan, tmp_path / 'dec')}"))
    with pytest.raises(UserError, match="opus@12 is decoded audio there, and a codec here"):
        runner.run(replace(plan, systems=tuple(parse_list("opus@12"))))
