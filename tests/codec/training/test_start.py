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


@pytest.fixture(scope="module", params=["diffq", "gumbel"])
def learned(request, tmp_path_factory):
    """Quantiser, folder with state and exported model, and the trainer, after two updates that learned fast."""
    settings = (f"quantizer.kind={request.param}", "optimizer.learning_rate=0.01", "optimizer.warmup=0")
    trainer = Trainer(small(*settings, "discriminators.kinds=[]", "quantizer.penalty=1.0"), ALONE)
    for seed in range(2):
        trainer.update(0.1 * torch.randn(4, 1, 6000, generator=torch.Generator().manual_seed(seed)))
    folder = tmp_path_factory.mktemp("learned")
    checkpoints.save(trainer.generator.export(), folder / "model.safetensors")
    torch.save(trainer.state_dict(), folder / STATE)
    return request.param, folder, trainer


@pytest.mark.parametrize("source", ["", "model.safetensors"])
def test_learned_quantisers_start_from_their_like(learned, source):
    """The same codes and the same decoded audio; the prior's frequencies are rounded to 1 in 2^20 again."""
    kind, folder, before = learned
    trainer = Trainer(small(f"quantizer.kind={kind}", "discriminators.kinds=[]", "training.seed=5"), ALONE)
    start_from(trainer, folder / source)
    expected, found = before.generator.export(), trainer.generator.export()
    audio = 0.1 * torch.randn(1, 1, 6000, generator=torch.Generator().manual_seed(9))
    codes = expected.encode(audio)
    assert torch.equal(found.encode(audio).tensor, codes.tensor)
    torch.testing.assert_close(found.decode(codes), expected.decode(codes), rtol=0, atol=1e-5)
    for name, value in expected.quantizer.state_dict().items():
        torch.testing.assert_close(
            found.quantizer.state_dict()[name], value, rtol=1e-4, atol=1.0 if name == "frequencies" else 1e-6
        )
    assert trainer.update(audio.expand(4, -1, -1))["mel"] > 0


@pytest.mark.parametrize("source", ["", "model.safetensors"])
def test_another_quantiser_is_refused_with_the_remedy(corpus, learned, earlier, source):
    kind, folder, _ = learned
    state = torch.load(earlier / STATE, weights_only=True)
    cases = [(Trainer(small(f"quantizer.kind={kind}"), ALONE), earlier / source, "rvq", kind)]
    if source:  # a state that was saved by hand does not say which
        cases.append((Trainer(small(), ALONE), folder / source, kind, "rvq"))
    assert "recipe" in state
    for trainer, path, theirs, ours in cases:
        with pytest.raises(UserError) as caught:
            start_from(trainer, path)
        assert str(caught.value) == (
            f"--start-from {path}: its quantizer.kind is {theirs}, the recipe's is {ours}; add "
            f"--set quantizer.kind={theirs}, or start from another model"
        )


def test_gumbel_codebooks_that_do_not_learn_must_be_there(learned):
    kind, folder, _ = learned
    if kind == "gumbel":
        settings = ("quantizer.kind=gumbel", "training.parts=['decoder']", "model.kbps=[2.4]", "validation.kbps=[2.4]")
        for source in ("", "model.safetensors"):
            with pytest.raises(UserError, match="has 4 of the 8 codebooks of the recipe"):
                start_from(Trainer(small(*settings), ALONE), folder / source)


@pytest.mark.parametrize(
    ("setting", "source", "said"),
    [
        ("model.seanet.filters=4", "model.safetensors", "does not fit the recipe"),
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
