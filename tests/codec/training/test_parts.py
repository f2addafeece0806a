"""Trainings of a part of the codec: the others stay as they are, and so do the codes and what was made of them."""

from __future__ import annotations

import copy
import io
import json

import pytest
import torch

from earmark.codec import ecdc
from earmark.codec.checkpoints import identities
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.errors import UserError
from earmark.codec.language_model import files as language_model_files
from earmark.codec.language_model.network import LanguageModel, LanguageModelConfig
from earmark.codec.training import recipe_files
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.run import train
from earmark.codec.training.start import start_from
from earmark.codec.training.trainer import Trainer

ALONE = ProcessGroup(0, 1, torch.device("cpu"))
SMALL = (
    "model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=16", "model.kbps=[0.6, 1.2]",
    "discriminators.kinds=[]", "data.batch=2", "data.seconds=0.1", "training.updates=2", "training.epochs=1",
    "validation.every=2", "validation.kbps=[1.2]", "validation.seconds=0.2", "validation.recordings=3",
)  # fmt: skip
PARTS = ("encoder", "quantizer", "decoder")


def small(*settings):
    return recipe_files.load("tiny", (*SMALL, *settings))


def noise(seed=0):
    return 0.1 * torch.randn(2, 1, 2400, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def earlier(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier") / "run"
    train(small(), [Shards(corpus)], folder, ALONE, tensorboard=False)
    return folder


@pytest.mark.parametrize("kind", ["adam", "muon"])
@pytest.mark.parametrize("source", ["state.pt", "model.safetensors"])
@pytest.mark.parametrize("part", PARTS)
def test_only_the_named_part_changes_in_20_updates(earlier, part, source, kind):
    """To the bit, as the exported model has it."""
    trainer = Trainer(small(f"training.parts=['{part}']", f"optimizer.kind={kind}", "optimizer.weight_ema=0.5"), ALONE)
    start_from(trainer, earlier / source)
    before = checkpoints.load(earlier / "model.safetensors").state_dict()
    counts = trainer.generator.quantizer.counts.clone()
    for number in range(20):
        trainer.update(noise(number))
    with trainer.average.in_place(trainer.generator):
        after = trainer.generator.export().state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if name.startswith(f"{part}.")}
    assert torch.equal(counts, trainer.generator.quantizer.counts) == (part != "quantizer")


def test_a_part_that_did_not_learn_may_learn_again(earlier, tmp_path):
    """Its weights have no weight norm in the state, and get one."""
    trainer = Trainer(small("training.parts=['decoder']"), ALONE)
    start_from(trainer, earlier)
    torch.save(trainer.state_dict(), tmp_path / "state.pt")
    again = Trainer(small(), ALONE)
    start_from(again, tmp_path / "state.pt")
    models = [each.generator.export().state_dict() for each in (trainer, again)]
    for name, value in models[0].items():
        torch.testing.assert_close(models[1][name], value)
    again.update(noise())


@pytest.mark.parametrize("kind", ["diffq", "gumbel"])
def test_other_quantizers_freeze_too(kind):
    trainer = Trainer(small("training.parts=['decoder']", f"quantizer.kind={kind}"), ALONE)
    before = {name: value.clone() for name, value in trainer.generator.quantizer.state_dict().items()}
    for number in range(2):
        trainer.update(noise(number))
    assert all(torch.equal(value, before[name]) for name, value in trainer.generator.quantizer.state_dict().items())


@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_rates_of_the_parts_are_relative_to_the_learning_rate(kind):
    """Adam's first step has the length of its rate; Muon's grows with it."""
    settings = ("optimizer.warmup=0", "optimizer.schedule=constant", "optimizer.learning_rate=0.004")
    steps = []
    for rate in (1.0, 0.25):
        trainer = Trainer(small(f"optimizer.kind={kind}", f"optimizer.rates.encoder={rate}", *settings), ALONE)
        before = {name: value.detach().clone() for name, value in trainer.generator.named_parameters()}
        trainer.update(noise())
        after = dict(trainer.generator.named_parameters())
        moved = {name: float((after[name].detach() - value).norm()) for name, value in before.items()}
        steps.append([sum(moved[name] for name in moved if name.startswith(part)) for part in ("encoder", "decoder")])
    assert steps[1][0] == pytest.approx(0.25 * steps[0][0], rel=1e-3)
    assert steps[1][1] == pytest.approx(steps[0][1], rel=1e-6)


def test_a_state_whose_optimizer_had_one_group_is_continued():
    """As earlier versions saved it."""
    first, second = Trainer(small(), ALONE), Trainer(small(), ALONE)
    first.update(noise())
    state = copy.deepcopy(first.state_dict())
    saved = state["optimizers"]["generator"]
    joined = [number for group in saved["param_groups"] for number in group["params"]]
    assert joined == sorted(joined)
    old = {**saved["param_groups"][0], "params": joined}
    del old["rate"]
    second.load_state_dict(
        {**state, "optimizers": {**state["optimizers"], "generator": {**saved, "param_groups": [old]}}}
    )
    for trainer in (first, second):
        trainer.update(noise(1))
    for ours, theirs in zip(first.generator.parameters(), second.generator.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_parts_without_weights_are_refused(corpus, earlier, tmp_path):
    with pytest.raises(UserError, match=r"training\.parts: the parts that do not learn need weights; give them by"):
        train(small("training.parts=['decoder']"), [Shards(corpus)], tmp_path / "run", ALONE)
    assert not (tmp_path / "run").exists()
    more = small("training.parts=['decoder']", "model.kbps=[2.4]", "validation.kbps=[2.4]")
    with pytest.raises(UserError, match="has 4 of the 8 codebooks of the recipe"):
        start_from(Trainer(more, ALONE), earlier)
    with pytest.raises(UserError, match=r"training\.parts must be some of encoder, quantizer, decoder"):
        small("training.parts=[]")


@pytest.fixture(scope="module")
def new_decoder(corpus, earlier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoder") / "run"
    settings = small("training.parts=['decoder']", "optimizer.warmup=0")
    train(settings, [Shards(corpus)], folder, ALONE, start=earlier / "model.safetensors", tensorboard=False)
    return checkpoints.load(folder / "model.safetensors")


@pytest.mark.parametrize("named_by", ["codes", "all weights"])
def test_files_and_language_model_outlive_a_decoder(earlier, new_decoder, tmp_path, named_by):
    """Files of this version name encoder and codebooks; those of version 0.1 named all weights."""
    model = checkpoints.load(earlier / "model.safetensors")
    name = identities.codes_identity(model) if named_by == "codes" else identities.identity(model)
    assert identities.identity(new_decoder) != identities.identity(model)
    assert identities.codes_identity(new_decoder) == identities.codes_identity(model)
    config = LanguageModelConfig(codebooks=4, context=262, codebook_size=16, dimension=8, heads=2, layers=1)
    language_model_files.save(LanguageModel(config), tmp_path / "lm.safetensors", codec=name)
    coder = language_model_files.portable_coder(
        tmp_path / "lm.safetensors", new_decoder.config, identities.accepted_identities(new_decoder)
    )
    file = io.BytesIO()
    codes = model.encode(noise()[:1], 1.2)
    ecdc.write(file, codes, model.config, model_identity=name, language_model=True, coder=coder)
    decoded = ecdc.decompress(new_decoder, file.getvalue(), coder)
    assert torch.equal(decoded, new_decoder.decode(codes))
    assert not torch.equal(decoded, model.decode(codes))


def test_a_copy_of_a_model_keeps_the_earlier_identities(earlier, new_decoder, tmp_path):
    old = identities.identity(checkpoints.load(earlier / "model.safetensors"))
    checkpoints.save(new_decoder, tmp_path / "copy.safetensors")
    same = checkpoints.load(tmp_path / "copy.safetensors")
    assert old in identities.accepted_identities(same)
    with torch.no_grad():
        same.encoder.layers[0].conv.bias += 1  # other codes
    assert old not in identities.accepted_identities(same)


def test_another_encoder_inherits_no_identity(corpus, earlier, tmp_path):
    train(small(), [Shards(corpus)], tmp_path / "run", ALONE, start=earlier, tensorboard=False)
    model = checkpoints.load(tmp_path / "run" / "model.safetensors")
    assert len(identities.accepted_identities(model)) == 2
    assert json.loads((tmp_path / "run" / "run.json").read_text())["start_model"]["codes"]
