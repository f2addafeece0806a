"""The loss balancer against equation 5: by hand, by finite differences, and with two processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from earmark.codec.training.losses.balancer import Balancer

from ....prepared import Prepared


def silence() -> torch.Tensor:
    """Two samples, [1, 1, 2], that receive a gradient."""
    return torch.zeros(1, 1, 2, requires_grad=True)


def along(direction: list[float], decoded: torch.Tensor) -> torch.Tensor:
    """A loss whose gradient is `direction`."""
    return (torch.tensor(direction) * decoded).sum()


def test_equation_5_by_hand():
    """|g| = 5 and 2; lambda 1 and 3: g~ = 1/4 (3, 4)/5 + 3/4 (0, 2)/2 = (0.15, 0.95), with R = 10 ten times that."""
    for norm in (1.0, 10.0):
        decoded = silence()
        losses = {"a": along([3, 4], decoded), "b": along([0, 2], decoded)}
        shares = Balancer({"a": 1, "b": 3}, reference_norm=norm).backward(losses, decoded)
        torch.testing.assert_close(decoded.grad, norm * torch.tensor([[[0.15, 0.95]]]))
        assert shares == pytest.approx({"a": 0.25, "b": 0.75})


def test_the_moving_average_has_no_bias_in_the_first_batches():
    """Norms 1, 2, 6 with beta 0.5: averages 1, (0.5 * 1 + 2) / 1.5 = 5/3 and (0.25 * 1 + 0.5 * 2 + 6) / 1.75 = 29/7."""
    balancer = Balancer({"a": 1}, decay=0.5)
    for norm, average in ((1, 1), (2, 5 / 3), (6, 29 / 7)):
        decoded = silence()
        balancer.backward({"a": along([norm, 0], decoded)}, decoded)
        torch.testing.assert_close(decoded.grad, torch.tensor([[[norm / average, 0]]]))


def test_the_scale_of_a_loss_does_not_matter():
    def gradients(scale: float) -> list[torch.Tensor]:
        balancer, generator = Balancer({"a": 1, "b": 2}), torch.Generator().manual_seed(0)
        found = []
        for _ in range(5):
            target, decoded = torch.randn(2, 1, 8, generator=generator), torch.zeros(2, 1, 8, requires_grad=True)
            losses = {"a": (decoded - target).abs().mean(), "b": scale * (decoded - target).square().mean()}
            balancer.backward(losses, decoded)
            found.append(decoded.grad)
        return found

    for one, thousand in zip(gradients(1), gradients(1000), strict=True):
        torch.testing.assert_close(one, thousand)


def test_shares_are_measured_in_each_batch():
    """Both gradients were 1, now b's is 3: with beta 0.5 its average is 3.5 / 1.5 = 7/3, so it contributes 9/7."""
    balancer = Balancer({"a": 1, "b": 1}, decay=0.5)
    for size, shares in ((1, {"a": 0.5, "b": 0.5}), (3, {"a": 1 / (1 + 9 / 7), "b": 9 / 7 / (1 + 9 / 7)})):
        decoded = silence()
        losses = {"a": along([1, 0], decoded), "b": along([0, size], decoded)}
        assert balancer.backward(losses, decoded) == pytest.approx(shares)


