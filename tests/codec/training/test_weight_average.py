"""The moving average of weights against its formula."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from earmark.codec.training.weight_average import WeightAverage


def test_follows_the_weights_with_its_decay():
    """0.9 * 1 + 0.1 * 2 = 1.1; 0.9 * 1.1 + 0.1 * 3 = 1.29."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 1.0)
    average = WeightAverage(module, 0.9)
    for value in (2.0, 3.0):
        nn.init.constant_(module.weight, value)
        average.update(module)
    with average.in_place(module):
        torch.testing.assert_close(module.weight.item(), 1.29, rtol=0, atol=1e-6)
    assert module.weight.item() == 3.0


def test_equals_torch_averaged_model():
    """AveragedModel copies the weights of its first update, so it is given the initial ones."""
    torch.manual_seed(0)
    module = nn.Linear(3, 3)
    average, torchs = WeightAverage(module, 0.9), AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    torchs.update_parameters(module)
    for _ in range(5):
        nn.init.normal_(module.weight)
        average.update(module)
        torchs.update_parameters(module)
    with average.in_place(module):
        torch.testing.assert_close(module.weight, torchs.module.weight)


def test_continues_from_its_state():
    torch.manual_seed(0)
    module = nn.Linear(3, 3)
    average, again = WeightAverage(module, 0.5), WeightAverage(module, 0.5)
    nn.init.ones_(module.weight)
    average.update(module)
    again.load_state_dict(average.state_dict())
    with average.in_place(module):
        expected = module.weight.clone()
    with again.in_place(module):
        assert torch.equal(module.weight, expected)


def test_decay_0_does_not_change_the_weights():
    module = nn.Linear(2, 2)
    average = WeightAverage(module, 0.0)
    average.update(module)
    assert average.state_dict() == {}
    before = module.weight.data_ptr()
    with average.in_place(module):
        assert module.weight.data_ptr() == before
