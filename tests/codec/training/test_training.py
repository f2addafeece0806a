"""Small complete trainings: they learn, resume bit for bit after SIGKILL, and are the same with two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open

from earmark.cli import cli
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.errors import UserError
from earmark.codec.training import recipe_files
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.folder import STATE
from earmark.codec.training.run import train
from earmark.codec.training.trainer import Trainer
from earmark.codec.training.validation import select_excerpts, si_snr

ROOT = Path(__file__).resolve().parents[3]
ALONE = ProcessGroup(0, 1, torch.device("cpu"))
SMALL = (
    "model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=16", "model.kbps=[0.6, 1.2]",
    "discriminators.filters=2", "discriminators.start=4", "data.batch=4", "data.seconds=0.25", "data.reverb=0.5",
    "training.updates=6", "training.epochs=2", "validation.every=6", "validation.kbps=[1.2]", "validation.seconds=0.5",
    "validation.recordings=3",
)  # fmt: skip


def small(*settings):
    return recipe_files.load("tiny", (*SMALL, *settings))


def same(first, second):
    """Whether two nested states are equal bit for bit."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


def state(folder):
    """The saved state without its duration, and without the best score, which is NaN."""
    saved = torch.load(folder / STATE, weights_only=True)
    assert saved.pop("seconds") > 0
    del saved["best"]
    return saved


