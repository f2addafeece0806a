"""`earmark train-lm`: makes codes once, resumes bit for bit, and gives a model that can code files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec.checkpoints import identities
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.encodec.config import ENCODEC_24KHZ
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError
from earmark.codec.language_model import files as language_model_files
from earmark.codec.language_model.portable_coder import PortableModelCoder
from earmark.codec.language_model.portable_layout import MOST_STEPS
from earmark.codec.language_model.portable_quantization import quantized
from earmark.codec.training import code_sequences, language_model_validation
from earmark.codec.training.code_sequences import UNKNOWN, CodeSequences
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.language_model_trainer import LanguageModelRecipe, LanguageModelTrainer
from earmark.codec.training.language_model_validation import float_bits, portable_bits

CONFIG = replace(
    ENCODEC_24KHZ, name="small", kbps=(0.75, 1.5), seanet=replace(ENCODEC_24KHZ.seanet, filters=2, dimension=8, lstm=0)
)


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    """Path of a codec with 2 codebooks and random weights."""
    torch.manual_seed(0)
    model = EncodecModel(CONFIG)
    torch.nn.init.normal_(model.quantizer.codebooks, std=0.3)
    path = tmp_path_factory.mktemp("codec") / "codec.safetensors"
    checkpoints.save(model, path)
    return path


def train_lm(codec, corpus, out, *options):
    arguments = ["train-lm", codec, "--data", corpus, "--out", out, "--updates", 4, "--batch", 2, "--seconds", 0.5,
                 "--every", 4, "--threads", 1, "--device", "cpu", "--no-tensorboard", *options]  # fmt: skip
    return CliRunner().invoke(cli, [*map(str, arguments)], catch_exceptions=True)


@pytest.fixture(scope="module")
def trained(codec, corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    done = train_lm(codec, corpus, folder)
    assert done.exit_code == 0, done.output
    return folder


def test_reports_bits_per_code_and_bit_rate_of_both_rates(trained):
    *_, entry = map(json.loads, (trained / "log.jsonl").read_text().splitlines())
    scores = entry["validation"]
    for kbps, codebooks in ((0.75, 1), (1.5, 2)):
        assert scores[f"kbps@{kbps}"] == pytest.approx(scores[f"bits_per_code@{kbps}"] * codebooks * 75 / 1000)
        bits = scores[f"bits_per_code@{kbps}"]
        assert scores[f"saving_percent@{kbps}"] == pytest.approx(100 * (10 - bits) / 10)
        assert abs(scores[f"quantisation_percent@{kbps}"]) < 1


def test_the_models_can_be_loaded_and_name_their_codec(trained, codec):
    model = language_model_files.load_portable(trained / "model.safetensors", CONFIG)
    again = language_model_files.load_portable(trained / "float.safetensors", CONFIG)
    assert model.identity == again.identity
    _, metadata = checkpoints.read(trained / "model.safetensors")
    assert metadata["codec"] == identities.codes_identity(checkpoints.load(codec))


def test_an_integer_model_that_costs_too_much_is_not_written(codec, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(language_model_validation, "portable_bits", lambda model, excerpts: 20.0)
    with pytest.raises(UserError, match=r"model\.safetensors: not written: its integers cost \d+\.\d % more bits"):
        raise train_lm(codec, corpus, tmp_path / "run").exception
    assert {path.name for path in (tmp_path / "run").glob("*.safetensors")} == {"float.safetensors"}

    monkeypatch.undo()
    assert train_lm(codec, corpus, tmp_path / "run", "--resume").exit_code == 0
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_an_integer_model_that_does_not_decode_is_not_written(codec, corpus, tmp_path, monkeypatch):
    decode_all = PortableModelCoder.decode_all
    monkeypatch.setattr(PortableModelCoder, "decode_all", lambda *given: [1 ^ codes for codes in decode_all(*given)])
    with pytest.raises(UserError, match="does not decode what it coded here"):
        raise train_lm(codec, corpus, tmp_path / "run").exception
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.fixture
def periodic(tmp_path):
    """Codes of two codebooks with a period of five steps."""
    codes = np.tile(np.random.default_rng(0).integers(0, 1024, (5, 2)), (100, 1))
    (tmp_path / "codes.u16").write_bytes(codes.astype("<u2").tobytes())
    sequence = {"split": "train", "start": 0, "steps": 500, "last": True}
    (tmp_path / "codes.jsonl").write_text(json.dumps(sequence) + "\n")
    return CodeSequences(tmp_path, 2)


def test_learns_a_period(periodic):
    """From 10 bits per code, only the first steps of a sequence remain unpredictable."""
    recipe = LanguageModelRecipe(updates=60, batch=2, seconds=0.5, learning_rate=1e-3, warmup=10)
    trainer = LanguageModelTrainer(recipe, CONFIG, ProcessGroup(0, 1, torch.device("cpu")))
    excerpts = periodic.excerpts("train", 1, 40)
    assert float_bits(trainer.model, excerpts) > 9
    for _ in range(recipe.updates):
        trainer.update(periodic)
    assert float_bits(trainer.model, excerpts) < 2
    assert portable_bits(quantized(trainer.model), excerpts) < 2


def test_an_update_draws_offset_and_rate_and_follows_the_learning_rate(periodic, monkeypatch):
    """Warm-up over 4 of 12 updates, then half a cosine over the other 8, which halves the rate in its middle."""
    recipe = LanguageModelRecipe(updates=12, batch=3, seconds=0.1, learning_rate=1e-3, warmup=4)
    trainer = LanguageModelTrainer(recipe, CONFIG, ProcessGroup(0, 1, torch.device("cpu")))
    forward, seen = trainer.model.forward, []

    def spied(before, past=None, offset=0):
        seen.append((before.shape[1], offset))
        return forward(before, past, offset)

    monkeypatch.setattr(trainer.model, "forward", spied)
    rates, kbps = [], []
    for _ in range(recipe.updates):
        kbps.append(trainer.update(periodic)["kbps"])
        rates.append(trainer.optimizer.param_groups[0]["lr"])
    assert rates[:5] == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3])
    assert rates[8] == pytest.approx(0.5e-3)
    assert set(kbps) == {0.75, 1.5}
    assert [count for count, _ in seen] == [{0.75: 1, 1.5: 2}[rate] for rate in kbps]
    offsets = torch.cat([offset.flatten() for _, offset in seen])
    assert len(offsets) == 12 * 3
    assert len(offsets.unique()) > 30
    assert offsets.min() >= 0
    assert offsets.max() + 8 <= MOST_STEPS  # 0.1 s at 75 steps per second
    assert offsets.max() > MOST_STEPS / 2


def test_resumes_bit_for_bit(trained, codec, corpus, tmp_path):
    assert train_lm(codec, corpus, tmp_path / "run", "--minutes", 1e-6).exit_code == 0
    done = train_lm(codec, corpus, tmp_path / "run", "--resume")
    assert done.exit_code == 0, done.output
    states = [torch.load(folder / "state.pt", weights_only=True) for folder in (trained, tmp_path / "run")]
    assert states[0]["updates"] == states[1]["updates"] == 4
    for name, value in states[0]["model"].items():
        assert torch.equal(value, states[1]["model"][name]), name


def test_starts_from_the_weights_of_an_earlier_training(trained, codec, corpus, tmp_path):
    start = ["--start-from", trained / "float.safetensors"]
    done = train_lm(codec, corpus, tmp_path, *start, "--learning-rate", 1e-12)  # so that they do not change
    assert done.exit_code == 0, done.output
    before, after = (
        language_model_files.load_float(folder / "float.safetensors", CONFIG).state_dict()
        for folder in (trained, tmp_path)
    )
    torch.testing.assert_close(after, before, rtol=0, atol=1e-9)
    other = train_lm(codec, corpus, tmp_path, "--learning-rate", 1e-12, "--resume")
    assert isinstance(other.exception, UserError)
    assert "was begun with another --start-from" in str(other.exception)


def test_starts_from_an_integer_model(trained, codec, corpus, tmp_path):
    """At a learning rate of nearly 0, its bits per code stay those of the integer model, but for rounding once more."""
    start = ["--start-from", trained / "model.safetensors", "--learning-rate", 1e-12]
    done = train_lm(codec, corpus, tmp_path, *start)
    assert done.exit_code == 0, done.output
    before, after = (
        json.loads((folder / "log.jsonl").read_text().splitlines()[-1])["validation"] for folder in (trained, tmp_path)
    )
    bits = {name: value for name, value in before.items() if name.startswith("bits_per_code")}
    assert len(bits) == 2  # one per bit rate
    for name, value in bits.items():
        assert after[name] == pytest.approx(value, rel=0.01), name


def test_a_folder_belongs_to_one_training(trained, codec, corpus):
    with pytest.raises(UserError, match="add --resume"):
        raise train_lm(codec, corpus, trained).exception
    with pytest.raises(UserError, match="other settings"):
        raise train_lm(codec, corpus, trained, "--seed", 1, "--resume").exception


def test_a_refused_command_does_not_change_the_codes(trained, corpus, tmp_path):
    torch.manual_seed(1)
    checkpoints.save(EncodecModel(CONFIG), tmp_path / "other.safetensors")
    before = (trained / "codes" / "codes.u16").read_bytes()
    for options, says in (((), "add --resume"), (("--resume",), "another codec")):
        with pytest.raises(UserError, match=says):
            raise train_lm(tmp_path / "other.safetensors", corpus, trained, *options).exception
    with pytest.raises(UserError, match="was begun with another codec"):
        code_sequences.write(EncodecModel(CONFIG), ("other",), [Shards(corpus)], trained / "codes")
    assert (trained / "codes" / "codes.u16").read_bytes() == before


def test_resumes_with_the_same_data_and_hours_only(trained, codec, corpus, tmp_path):
    with pytest.raises(UserError, match="other --hours"):
        raise train_lm(codec, corpus, trained, "--resume", "--hours", 0.001).exception
    with pytest.raises(UserError, match="other data"):
        raise train_lm(codec, corpus, trained, "--resume", "--data", corpus).exception  # twice the data


def test_missing_codes_are_one_line(codec, corpus, tmp_path):
    code_sequences.write(checkpoints.load(codec), ("",), [Shards(corpus)], tmp_path)
    whole = (tmp_path / "codes.u16").read_bytes()
    (tmp_path / "codes.u16").write_bytes(whole[:-1])
    for use in (
        lambda: code_sequences.write(checkpoints.load(codec), ("",), [Shards(corpus)], tmp_path),
        lambda: CodeSequences(tmp_path, 2),
    ):
        with pytest.raises(UserError, match=r"codes\.u16: shorter than codes\.jsonl says"):
            use()


def test_a_training_that_diverges_is_one_line(codec, corpus, tmp_path):
    with pytest.raises(UserError, match="lower --learning-rate than 1e\\+30"):
        raise train_lm(codec, corpus, tmp_path / "run", "--learning-rate", 1e30, "--every", 100).exception
    assert not (tmp_path / "run" / "state.pt").exists()


def test_codes_are_those_of_the_codec_and_an_interrupt_costs_one_recording(codec, corpus, tmp_path):
    model, shards = checkpoints.load(codec), Shards(corpus)
    code_sequences.write(model, ("",), [shards], tmp_path)
    whole = (tmp_path / "codes.u16").read_bytes()
    lines = (tmp_path / "codes.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "codes.jsonl").write_text("".join(lines[:2]) + lines[2][:10])
    code_sequences.write(model, ("",), [shards], tmp_path)
    assert (tmp_path / "codes.u16").read_bytes() == whole
    first = next(stored for stored in shards.recordings if stored.entry.split != "test")
    expected = model.encode(torch.from_numpy(shards.read(first, 0, first.frames))).segments[0].codes[0]
    assert np.array_equal(np.frombuffer(whole, "<u2").reshape(-1, 2)[: expected.shape[1]].T, expected)


def test_sequences_that_end_early_are_filled_with_unknown(codec, corpus, tmp_path):
    """Recordings of 3 s are 225 steps."""
    code_sequences.write(checkpoints.load(codec), ("",), [Shards(corpus)], tmp_path)
    drawn = CodeSequences(tmp_path, 2).draw(np.random.default_rng(0), 5, 375)
    assert drawn.shape == (5, 2, 375)
    assert (drawn[..., :225] != UNKNOWN).all()
    assert (drawn[..., 225:] == UNKNOWN).all()
