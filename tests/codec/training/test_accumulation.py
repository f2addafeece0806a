"""A batch that is computed in parts gives the gradient of the whole batch."""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch

from earmark.codec.errors import UserError
from earmark.codec.training.adversarial import AdversarialPass
from earmark.codec.training.losses.balancer import Balancer

from .test_trainer_update import noise, trainer

PLAIN = ("balancer.enabled=false", "losses.mel=0", "losses.log_mel=0", "losses.levels=0", "data.batch=4")


def gradients(module):
    return {name: each.grad for name, each in module.named_parameters() if each.grad is not None}


def test_means_of_losses_give_the_same_gradient():
    whole = trainer(*PLAIN, "discriminators.kinds=[]")
    whole.update(noise(batch=4))
    parts = trainer(*PLAIN, "discriminators.kinds=[]", "training.accumulate=4")
    parts.load_state_dict(copy.deepcopy(whole.state_dict()))
    for each in (whole, parts):
        each.generator.quantizer.learns = False
        metrics = each.update(noise(batch=4))
        assert metrics["time"] > 0
    expected, found = gradients(whole.generator), gradients(parts.generator)
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-6)


def test_balanced_gradients_of_equal_parts_are_that_of_the_whole():
    """The joint norm of two equal halves is known exactly from each."""
    half = torch.randn(1, 1, 50, generator=torch.Generator().manual_seed(0))

    def gradient(signals, parts):
        balancer = Balancer({"a": 1.0, "b": 3.0})
        weight = torch.ones((), requires_grad=True)
        for signal in signals:
            decoded = weight * signal
            losses = {"a": decoded.square().mean(), "b": decoded.abs().mean()}
            balancer.backward(losses, decoded, 0.1 * decoded.mean(), parts)
        return weight.grad

    torch.testing.assert_close(gradient([half, half], 2), gradient([torch.cat([half, half])], 1))


def test_discriminators_learn_from_all_parts():
    """Those with weight norm; the spectral norm of others changes with every evaluation."""
    networks = trainer("discriminators.kinds=['mpd']").discriminators.of(0.6)
    real, fake = noise(batch=2), 4 * noise(batch=2).flip(0)
    found = []
    for pieces in (1, 2):
        networks.zero_grad(set_to_none=True)
        adversarial = AdversarialPass(networks, None, contextlib.nullcontext)
        for x, y in zip(real.chunk(pieces), fake.chunk(pieces), strict=True):
            adversarial.train(x, y, keep=False, parts=pieces)
        found.append(gradients(networks))
    whole, parts = (torch.cat([each.flatten() for each in of.values()]) for of in found)
    assert (whole - parts).norm() < 1e-3 * whole.norm()


@pytest.mark.parametrize("shared", ["true", "false"])
def test_an_update_in_parts_trains_everything(shared):
    training = trainer(
        "training.accumulate=2", "data.batch=2", f"discriminators.shared_pass={shared}",
        "discriminators.update_probability=1.0",
    )  # fmt: skip
    metrics = training.update(noise())
    assert {
        "adversarial",
        "features",
        "discriminator",
        "gradient_norm",
        "gradient_norm_discriminator",
    } <= metrics.keys()
    assert sum(value for name, value in metrics.items() if name.startswith("fraction_")) == pytest.approx(1)


def test_a_bad_sample_in_a_later_part_teaches_nothing():
    training = trainer("training.accumulate=2", "data.batch=2")
    training.update(noise())
    before = training.generator.quantizer.codebooks.clone()
    audio = noise()
    audio[1, 0, 7] = torch.nan
    assert training.update(audio) == {}
    assert torch.equal(training.generator.quantizer.codebooks, before)


def test_parts_divide_the_batch():
    with pytest.raises(UserError, match=r"training\.accumulate must be a divisor of data\.batch, 8"):
        trainer("training.accumulate=3")
