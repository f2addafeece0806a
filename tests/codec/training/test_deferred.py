"""Updates that never wait for the device: they read nothing from it, and equal those that check every value at once."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from earmark.codec.errors import UserError
from earmark.codec.training import gpu, recipe_files
from earmark.codec.training.journal import UPDATES_PER_ENTRY, Journal
from earmark.codec.training.quantizers import rvq
from earmark.codec.training.trainer import Trainer

from .test_trainer_update import ALONE, SMALL
from .test_trainer_update import noise as noise_of

EVERY = "discriminators.update_probability=1.0"
READING = ("_local_scalar_dense", "nonzero", "equal", "masked_select", "bincount", "_unique2", "repeat_interleave")
METHODS = {Tensor.tolist, Tensor.numpy, Tensor.cpu, Tensor.__array__}


class NoReads(TorchDispatchMode):
    """Context in which operations fail whose results have to be read from the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix("aten::")
        masks = args[1] if name in ("index", "index_put", "index_put_") else ()
        if name in READING or any(mask is not None and mask.dtype == torch.bool for mask in masks):
            raise AssertionError(f"{func} waits for the device")
        return func(*args, **(kwargs or {}))


class NoReadingMethods(TorchFunctionMode):
    """Context in which those methods of tensors fail that read values without an operation."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in METHODS:
            raise AssertionError(f"{func} waits for the device")
        return func(*args, **(kwargs or {}))


@pytest.fixture
def deferred(monkeypatch):
    """Function that makes a trainer which takes the CPU for a device whose values are slow to read."""
    monkeypatch.setattr(rvq, "reading_waits", lambda device: True)
    return lambda *settings: make(*settings, deferred=True)


def make(*settings, deferred=False):
    return Trainer(recipe_files.load("tiny", (*SMALL, *settings)), ALONE, deferred=deferred)


def noise():
    return noise_of(samples=2400)


def state_of(training):
    """Copies of everything that an update may change, but for its number."""
    state = copy.deepcopy(training.state_dict())
    del state["updates"]
    return state


def test_reading_is_noticed():
    value = torch.ones(3)
    for read in (
        lambda: bool(value[0]),
        lambda: float(value.sum()),
        value.tolist,
        value.numpy,
        lambda: value[value > 0],
    ):
        with NoReads(), NoReadingMethods(), pytest.raises(AssertionError, match="waits for the device"):
            read()


@pytest.mark.parametrize(
    "settings",
    [
        ("optimizer.kind=adam", "optimizer.clip=1.0", "optimizer.weight_ema=0.9"),
        ("optimizer.kind=muon", "discriminators.shared_pass=true", "training.precision=bf16"),
        ("training.accumulate=2", "data.batch=2", "discriminators.kinds=['msd']"),
        ("quantizer.kind=diffq", "losses.compressed=1.0", "discriminators.compression=0.4"),
        ("quantizer.kind=gumbel", "discriminators.windows=2"),
        ("model.codebook_dim=4", "balancer.enabled=false"),
    ],
    ids=["adam", "muon", "parts", "diffq", "gumbel", "factorized"],
)
def test_an_update_reads_nothing_from_the_device(deferred, settings):
    """Once the first update has started the codebooks, by k-means."""
    training = deferred(EVERY, "model.kbps=[1.2]", *settings)
    training.update(noise())
    with NoReads(), NoReadingMethods():
        metrics = training.update(noise())
    assert metrics["mel"] > 0
    training.skips.read(wait=True)
    assert training.skips.take() == []


@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_updates_equal_those_that_read(deferred, kind):
    """Adam's fused kernel rounds otherwise, and a first step of Adam is as large as its rate, whatever its gradient."""
    settings = (EVERY, f"optimizer.kind={kind}", "optimizer.weight_ema=0.5", "optimizer.clip=0.5")
    trainings = make(*settings), deferred(*settings)
    for number in range(3):
        audio = noise() * (number + 1)
        expected, found = (training.update(audio) for training in trainings)
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            assert float(found[name]) == pytest.approx(float(value), rel=2e-3), name
    wanted, ours = (training.generator.state_dict() for training in trainings)
    for name, value in wanted.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-3, atol=2e-5)


def spoil_a_sample(training):
    audio = noise()
    audio[1, 0, 2000] = math.nan
    return audio, "a sample of the batch is NaN"


def spoil_a_loss(training):
    training.distances["mel"] = lambda reference, decoded: decoded.sum() * math.inf
    return noise(), "loss mel is infinite"