@pytest.fixture(scope="module")
def uninterrupted(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert train(small(), [Shards(corpus)], folder, ALONE, tensorboard=False)
    return folder


def test_the_exported_model_codes(uninterrupted):
    model = checkpoints.load(uninterrupted / "model.safetensors")
    audio = 0.1 * torch.randn(1, 1, 5000)
    assert model.decode(model.encode(audio, 1.2)).shape == audio.shape
    with safe_open(uninterrupted / "model.safetensors", "np") as file:
        metadata = file.metadata()
    assert metadata["licence"] == "data under CC0-1.0"
    assert json.loads(metadata["data"])[0] == ["music", "tones", "CC0-1.0", 0.002]  # two recordings of 3 s
    assert json.loads(metadata["scores"])["excerpts"] == 3
    about = json.loads((uninterrupted / "run.json").read_text())
    assert about["tables"]["training"]["updates"] == 6
    assert about["versions"]["torch"] == torch.__version__


def test_the_exported_model_is_the_generator(uninterrupted):
    """Compares the training's networks in evaluation mode with encode and decode of the exported model."""
    trainer = Trainer(small(), ALONE)
    trainer.load_state_dict(state(uninterrupted))
    model = checkpoints.load(uninterrupted / "model.safetensors")
    audio = 0.1 * torch.randn(1, 1, 5000, generator=torch.Generator().manual_seed(0))
    trainer.generator.eval()
    with torch.no_grad():
        expected = trainer.generator(audio, 4).decoded  # 4 codebooks of 4 bits, 75 steps per second
    error = model.decode(model.encode(audio, 1.2)) - expected
    assert error.square().sum() < 1e-6 * expected.square().sum()


def test_the_log_has_losses_gradients_and_codebooks(uninterrupted, log):
    entries = log(uninterrupted)
    validations = [entry for entry in entries if "validation" in entry]
    assert [entry["update"] for entry in validations] == [6, 12]
    assert {"si_snr@1.2", "si_snr@1.2 speech", "si_snr@1.2 music"} <= validations[0]["validation"].keys()
    assert len(validations[0]["perplexity"]) == 4
    last = [entry for entry in entries if "validation" not in entry][-1]
    assert {"time", "mel", "adversarial", "features", "commitment", "fraction_mel", "updates_per_second"} <= last.keys()
    assert sum(value for key, value in last.items() if key.startswith("fraction_")) == pytest.approx(1)


KINDS = ["quantizer.kind=rvq", "quantizer.kind=diffq", "quantizer.kind=gumbel", "optimizer.kind=muon"]
CUTS = {1: 7, 5: 7, 6: 7, 7: 12}  # an update, and the one up to which the resumed training goes


@pytest.fixture(scope="module", params=KINDS)
def saved(request, tmp_path_factory):
    """Recipe, 12 batches, and the folder of the states that a training of these saved at the cuts and at its end."""
    folder = tmp_path_factory.mktemp("saved")
    recipe = small("training.updates=6", request.param)
    batches = torch.randn(12, 2, 1, 6000, generator=torch.Generator().manual_seed(0))
    whole = Trainer(recipe, ALONE)
    for number, batch in enumerate(batches, start=1):
        whole.update(batch)
        if number in (*CUTS, *CUTS.values()):
            torch.save(whole.state_dict(), folder / f"{number}.pt")
    return recipe, batches, folder


@pytest.mark.parametrize("cut", CUTS)
def test_resumes_bit_for_bit(saved, cut):
    """Interrupted early in, shortly before, at and after the end of the first epoch; with quantisers that add noise.

    The first three go on past the end of the first epoch, the last one to that of the second.
    """
    recipe, batches, folder = saved
    second = Trainer(recipe, ALONE)
    second.load_state_dict(torch.load(folder / f"{cut}.pt", weights_only=True))
    torch.rand(3)  # other random numbers must not matter
    for batch in batches[cut : CUTS[cut]]:
        second.update(batch)
    assert same(torch.load(folder / f"{CUTS[cut]}.pt", weights_only=True), second.state_dict())


def command(corpus, out, *more):
    settings = [part for setting in SMALL for part in ("--set", setting)]
    return [
        "train", "tiny", "--data", str(corpus), "--out", str(out), "--threads", "1", "--no-visqol", "--no-tensorboard",
        *settings, *more,
    ]  # fmt: skip


def wait_for(condition):
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


TRAIN_UP_TO_THE_NINTH_UPDATE = """
import time
from earmark import cli
from earmark.codec.training.trainer import Trainer

update, left = Trainer.update, iter(range(8))

def held(self, audio):
    if next(left, None) is None:
        time.sleep(250)
    return update(self, audio)

Trainer.update = held
cli.main()
"""


def test_a_killed_training_ends_with_the_same_weights(prepared, corpus, uninterrupted, tmp_path):
    """SIGKILL to the whole process group, some time after the first state was written and before the ninth update."""
    out = tmp_path / "run"
    process = prepared.start(
        "tests.prepared:execute", TRAIN_UP_TO_THE_NINTH_UPDATE, *command(corpus, out),
        folder=tmp_path, output=tmp_path / "said",
    )  # fmt: skip
    wait_for((out / STATE).exists)
    process.send(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    again = CliRunner().invoke(cli, command(corpus, out, "--resume"))
    assert again.exit_code == 0, again.output
    assert same(state(uninterrupted), state(out))


def test_an_interrupt_saves_at_once_and_says_how_to_resume(prepared, corpus, tmp_path):
    out, said = tmp_path / "run", tmp_path / "said"
    begun = command(corpus, out, "--set", "training.updates=2000")
    process = prepared.start("tests.prepared:earmark", *begun, folder=tmp_path, output=said)
    wait_for((out / STATE).exists)
    process.send(signal.SIGINT)
    assert process.wait() == 130
    # A worker that is ended may leave an incomplete line before it.
    assert (
        said.read_text()
        .splitlines()[-1]
        .endswith("earmark: interrupted; run the same command with --resume to continue")
    )
    assert state(out)["updates"] < 4000


def test_two_processes_equal_one(corpus, tmp_path, log):
    """Codebooks and losses equal those of one process within rounding. See also test_many_processes.py.

    Three updates, two of them with discriminators: beyond that a code that turns over makes two trainings differ.
    """
    few = ("--set", "training.updates=3", "--set", "training.epochs=1", "--set", "discriminators.start=1")
    few += ("--set", "discriminators.update_probability=1.0")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    done = subprocess.run(
        [*torchrun, "earmark", *command(corpus, tmp_path / "two", "--device", "cpu", *few)], cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one = CliRunner().invoke(cli, command(corpus, tmp_path / "one", "--device", "cpu", *few))
    assert one.exit_code == 0, one.output
    together, alone = state(tmp_path / "two"), state(tmp_path / "one")
    for part in ("generator", "discriminators"):
        for name, tensor in alone[part].items():
            torch.testing.assert_close(together[part][name], tensor, rtol=1e-2, atol=1e-3, msg=lambda m, n=name: n + m)
    losses = [next(entry for entry in log(tmp_path / folder) if "time" in entry) for folder in ("one", "two")]
    for name in ("time", "mel", "commitment", "adversarial", "features", "discriminator"):
        assert losses[1][name] == pytest.approx(losses[0][name], rel=1e-4), name


def test_the_folder_belongs_to_one_training(corpus, uninterrupted):
    shards = [Shards(corpus)]
    with pytest.raises(UserError, match="holds a training already; add --resume"):
        train(small(), shards, uninterrupted, ALONE)
    with pytest.raises(UserError, match="was begun with another recipe or --set"):
        train(small("training.seed=5"), shards, uninterrupted, ALONE, resume=True)
    assert train(small(), shards, uninterrupted, ALONE, resume=True, tensorboard=False)  # nothing left to do


def test_learns(tones):
    """80 updates on one second of tones, which an untrained model does not reproduce at all."""
    recipe = recipe_files.load(
        "tiny",
        ("model.seanet.filters=4", "model.seanet.ratios=[4, 2]", "model.kbps=[30]", "validation.kbps=[30]",
         "discriminators.kinds=[]", "losses.time=1.0", "optimizer.learning_rate=2e-3", "optimizer.betas=[0.8, 0.99]"),
    )  # fmt: skip
    trainer = Trainer(recipe, ALONE)
    batch = torch.stack(torch.from_numpy(tones(1.0, seed=1)).split(6000, dim=1))
    before = trainer.update(batch)["time"]
    for _ in range(80):
        after = trainer.update(batch)["time"]
    model = trainer.generator.export()
    assert after < 0.5 * before
    assert si_snr(batch[0], model.decode(model.encode(batch[:1]))[0]) > 8


def test_learning_rate_by_hand():
    """Warm-up over 4 updates to 1, then half a cosine over the other 8, which is 0.5 in its middle."""
    trainer = Trainer(small("optimizer.learning_rate=1.0", "optimizer.warmup=4", "optimizer.schedule=cosine"), ALONE)
    rates = []
    for number in range(13):
        trainer._set_learning_rate(number)
        rates.append(trainer.optimizers["generator"].param_groups[0]["lr"])
    assert rates[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rates[4] == 1
    assert rates[8] == pytest.approx(0.5)
    assert rates[12] == pytest.approx(0)


def test_excerpts_are_of_every_category_and_always_the_same(corpus):
    shards = [Shards(corpus)]
    excerpts = select_excerpts(shards, 6, 1.0)
    assert [excerpt.category for excerpt in excerpts] == ["speech", "speech", "music", "music", "sound", "sound"]
    assert all(excerpt.audio.shape == (1, 24000) for excerpt in excerpts)
    again = select_excerpts(shards, 6, 1.0)
    assert all(torch.equal(a.audio, b.audio) for a, b in zip(excerpts, again, strict=True))
    assert len({excerpt.name for excerpt in select_excerpts(shards, 12, 1.0)}) == 12


def test_mistakes_on_the_command_line_are_one_line(corpus, tmp_path):
    def says(*arguments):
        done = CliRunner().invoke(cli, ["train", *map(str, arguments), "--out", str(tmp_path / "x"), "--no-visqol"])
        return str(done.exception)

    assert "no such recipe" in says("nowhere", "--data", corpus)
    assert "--device warp" in says("tiny", "--data", corpus, "--device", "warp")
    assert "the recipe needs 48000 Hz" in says("encodec_48khz", "--data", corpus)
