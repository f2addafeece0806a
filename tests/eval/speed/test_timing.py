"""`earmark bench`: real-time factors, latency, memory and the cost of a network."""

from __future__ import annotations

import json
import multiprocessing
import os
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

from earmark.baselines.interface import Family
from earmark.baselines.systems import parse
from earmark.cli import cli
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.encodec.config import ENCODEC_24KHZ
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError
from earmark.codec.language_model import files as language_model_files
from earmark.codec.language_model.network import LanguageModel, LanguageModelConfig
from earmark.eval.comparison.machine import machine
from earmark.eval.speed.model_cost import cost_of, language_model_cost_of
from earmark.eval.speed.timing import Spread, measure, swelling_chord
from earmark.eval.speed.worker import Worker


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    checkpoints.save(small(), path)
    return path


def small(**seanet):
    config = ENCODEC_24KHZ
    torch.manual_seed(1)
    return EncodecModel(replace(config, seanet=replace(config.seanet, filters=2, **seanet))).eval()


def test_real_time_factors_by_hand():
    """10 s of audio in 1, 2, 4, 5 and 10 s: factors 10, 5, 2.5, 2, 1; the quartiles of five are the 2nd and 4th."""
    assert Spread.of(10.0, [1.0, 2.0, 4.0, 5.0, 10.0]) == Spread(2.5, 2.0, 5.0)


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    """A language model, and its file."""
    model = LanguageModel(LanguageModelConfig(codebooks=8, context=262, dimension=40, layers=2, feed_forward=80))
    path = tmp_path_factory.mktemp("language-model") / "random.safetensors"
    language_model_files.save(model, path)
    return model, path


@pytest.fixture(scope="module")
def benched(checkpoint, language_model, tmp_path_factory):
    """Output and files of the command about two conventional codecs, and EnCodec without and with entropy coding."""
    out = tmp_path_factory.mktemp("bench") / "bench.json"
    encodec = f"encodec_24khz@6:checkpoint={checkpoint}"
    systems = f"opus@12,anchor@3.5k,{encodec},{encodec}:lm={language_model[1]}"
    arguments = ["bench", "--systems", systems, "--seconds", "1", "--repeats", "2", "--warm-up", "1"]
    done = CliRunner().invoke(cli, [*arguments, "--out", str(out), "--format", "csv"])
    assert done.exit_code == 0, done.exception
    return done.stdout, json.loads(out.read_text())


def test_every_system_in_a_process_of_its_own(benched):
    """Latency: 20 ms and 6.5 ms of lookahead for Opus; a step of 320 samples, 13.3 ms, for EnCodec (paper, 4.6)."""
    printed, result = benched
    assert (result["threads"], result["repeats"], result["sample_rate"]) == (1, 2, 24000)
    assert result["machine"] == machine()
    opus, anchor, encodec, _ = result["systems"]
    assert opus["latency"] == pytest.approx(0.0265)
    assert anchor["latency"] is None
    assert encodec["latency"] == pytest.approx(0.01333, abs=1e-5)
    assert opus["cost"] is None
    assert encodec["cost"]["parameters"] > 32 * 1024 * 128  # the codebooks alone
    assert encodec["peak_bytes"] > opus["peak_bytes"] > 10e6  # only one of them has loaded torch
    for one in result["systems"]:
        assert 0 < one["encode"]["low"] <= one["encode"]["median"] <= one["encode"]["high"]
    assert len(printed.splitlines()) == 5


def test_with_and_without_entropy_coding(benched, language_model):
    """The language model codes packets of 2 s; its weights and products add to the cost."""
    without, coded = benched[1]["systems"][2:]
    assert without["latency"] == pytest.approx(320 / 24000)
    assert coded["latency"] == 2.0
    weights = sum(weight.numel() for weight in language_model[0].parameters())
    assert coded["cost"]["parameters"] - without["cost"]["parameters"] == weights
    assert coded["cost"]["decode_flops"] > without["cost"]["decode_flops"]


def test_products_of_a_language_model_by_hand():
    """One layer of width 4 with 8 hidden units, a context of 2 steps, 3 codebooks of 16 codewords, 5 steps per second.

    Queries, keys, values and outputs: 4 x 4 each; scores and sums: 3 steps of 4; feed-forward: 4 to 8 and back; output:
    3 times 4 to 16.
    """
    config = LanguageModelConfig(3, 2, codebook_size=16, dimension=4, heads=1, layers=1, feed_forward=8)
    products = 4 * 4 * 4 + 2 * 3 * 4 + 2 * 4 * 8 + 3 * 4 * 16
    assert language_model_cost_of(config, 3, 5.0, 0).encode_flops == 2 * 5 * products


class Dying(Family):
    """A codec that kills its process."""

    name, title, rates, example, sample_rates, licence = "dying", "", "", "dying", "", ""

    def unavailable(self, system=None):
        return None

    def version(self, system=None):
        return "1"

    def check(self, system):
        pass

    def kbps(self, system):
        return None

    def open(self, system, sample_rate, channels):
        os._exit(1)


