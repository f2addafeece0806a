"""The parts of one update, each of which could be lost without another test failing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from earmark.codec.training import recipe_files
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.trainer import Trainer

ALONE = ProcessGroup(0, 1, torch.device("cpu"))
SMALL = (
    "model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=16", "model.kbps=[0.6, 1.2]",
    "validation.kbps=[1.2]", "discriminators.filters=2", "discriminators.start=0", "optimizer.schedule='constant'",
)  # fmt: skip
RATE = 24000


def trainer(*settings, parent="tiny"):
    return Trainer(recipe_files.load(parent, (*SMALL, *settings)), ALONE)


def noise(channels=1, samples=6000, batch=2):
    return 0.1 * torch.randn(batch, channels, samples, generator=torch.Generator().manual_seed(0))


def copied(module):
    return {name: value.clone() for name, value in module.named_parameters()}


def moved(module, before):
    """Names of the parameters that an update changed."""
    return {name for name, value in module.named_parameters() if not torch.equal(value, before[name])}


def test_the_learning_rate_is_that_of_the_schedule():
    """Warm-up over 3 updates: the first has a quarter of the rate. Adam's first step has the length of its rate."""
    training = trainer("optimizer.learning_rate=0.004", "optimizer.warmup=3")
    before = copied(training.generator)
    training.update(noise())
    for optimizer in training.optimizers.values():
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.001] * len(optimizer.param_groups))
    after = training.generator.named_parameters()
    steps = [(value.detach() - before[name]).abs().max().item() for name, value in after]
    assert max(steps) == pytest.approx(0.001, rel=1e-2)


def test_adam_has_the_recipes_betas():
    training = trainer("optimizer.betas=[0.25, 0.75]")
    for optimizer in training.optimizers.values():
        assert {group["betas"] for group in optimizer.param_groups} == {(0.25, 0.75)}


@pytest.mark.parametrize("name", ["time", "mel", "log_mel", "levels"])
def test_each_distance_counts_with_its_weight(name):
    others = [f"losses.{other}=0.0" for other in ("time", "mel", "log_mel", "levels") if other != name]
    metrics = trainer(*others, f"losses.{name}=2.0", "discriminators.kinds=[]").update(noise())
    assert metrics[name] > 0
    assert metrics[f"fraction_{name}"] == pytest.approx(1)


def test_muon_changes_a_kernel_in_all_directions():
    """The singular values of Muon's step are nearly equal, those of Adam's are not."""

    def spread(kind):
        training = trainer(f"optimizer.kind={kind}", "model.seanet.filters=8", "model.seanet.norm='none'")
        kernel = training.generator.encoder.layers[0].conv.weight
        before = kernel.detach().clone()
        training.update(noise())
        sizes = torch.linalg.svdvals((kernel.detach() - before).flatten(1))
        return sizes.min() / sizes.max()

    assert spread("muon") > 0.4
    assert spread("adam") < 0.2


@pytest.mark.parametrize(("probability", "trained"), [(0.0, False), (1.0, True)])
def test_discriminators_are_trained_with_their_probability(probability, trained):
    training = trainer(f"discriminators.update_probability={probability}")
    before = copied(training.discriminators)
    metrics = training.update(noise())
    assert bool(moved(training.discriminators, before)) == trained
    assert ("discriminator" in metrics) == trained
    assert metrics["adversarial"] > 0  # it is evaluated in any case


def test_half_of_the_updates_train_the_discriminators():
    """200 draws with probability 1/2: within 4 standard deviations of sqrt(200 / 4) = 7.1."""
    training = trainer("discriminators.update_probability=0.5", "data.seconds=0.0854")
    training._discriminate = lambda _, __, ___, ____, train, *_____: {"discriminator": torch.zeros(())} if train else {}
    training._train_generator = lambda *_: {}
    training.generator.forward = lambda audio, *_: _Nothing(audio)
    training.distances = {}
    count = sum("discriminator" in training.update(noise(samples=2048)) for _ in range(200))
    assert 72 <= count <= 128


class _Nothing:
    def __init__(self, audio):
        self.decoded = audio
        self.quantized = SimpleNamespace(commitment=torch.zeros(()), bits=torch.zeros(()))


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_only_the_discriminators_of_the_bit_rate_are_trained(optimizer):
    training = trainer("discriminators.update_probability=1.0", f"optimizer.kind={optimizer}")
    seen = set()
    for _ in range(6):
        before = copied(training.discriminators)
        kbps = training.update(noise())["kbps"]
        names = {name.split(".")[1] for name in moved(training.discriminators, before)}
        assert names == {f"{kbps:g}_kbps".replace(".", "_")}
        seen.add(kbps)
    assert seen == {0.6, 1.2}