def test_without_balancing_weighted_losses_are_added():
    """As in the rows of Table A.4 without balancer: all gradients of the weights are those of the plain sum."""
    torch.manual_seed(0)
    network, audio = nn.Conv1d(1, 1, 5), torch.randn(3, 1, 40)

    def losses(decoded: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"a": decoded.abs().mean(), "b": 100 * decoded.square().mean()}

    decoded = network(audio)
    weights = {"a": 2.0, "b": 0.5}
    (2 * losses(decoded)["a"] + 0.5 * losses(decoded)["b"]).backward()
    wanted = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    decoded = network(audio)
    shares = Balancer(weights, enabled=False).backward(losses(decoded), decoded)
    torch.testing.assert_close([p.grad for p in network.parameters()], wanted)
    assert shares["b"] > 0.9  # without balancing, the larger loss dominates
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize("enabled", [True, False])
def test_gradient_of_the_weights_by_finite_differences(enabled):
    """The network receives the gradient of sum_i c_i loss_i with the factors c_i of equation 5 held fixed."""
    torch.manual_seed(0)
    weight = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    audio = torch.randn(2, 4, 6, dtype=torch.float64)
    lambdas = {"a": 1.0, "b": 3.0}

    def losses(weight: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        decoded = torch.tanh(weight @ audio)
        return {"a": decoded.abs().mean(), "b": decoded.pow(4).sum()}, decoded

    found, decoded = losses(weight)
    norms = {n: torch.autograd.grad(loss, decoded, retain_graph=True)[0].norm() for n, loss in found.items()}
    factors = {n: lambdas[n] / 4 / norms[n] if enabled else lambdas[n] for n in norms}
    Balancer(lambdas, enabled=enabled).backward(found, decoded)

    def total(weight: torch.Tensor) -> float:
        return sum(float(factors[name] * loss) for name, loss in losses(weight)[0].items())

    with torch.no_grad():
        for index in torch.cartesian_prod(torch.arange(3), torch.arange(4)):
            step = torch.zeros_like(weight)
            step[tuple(index)] = 1e-6
            slope = (total(weight + step) - total(weight - step)) / 2e-6
            assert float(weight.grad[tuple(index)]) == pytest.approx(slope, abs=1e-7)


def test_one_backward_pass_includes_the_commitment_loss():
    """The loss on the latent is added without scaling, and every weight receives its gradient once."""
    torch.manual_seed(0)
    encoder, decoder = nn.Conv1d(1, 2, 3), nn.Conv1d(2, 1, 3)
    latent = encoder(torch.randn(2, 1, 20))
    decoded = decoder(latent)
    commitment = 7 * latent.square().mean()
    by_commitment = torch.autograd.grad(commitment, encoder.weight, retain_graph=True)[0]
    by_output = torch.autograd.grad(decoded.mean(), encoder.weight, retain_graph=True)[0]
    passes = []
    encoder.weight.register_hook(passes.append)
    Balancer({"a": 1}).backward({"a": decoded.mean()}, decoded, commitment)
    assert len(passes) == 1
    norm = decoded.numel() ** -0.5  # norm of the gradient of a mean
    torch.testing.assert_close(encoder.weight.grad, by_output / norm + by_commitment)


def test_a_constant_unbalanced_loss_is_accepted():
    """For example the commitment loss of quantisers without one."""
    decoded = silence()
    Balancer({"a": 1}).backward({"a": along([3, 4], decoded)}, decoded, torch.zeros(()))
    torch.testing.assert_close(decoded.grad, torch.tensor([[[0.6, 0.8]]]))


def test_graphs_of_the_losses_are_kept():
    """Discriminators can be trained with the same forward pass: d/dw mean(w x) = mean(x) = 1.5."""
    weight = torch.tensor(2.0, requires_grad=True)
    decoded = torch.tensor([[[1.0, 2.0]]], requires_grad=True)
    logits = weight * decoded
    Balancer({"adversarial": 1}).backward({"adversarial": logits.mean()}, decoded)
    assert torch.autograd.grad(logits.mean(), weight)[0] == 1.5


@pytest.mark.parametrize("broken", [0.0, float("nan"), float("inf")])
@pytest.mark.parametrize("enabled", [True, False])
def test_zero_and_infinite_gradients_are_left_out(enabled, broken):
    """It changes neither the network nor its average, and the other loss keeps its scale."""
    balancer = Balancer({"a": 1, "b": 1}, enabled=enabled)
    shares, gradients = [], []
    for size in (2.0, broken, 2.0):
        decoded = silence()
        losses = {"a": along([4, 0], decoded), "b": along([0, size], decoded)}
        shares.append(balancer.backward(losses, decoded)["b"])
        gradients.append(decoded.grad[0, 0].tolist())
    a, b = (0.5, 0.5) if enabled else (4, 2)
    assert gradients == [[a, b], [a, 0], [a, b]]
    assert shares == pytest.approx([b / (a + b), 0, b / (a + b)])


def test_a_gradient_too_small_to_scale_is_left_out():
    decoded = silence()
    losses = {"a": along([1, 0], decoded), "b": along([0, 1e-42], decoded)}
    assert Balancer({"a": 1, "b": 1}).backward(losses, decoded) == {"a": 1, "b": 0}


def test_without_gradients_the_network_does_not_change():
    decoded = silence()
    assert Balancer({"a": 1}).backward({"a": along([0, 0], decoded)}, decoded) == {"a": 0}
    assert torch.equal(decoded.grad, torch.zeros(1, 1, 2))


def test_a_batch_may_lack_losses():
    """For example before the discriminators start: the sum of lambda is over the losses of the batch."""
    balancer = Balancer({"time": 1, "mel": 1, "adversarial": 2})
    decoded = silence()
    shares = balancer.backward({"time": along([1, 0], decoded), "mel": along([0, 9], decoded)}, decoded)
    assert shares == pytest.approx({"time": 0.5, "mel": 0.5})
    torch.testing.assert_close(decoded.grad, torch.tensor([[[0.5, 0.5]]]))


def test_a_loss_without_weight_is_refused():
    decoded = silence()
    with pytest.raises(ValueError, match="no weight for the losses mle"):
        Balancer({"mel": 1}).backward({"mle": decoded.sum()}, decoded)


def test_a_resumed_balancer_equals_the_original():
    def run(balancer: Balancer, sizes: list[float]) -> list[list[float]]:
        found = []
        for size in sizes:
            decoded = silence()
            balancer.backward({"a": along([size, 0], decoded), "b": along([0, 1], decoded)}, decoded)
            found.append(decoded.grad[0, 0].tolist())
        return found

    weights = {"a": 1, "b": 2}
    whole = run(Balancer(weights), [1.1, 2.7, 0.3, 9.1])
    first, second = Balancer(weights), Balancer(weights)
    start = run(first, [1.1, 2.7])
    second.load_state_dict(first.state_dict())
    assert start + run(second, [0.3, 9.1]) == whole


def test_it_equals_a_balancer_of_python_s_numbers():
    """Equation 5 with numbers that are read from each batch; the fourth is bad, so that no average changes."""
    weights, decay = {"a": 0.1, "b": 1.0, "c": 3.0}, 0.9
    balancer, averages = Balancer(weights, decay=decay), dict.fromkeys(weights, (0.0, 0.0))
    for number in range(6):
        torch.manual_seed(number)
        decoded, directions = (
            torch.zeros(2, 1, 9, requires_grad=True),
            torch.randn(3, 2, 1, 9) * 10 ** torch.randn(3, 1, 1, 1),
        )
        present = dict(list(zip(weights, directions, strict=True))[number % 2 :])
        losses = {name: (direction * decoded).sum() for name, direction in present.items()}
        bad = torch.tensor(float(number == 3))
        shares = balancer.backward(losses, decoded, bad=bad)
        if number == 3:
            continue
        expected, contributions = torch.zeros_like(decoded), {}
        for name, direction in present.items():
            norm = float(direction.double().norm())
            averages[name] = tuple(decay * old + new for old, new in zip(averages[name], (norm, 1.0), strict=True))
            scale = weights[name] / sum(weights[each] for each in present) / (averages[name][0] / averages[name][1])
            expected = expected + scale * direction
            contributions[name] = scale * norm
        torch.testing.assert_close(decoded.grad, expected.detach())
        whole = sum(contributions.values())
        assert shares == pytest.approx({name: value / whole for name, value in contributions.items()})
    for name, saved in balancer.state_dict().items():
        assert (saved["total"], saved["weight"]) == pytest.approx(averages[name], rel=1e-12)


UPDATES = """
import sys, torch
from torch import distributed as dist
from earmark.codec.training.losses.balancer import Balancer
from earmark.codec.training.discriminators.ms_stft import MultiScaleSTFT
from earmark.codec.training.distributed import average_gradients
from earmark.codec.training.losses.terms import MultiScaleMel, feature_matching, hinge_generator, time_loss

def updates(rank, processes):
    torch.manual_seed(0)
    generator, discriminator = torch.nn.Conv1d(1, 1, 9, padding=4), MultiScaleSTFT([256, 128], filters=2)
    mel, balancer = MultiScaleMel(8000), Balancer({"time": 0.1, "mel": 1, "adversarial": 3, "features": 3})
    for batch in torch.randn(3, 4, 1, 2000) * torch.tensor([0.01, 1.0, 0.1, 0.5])[:, None, None]:  # uneven halves
        audio = batch.chunk(processes)[rank]
        decoded = generator(audio)
        real, fake = discriminator(audio), discriminator(decoded)
        losses = {
            "time": time_loss(audio, decoded),
            "mel": mel(audio, decoded),
            "adversarial": hinge_generator([output.logits for output in fake]),
            "features": feature_matching([x.features for x in real], [x.features for x in fake]),
        }
        generator.zero_grad()
        shares = balancer.backward(losses, decoded)
        average_gradients(generator.parameters())
        yield generator.weight.grad.clone(), shares, balancer.state_dict()

torch.set_num_threads(1)
folder, rank = sys.argv[1], int(sys.argv[2])
alone = list(updates(0, 1))
dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
torch.save((alone, list(updates(rank, 2))), f"{folder}/{rank}.pt")
dist.barrier()
dist.destroy_process_group()  # without this a process may abort at exit
"""


def test_two_processes_equal_one(prepared: Prepared, tmp_path: Path):
    """Scales, shares and gradients are those of the joint batch in both, not those of its halves."""
    prepared.run_ranks(UPDATES, tmp_path)
    for rank in "01":
        for alone, together in zip(*torch.load(tmp_path / f"{rank}.pt"), strict=True):
            torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)
