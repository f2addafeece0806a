"""Updates with values that are not finite change nothing, and several in a row end the training."""

from __future__ import annotations

import math

import pytest
import torch

from earmark.codec.errors import UserError

from .test_trainer_update import noise, trainer


def state_of(training):
    """Copies of everything that an update may change."""
    networks = (training.generator, training.discriminators)
    return [value.clone() for network in networks for value in network.state_dict().values()]


def assert_unchanged(training, before):
    for now, earlier in zip(state_of(training), before, strict=True):
        assert torch.equal(now, earlier)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_batch_with_one_bad_sample_is_skipped(bad):
    training = trainer("optimizer.weight_ema=0.5")
    training.update(noise())
    before = state_of(training)
    audio = noise()
    audio[1, 0, 4000] = bad
    assert training.update(audio) == {}
    assert training.skipped == f"a sample of the batch is {'NaN' if math.isnan(bad) else 'infinite'}"
    assert_unchanged(training, before)
    assert training.updates == 2
    assert training.update(noise())["mel"] > 0
    assert training.skipped is None


def test_a_bad_first_batch_does_not_start_the_codebooks():
    training = trainer()
    audio = noise()
    audio[0] = math.nan
    training.update(audio)
    assert int(training.generator.quantizer.started) == 0
    training.update(noise())
    assert training.generator.quantizer.codebooks[:1].isfinite().all()
    assert int(training.generator.quantizer.started) > 0


def test_a_loss_is_named_and_three_in_a_row_end_the_training():
    training = trainer()
    training.distances["mel"] = lambda reference, decoded: decoded.sum() * math.nan
    before = state_of(training)
    for update in (1, 2):
        training.update(noise())
        assert training.skipped == "loss mel is NaN"
        assert training.updates == update
    with pytest.raises(
        UserError, match=r"update 3: loss mel is NaN, in 3 updates in a row; the state saved last is int"
    ):
        training.update(noise())
    weights = [value for name, value in training.generator.named_parameters()]
    for weight, earlier in zip(weights, before, strict=False):
        assert weight.isfinite().all()
        assert earlier.isfinite().all()


def test_a_gradient_that_is_not_finite_is_not_applied():
    training = trainer("discriminators.kinds=[]", "losses.mel=0.0", "losses.log_mel=0.0", "balancer.enabled=false")
    weight = training.generator.decoder.layers[0].conv.bias
    weight.register_hook(lambda gradient: gradient * math.inf)
    before = [value.clone() for value in training.generator.parameters()]
    training.update(noise())
    assert "the gradient of the generator is" in training.skipped
    for now, earlier in zip(training.generator.parameters(), before, strict=True):
        assert torch.equal(now, earlier)


@pytest.mark.parametrize("rate", [3.0, 1e8])
def test_a_rate_that_diverges_leaves_no_bad_weights(rate):
    """The weights explode in the first updates; none becomes NaN, and the training ends by name."""
    training = trainer(f"optimizer.learning_rate={rate}", "optimizer.warmup=0")
    with pytest.raises(UserError, match=r"update \d+: .* in 3 updates in a row"):  # noqa: PT012
        for _ in range(50):
            training.update(noise())
    assert all(value.isfinite().all() for value in training.generator.parameters())


def test_weights_that_are_not_finite_are_not_saved():
    training = trainer()
    training.require_finite_weights()
    with torch.no_grad():
        next(training.generator.decoder.parameters())[0] = math.nan
    with pytest.raises(
        UserError, match=r"update 0: generator\.decoder\.\S+ is not finite; the state saved last is kept"
    ):
        training.require_finite_weights()


def test_clipping_bounds_the_norm_of_the_gradient():
    """Plain gradient descent of rate 1 moves the weights by the gradient itself, of the norm of the limit."""
    training = trainer("optimizer.clip=0.01", "discriminators.kinds=[]")
    training.optimizers["generator"] = torch.optim.SGD(training.generator.parameters(), lr=1.0)
    training._set_learning_rate = lambda number: None
    before = [value.detach().clone() for value in training.generator.parameters()]
    norm = training.update(noise())["gradient_norm"]
    moved = torch.cat([(a - b).flatten() for a, b in zip(training.generator.parameters(), before, strict=True)])
    assert norm > 0.01
    assert float(moved.norm()) == pytest.approx(0.01, rel=1e-3)