def test_the_average_follows_every_update():
    """With a decay of 1/2: the mean of the weights before and after."""
    training = trainer("optimizer.weight_ema=0.5")
    before = copied(training.generator)
    training.update(noise())
    after = copied(training.generator)
    with training.average.in_place(training.generator):
        for name, value in training.generator.named_parameters():
            torch.testing.assert_close(value, (before[name] + after[name]) / 2)


def test_a_training_with_an_average_resumes_bit_for_bit():
    whole, first = trainer("optimizer.weight_ema=0.5"), trainer("optimizer.weight_ema=0.5")
    for training in (whole, first):
        training.update(noise())
    second = trainer("optimizer.weight_ema=0.5")
    second.load_state_dict(first.state_dict())
    for training in (whole, second):
        training.update(noise())
    for name, value in whole.average.state_dict().items():
        assert torch.equal(value, second.average.state_dict()[name])


def unbalanced_of(training):
    """The loss that an update adds without balancing, and its metrics."""
    given = []
    backward = training.balancer.backward
    training.balancer.backward = lambda losses, output, loss, *rest: (
        given.append(loss), backward(losses, output, loss, *rest)
    )[1]  # fmt: skip
    metrics = training.update(noise())
    return float(given[0].detach()), metrics


def test_commitment_counts_with_its_weight():
    loss, metrics = unbalanced_of(trainer("losses.commitment=0.25"))
    assert metrics["commitment"] > 0
    assert loss == pytest.approx(0.25 * float(metrics["commitment"]))


def test_bits_count_with_their_penalty():
    """One bit per step at 75 steps per second is 0.075 kbps."""
    loss, metrics = unbalanced_of(trainer("quantizer.kind='gumbel'", "quantizer.penalty=2.0"))
    assert metrics["bits"] > 0
    assert loss == pytest.approx(2 * 0.075 * float(metrics["bits"]))


def test_the_penalty_reaches_the_prior():
    """No other loss does, since the decoded audio does not depend on the prior."""
    for penalty, learns in ((0.0, False), (1.0, True)):
        training = trainer("quantizer.kind='gumbel'", f"quantizer.penalty={penalty}")
        before = copied(training.generator.quantizer)
        training.update(noise())
        assert ("prior" in moved(training.generator.quantizer, before)) == learns


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("float32", torch.float32)])
def test_networks_compute_in_the_recipes_precision_and_losses_in_float32(precision, dtype):
    training = trainer(f"training.precision='{precision}'", "discriminators.update_probability=1.0")
    seen = {}
    networks = {"generator": training.generator.encoder, "discriminators": training.discriminators}
    for name, network in networks.items():
        conv = next(module for module in network.modules() if isinstance(module, torch.nn.Conv1d | torch.nn.Conv2d))
        conv.register_forward_hook(lambda _, __, output, name=name: seen.update({name: output.dtype}))
    metrics = training.update(noise())
    assert seen["generator"] == dtype
    assert seen.get("discriminators", dtype) == dtype  # the hook may be on the other bit rate's
    losses = [value for value in metrics.values() if isinstance(value, torch.Tensor)]
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses)
    assert all(parameter.dtype == torch.float32 for parameter in training.generator.parameters())


STEREO = ("model.kbps=[3, 6]", "validation.kbps=[6]", "training.precision='float32'")


@pytest.mark.parametrize("kind", ["ms_stft", "msd", "mpd", "mono_stft"])
def test_stereo_at_48_khz_trains_with_every_discriminator(kind):
    training = trainer(
        *STEREO, f"discriminators.kinds=['{kind}']", "discriminators.update_probability=1.0", parent="encodec_48khz"
    )
    before = copied(training.discriminators)
    metrics = training.update(noise(channels=2, samples=9600))
    assert moved(training.discriminators, before)
    assert 0 < metrics["features"] < 100
    assert all(torch.as_tensor(value).isfinite() for value in metrics.values())


def test_a_normalised_codec_restores_the_level_of_each_recording():
    """Half the input level gives half the output level, up to the 1e-8 that is added to the level."""
    generator = trainer(*STEREO, parent="encodec_48khz").generator
    audio = noise(channels=2, samples=9600)
    generator.train()
    generator(audio, 2)  # initialises the codebooks
    generator.eval()
    with torch.no_grad():
        whole, half = (generator(level * audio, 2).decoded for level in (1.0, 0.5))
    torch.testing.assert_close(half, 0.5 * whole, rtol=1e-3, atol=1e-5)
    assert whole.abs().max() > 0