def test_a_system_that_fails_is_one_line(checkpoint, monkeypatch):
    recording = swelling_chord(1.0)
    with pytest.raises(UserError, match="nowhere: no such file"):
        measure([parse("encodec_24khz@6:checkpoint=nowhere")], recording, repeats=1, warm_up=0, threads=1)
    wide = parse(f"encodec_48khz@6:checkpoint={checkpoint}")
    with pytest.raises(UserError, match="its checkpoint is one of encodec_24khz"):
        measure([wide], recording, repeats=1, warm_up=0, threads=1)
    dying = parse("dying", {"dying": Dying()})
    with pytest.raises(UserError, match="dying: its process died"):
        measure([dying], recording, repeats=1, warm_up=0, threads=1)
    assert "OMP_NUM_THREADS" not in os.environ or os.environ["OMP_NUM_THREADS"] == "1"


def test_flops_by_hand():
    """One second at 24 kHz with 2 filters, one ratio 2, dimension 3, no LSTM; in x out x kernel products per sample.

    Encoder: 1-2 convolution of 7, residual unit (2-1 of 3, 1-2 of 1, shortcut 2-2 of 1), 2-4 of 4 at half the rate, 4-3
    of 7 there. Search: 2 codebooks of 1024 codewords of 3. Decoder: 3-4 of 7 at half the rate, 4-2 of 4 at every latent
    step, the same unit, 2-1 of 7.
    """
    seanet = replace(ENCODEC_24KHZ.seanet, filters=2, ratios=(2,), dimension=3, lstm=0)
    model = EncodecModel(replace(ENCODEC_24KHZ, seanet=seanet, kbps=(240.0,))).eval()
    result = cost_of(model, 240.0)
    unit = 2 * 1 * 3 + 1 * 2 * 1 + 2 * 2 * 1
    encoder = 24000 * (1 * 2 * 7 + unit) + 12000 * (2 * 4 * 4 + 4 * 3 * 7)
    search = 12000 * 2 * 1024 * 3
    decoder = 12000 * (3 * 4 * 7 + 4 * 2 * 4) + 24000 * (unit + 2 * 1 * 7)
    assert result.encode_flops == 2 * (encoder + search)
    assert result.decode_flops == 2 * decoder


def test_the_lstm_is_counted():
    """Two layers of width 32: 8 x 32 x 32 products per layer and step, 75 steps per second."""
    with_lstm, without = cost_of(small(), 1.5), cost_of(small(lstm=0), 1.5)
    assert with_lstm.decode_flops - without.decode_flops == 2 * 75 * 2 * 8 * 32 * 32


COPY = "cp {input} {bitstream} && cp {bitstream} {output}"
FEW = ["--seconds", "1", "--repeats", "1", "--warm-up", "0"]


def bench(*arguments: object):
    return CliRunner().invoke(cli, ["bench", *FEW, *map(str, arguments)], standalone_mode=False)


def test_a_codec_of_the_users_own_is_timed(tmp_path):
    done = bench("--system", f"mine={COPY}", "--out", tmp_path / "bench.json")
    assert done.return_value == 0, done.exception
    (mine,) = json.loads((tmp_path / "bench.json").read_text())["systems"]
    assert mine["system"] == "mine"
    assert mine["encode"]["median"] > 0


def test_a_system_that_fails_costs_the_others_nothing(tmp_path, monkeypatch):
    """One that is not installed, one whose encoder fails, one that hangs, and one that works."""
    monkeypatch.setenv("EARMARK_EVS_DIR", str(tmp_path / "nowhere"))
    out = tmp_path / "bench.json"
    fails, hangs = (f"{name}={what}; {COPY}" for name, what in (("fails", "exit 3"), ("hangs", "sleep 60")))
    done = bench(
        "--systems", "evs@9.6,anchor@3.5k", "--system", fails, "--system", hangs, "--timeout", 6, "--out", out,
        "--keep-going",
    )  # fmt: skip
    assert done.return_value == 1, done.exception
    result = json.loads(out.read_text())
    assert [one["system"] for one in result["systems"]] == ["anchor@3.5k"]
    assert result["failed"].keys() == {"evs@9.6", "fails", "hangs"}
    assert result["failed"]["fails"] == "its encoder failed with status 3: it printed nothing"
    assert result["failed"]["hangs"] == "its encoder hung and was ended after 6 s"
    table = done.stdout.splitlines()
    assert next(line for line in table if line.startswith("fails ")).split()[1:] == ["–"] * 8
    assert "fails: its encoder failed with status 3: it printed nothing" in table


def test_a_process_that_does_not_answer_is_an_error():
    ours, theirs = multiprocessing.Pipe()
    silent = Worker(ours, multiprocessing.get_context("spawn").Process(), 0.01)
    with pytest.raises(UserError, match=r"no answer in 0\.01 s, so it was ended; --timeout sets another limit"):
        silent.ask("turn")
    theirs.close()
    with pytest.raises(UserError, match="its process died"):
        silent.ask("turn")
