"""The same bytes each time: in a second call, with a longer input, and in four parallel processes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from earmark.baselines.systems import family_of, parse
from earmark.cli import cli
from earmark.codec.audio import read, resample, write

SYSTEMS = ["opus@6", "opus@12:vbr=off", "mp3@64", "aac@64", "amr_wb@12.65", "lyra@6", "codec2@3.2", "encodec_24khz@3"]
CAUSAL = [text for text in SYSTEMS if not text.startswith("aac")]  # its rate control looks at later frames


def opened(text, shared, monkeypatch):
    monkeypatch.setenv("EARMARK_LYRA_DIR", str(shared / "weights" / "lyra_v2"))
    system = parse(text)
    if reason := family_of(system).unavailable(system):
        pytest.skip(reason)
    return family_of(system).open(system, 16000, 1)


def speech(shared, rate):
    return resample(read(shared / "audio" / "speech_lyra_1_48k.wav").samples, 48000, rate)


@pytest.mark.parametrize("text", SYSTEMS)
def test_coding_again_gives_identical_bytes_and_samples(text, shared, monkeypatch):
    codec = opened(text, shared, monkeypatch)
    audio = speech(shared, codec.sample_rate)
    first, second = codec.encode(audio), codec.encode(audio)
    assert first == second
    np.testing.assert_array_equal(codec.decode(first), codec.decode(second))


@pytest.mark.parametrize("text", CAUSAL)
def test_a_recording_coded_in_part_begins_like_the_whole(text, shared, monkeypatch):
    """As streaming requires: bytes do not depend on input that is more than 0.4 s later."""
    codec = opened(text, shared, monkeypatch)
    audio = speech(shared, codec.sample_rate)[:, : 3 * codec.sample_rate]
    part = audio[:, : 2 * codec.sample_rate]
    of_part, of_whole = (b"".join(codec.encode(signal).packets) for signal in (part, audio))
    sure = int(0.8 * len(of_part))
    assert of_part[:sure] == of_whole[:sure]
    assert of_part[:sure] != b"".join(codec.encode(np.flip(audio, axis=1).copy()).packets)[:sure]


def test_four_processes_give_the_scores_of_one(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_LYRA_DIR", str(shared / "weights" / "lyra_v2"))
    audio = speech(shared, 16000)
    for index in range(4):
        write(tmp_path / "audio" / f"{index}.wav", audio[:, index * 8000 : index * 8000 + 16000], 16000)
    systems = [text for text in SYSTEMS if family_of(parse(text)).unavailable(parse(text)) is None]
    tables = []
    for jobs in (1, 4):
        out = tmp_path / f"run{jobs}"
        command = ["compare", tmp_path / "audio", "--systems", ",".join(systems), "--metrics", "si_snr", "--out", out]
        done = CliRunner().invoke(cli, [*map(str, command), "--jobs", str(jobs)])
        assert done.exit_code == 0, done.output
        tables.append(pd.read_parquet(out / "scores.parquet")[["system", "file", "metric", "value", "kbps", "lag"]])
    assert len(tables[0]) == 4 * len(systems)
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