def spoil_a_gradient(training):
    training.generator.decoder.layers[0].conv.bias.register_hook(lambda gradient: gradient * math.nan)
    return noise(), "the gradient of the generator is NaN"


@pytest.mark.parametrize("kind", ["adam", "muon"])
@pytest.mark.parametrize("spoil", [spoil_a_sample, spoil_a_loss, spoil_a_gradient])
def test_a_bad_update_changes_nothing(deferred, spoil, kind):
    """A loss and a gradient are known after the codebooks have learned, and a gradient after the balancer has."""
    training = deferred("discriminators.kinds=[]", f"optimizer.kind={kind}", "optimizer.weight_ema=0.5")
    for _ in range(2):
        training.update(noise())
    audio, reason = spoil(training)
    before = state_of(training)
    assert math.isnan(training.update(audio)["mel"])
    training.skips.read(wait=True)
    assert training.skips.take() == [(3, reason)]
    after = state_of(training)
    learned = () if spoil is spoil_a_sample else ("quantizer",)
    for name, value in before["generator"].items():
        assert torch.equal(after["generator"][name], value) or name.startswith(learned), name
    for name, value in before["average"].items():
        assert torch.equal(after["average"][name], value) or name.startswith(learned), name
    if spoil is not spoil_a_gradient:
        assert after["balancer"] == before["balancer"]
    for number, moments in before["optimizers"]["generator"]["state"].items():
        for name, value in moments.items():
            assert torch.equal(after["optimizers"]["generator"]["state"][number][name], value)


def test_bad_discriminators_do_not_learn(deferred):
    training = deferred(EVERY, "discriminators.per_bandwidth=false")
    training.update(noise())
    audio, _ = spoil_a_sample(training)
    before = state_of(training)
    training.update(audio)
    after = state_of(training)
    for name, value in before["discriminators"].items():
        assert torch.equal(after["discriminators"][name], value), name


def test_a_bad_sample_in_a_later_part_teaches_nothing(deferred):
    training = deferred("training.accumulate=2", "data.batch=2")
    training.update(noise())
    before = state_of(training)
    training.update(spoil_a_sample(training)[0])
    for name, value in state_of(training)["generator"].items():
        assert torch.equal(value, before["generator"][name]), name


def test_three_in_a_row_end_the_training_when_they_are_read(deferred):
    training = deferred("discriminators.kinds=[]")
    for spoiled in (False, True, True, False, True, True, True, False):
        training.update(spoil_a_sample(training)[0] if spoiled else noise())
    with pytest.raises(UserError, match="update 7: a sample of the batch is NaN, in 3 updates in a row"):
        training.skips.read(wait=True)
    assert [number for number, _ in training.skips.take()] == [2, 3, 5, 6]


def test_the_log_leaves_out_the_metrics_of_bad_updates(tmp_path, log):
    journal = Journal(tmp_path, 0, UPDATES_PER_ENTRY, tensorboard=False)
    for number in range(1, UPDATES_PER_ENTRY + 1):
        value = torch.tensor(math.nan if number == 1 else 2.0)
        journal.update(number, {"mel": value, "fraction_mel": value / 2, "never": torch.tensor(math.nan)}, {})
    (entry,) = log(tmp_path)
    assert (entry["mel"], entry["fraction_mel"]) == (2.0, 1.0)
    assert "never" not in entry


@pytest.fixture
def switches():
    """Functions that set and get the switches: cuDNN's benchmark, and TF32 in convolutions and in products."""
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul

    def change(benchmark, tf32):
        cudnn.benchmark, cudnn.allow_tf32, products.allow_tf32 = benchmark, tf32, tf32

    before = cudnn.benchmark, cudnn.allow_tf32, products.allow_tf32
    yield change, lambda: (cudnn.benchmark, cudnn.allow_tf32, products.allow_tf32)
    cudnn.benchmark, cudnn.allow_tf32, products.allow_tf32 = before


@pytest.mark.parametrize("tf32", [True, False])
def test_the_switches_of_a_gpu(switches, tf32):
    change, read = switches
    change(benchmark=False, tf32=not tf32)
    gpu.set_up(torch.device("cpu"), tf32)
    assert read() == (False, not tf32, not tf32)
    gpu.set_up(torch.device("cuda", 0), tf32)
    assert read() == (True, tf32, tf32)


def test_a_trainer_sets_the_switches_of_its_recipe(monkeypatch):
    seen = []
    monkeypatch.setattr(gpu, "set_up", lambda *given: seen.append(given))
    make("training.tf32=false")
    make()
    assert seen == [(ALONE.device, False), (ALONE.device, True)]
