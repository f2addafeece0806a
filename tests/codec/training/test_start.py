"""Trainings that start from the weights of another."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.errors import UserError
from earmark.codec.training import recipe_files
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.folder import STATE
from earmark.codec.training.run import train
from earmark.codec.training.start import start_from
from earmark.codec.training.trainer import Trainer

ALONE = ProcessGroup(0, 1, torch.device("cpu"))
SMALL = (
    "model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=16", "model.kbps=[0.6, 1.2]",
    "discriminators.filters=2", "discriminators.start=0", "data.batch=4", "data.seconds=0.25", "training.updates=2",
    "validation.every=2", "validation.kbps=[1.2]", "validation.seconds=0.5", "validation.recordings=3",
)  # fmt: skip


def small(*settings):
    return recipe_files.load("tiny", (*SMALL, *settings))


@pytest.fixture(scope="module")
def earlier(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier") / "run"
    train(small("training.epochs=1"), [Shards(corpus)], folder, ALONE, tensorboard=False)
    return folder


def test_a_checkpoint_has_generator_and_codebooks(earlier):
    trainer = Trainer(small("training.seed=5", "optimizer.weight_ema=0.9"), ALONE)
    start_from(trainer, earlier / "model.safetensors")
    expected = checkpoints.load(earlier / "model.safetensors")
    with trainer.average.in_place(trainer.generator):  # as exported by a validation
        model = trainer.generator.export()
    assert torch.equal(model.quantizer.codebooks, expected.quantizer.codebooks)
    audio = 0.1 * torch.randn(1, 1, 6000, generator=torch.Generator().manual_seed(0))
    codes = expected.encode(audio)
    assert torch.allclose(model.decode(codes), expected.decode(codes), atol=1e-6)
    assert torch.equal(model.encode(audio).segments[0].codes, codes.segments[0].codes)


def test_the_first_updates_keep_the_given_codebooks(earlier):
    """The moving average moves a codeword by 1 % of what k-means on the batch would."""
    trainer = Trainer(small("optimizer.learning_rate=1e-9"), ALONE)
    start_from(trainer, earlier / "model.safetensors")
    before = trainer.generator.quantizer.codebooks.clone()
    trainer.update(0.1 * torch.randn(4, 1, 6000, generator=torch.Generator().manual_seed(0)))
    moved = (trainer.generator.quantizer.codebooks[:2] - before[:2]).norm() / before[:2].norm()
    assert 0 < moved < 0.1


def test_a_folder_has_discriminators_and_averages_too(earlier):
    trainer = Trainer(small("training.seed=5"), ALONE)
    start_from(trainer, earlier)
    state = torch.load(earlier / STATE, weights_only=True)
    assert trainer.updates == 0
    for name, network in (("generator", trainer.generator), ("discriminators", trainer.discriminators)):
        assert all(torch.equal(value, state[name][key]) for key, value in network.state_dict().items())


def test_more_codebooks_than_the_checkpoint_has(earlier):
    """k-means initialises the others from the first batch that uses them."""
    trainer = Trainer(small("model.kbps=[2.4]", "validation.kbps=[2.4]"), ALONE)
    start_from(trainer, earlier / "model.safetensors")
    trainer.update(0.1 * torch.randn(4, 1, 6000, generator=torch.Generator().manual_seed(0)))
    books = trainer.generator.quantizer.codebooks
    assert len(books) == 8
    assert books.flatten(1).any(dim=1).all()


@pytest.mark.parametrize("source", ["", "state.pt", "model.safetensors"])
def test_fewer_codebooks_are_the_first_ones(earlier, source):
    trainer = Trainer(small("model.kbps=[0.6]", "validation.kbps=[0.6]"), ALONE)
    start_from(trainer, earlier / source)
    saved = torch.load(earlier / STATE, weights_only=True)["generator"]["quantizer.codebooks"]
    assert torch.equal(trainer.generator.quantizer.codebooks, saved[:2])
    assert int(trainer.generator.quantizer.started) == 2


def test_more_codebooks_than_the_folder_has_keep_the_counts_of_the_others(earlier):
    trainer = Trainer(small("model.kbps=[2.4]", "validation.kbps=[2.4]"), ALONE)
    start_from(trainer, earlier)
    saved = torch.load(earlier / STATE, weights_only=True)["generator"]
    quantizer = trainer.generator.quantizer
    for name in ("codebooks", "counts", "sums"):
        assert torch.equal(getattr(quantizer, name)[:4], saved[f"quantizer.{name}"])
    assert int(quantizer.started) == 4
    trainer.update(0.1 * torch.randn(4, 1, 6000, generator=torch.Generator().manual_seed(0)))
    assert quantizer.codebooks.flatten(1).any(dim=1).all()


def test_one_discriminator_for_all_rates_starts_each_of_ours(tmp_path):
    source = Trainer(small("discriminators.per_bandwidth=false"), ALONE).state_dict()
    torch.save(source, tmp_path / "state.pt")
    trainer = Trainer(small("training.seed=5"), ALONE)
    start_from(trainer, tmp_path / "state.pt")
    assert len(trainer.discriminators.ensembles) == 2
    for ensemble in trainer.discriminators.ensembles.values():
        for key, value in ensemble.state_dict().items():
            assert torch.equal(value, source["discriminators"][f"ensembles.every.{key}"])


@pytest.mark.parametrize(
    ("setting", "source", "said"),
    [
        ("model.seanet.filters=4", "model.safetensors", "does not fit the recipe"),
        ("quantizer.kind=diffq", "model.safetensors", "quantizer.kind diffq"),
        ("model.seanet.filters=4", "", "do not fit the recipe: size mismatch for encoder"),
        ("model.entries=16", "nowhere", "no such file"),
    ],
)
def test_weights_that_do_not_fit_are_one_line(earlier, setting, source, said):
    trainer = Trainer(small("validation.kbps=[0.6]", setting), ALONE)
    with pytest.raises(UserError, match=said) as caught:
        start_from(trainer, earlier / source)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_state_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"holds no state\.pt"):
        start_from(Trainer(small(), ALONE), tmp_path)


def begun(corpus, folder, start):
    """A training that saves its state after the first update."""
    train(small(), [Shards(corpus)], folder, ALONE, stop_after=0, start=start, tensorboard=False)
    return folder


def resume(corpus, folder, start=None):
    return train(small(), [Shards(corpus)], folder, ALONE, resume=True, start=start, tensorboard=False)


def test_a_saved_training_resumes_without_start(corpus, earlier, tmp_path):
    source = shutil.copytree(earlier, tmp_path / "source")
    run = begun(corpus, tmp_path / "run", source)
    assert len(json.loads((run / "run.json").read_text())["start"]) == 64
    shutil.rmtree(source)
    assert resume(corpus, run)


def test_the_start_may_have_been_trained_further(corpus, earlier, tmp_path):
    """Same folder, other state: the weights that were taken from it are in the new training's own state."""
    source = shutil.copytree(earlier, tmp_path / "source")
    run = begun(corpus, tmp_path / "run", source)
    (source / STATE).write_bytes(b"")
    assert resume(corpus, run, source)


def test_another_start_is_refused(corpus, earlier, tmp_path):
    run = begun(corpus, tmp_path / "run", earlier)
    with pytest.raises(UserError, match="another --start-from; omit it to continue"):
        resume(corpus, run, earlier / "model.safetensors")


def test_before_a_state_is_saved_the_start_is_needed_again(corpus, earlier, tmp_path):
    run = begun(corpus, tmp_path / "run", earlier)
    (run / STATE).unlink()
    with pytest.raises(UserError, match="has saved no state yet; give --start-from again"):
        resume(corpus, run)
    assert resume(corpus, run, earlier)
