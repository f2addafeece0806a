"""One update of a codec's training, and the state it depends on (EnCodec paper, sections 3.4 and 4.4)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from earmark.codec.encodec.precision import has_bfloat16
from earmark.codec.training import discriminators, optimizers
from earmark.codec.training.distributed import ProcessGroup, average, average_gradients
from earmark.codec.training.generator import Generator, Output
from earmark.codec.training.losses.balancer import Balancer
from earmark.codec.training.losses.band_levels import BandLevels
from earmark.codec.training.losses.terms import (
    MultiScaleLogMel,
    MultiScaleMel,
    feature_matching,
    hinge_discriminator,
    hinge_generator,
    time_loss,
)
from earmark.codec.training.quantizers.rvq import TrainableResidualVectorQuantizer
from earmark.codec.training.recipe import Recipe
from earmark.codec.training.schedule import learning_rate
from earmark.codec.training.stopwatch import Stopwatch
from earmark.codec.training.weight_average import WeightAverage

Distance = Callable[[Tensor, Tensor], Tensor]


class Trainer:
    """Networks, optimisers and balancer of one training.

    An update depends only on its number, the recipe's seed, the state and the batch. A training continued from
    `state_dict` therefore equals the uninterrupted one, bit for bit on the CPU.

    Args:
        recipe: what to train.
        group: the processes that share each batch.
    """

    def __init__(self, recipe: Recipe, group: ProcessGroup) -> None:
        self.recipe = recipe
        self.group = group
        torch.manual_seed(recipe.training.seed)  # every process starts with the same weights
        self.generator = Generator(recipe).to(group.device)
        self.discriminators = discriminators.build(recipe).to(group.device)
        weights = asdict(recipe.losses)
        rate = recipe.model.sample_rate
        spectral = {"mel": MultiScaleMel(rate), "log_mel": MultiScaleLogMel(rate), "levels": BandLevels(rate)}
        distances: dict[str, Distance] = {"time": time_loss, **{k: d.to(group.device) for k, d in spectral.items()}}
        self.distances = {name: distance for name, distance in distances.items() if weights[name] > 0}
        self.balancer = Balancer(
            {name: weight for name, weight in weights.items() if name != "commitment"},
            reference_norm=recipe.balancer.reference_norm,
            decay=recipe.balancer.decay,
            enabled=recipe.balancer.enabled,
        )
        networks = {"generator": self.generator, "discriminators": self.discriminators}
        self.optimizers = {
            name: optimizers.build(network, recipe.optimizer)
            for name, network in networks.items()
            if any(True for _ in network.parameters())  # a recipe may have no discriminators
        }
        self.average = WeightAverage(self.generator, recipe.optimizer.weight_ema)
        self.updates = 0
        self.stopwatch = Stopwatch(group.device)

    def update(self, audio: Tensor) -> dict[str, float | Tensor]:
        """Make one update.

        Args:
            audio: this process's part of the batch, [B, channels, T] on its device.

        Returns:
            Metrics for the log: losses of the whole batch, shares of the gradient, and the bit rate drawn. Losses are
            tensors, since reading their values would wait for the device.
        """
        recipe = self.recipe
        draws = np.random.default_rng([recipe.training.seed, self.updates])
        torch.manual_seed(int(draws.integers(2**62)) + self.group.rank)  # for the noise of some quantisers
        kbps = float(draws.choice(recipe.model.kbps))
        train_discriminator = draws.random() < recipe.discriminators.update_probability
        self._set_learning_rate()
        with self.stopwatch("generator"), self._autocast():
            output = self.generator(audio, recipe.model.codebooks(kbps))
        metrics: dict[str, float | Tensor] = {"kbps": kbps}
        with self.stopwatch("losses"):
            losses = {name: distance(audio, output.decoded) for name, distance in self.distances.items()}
        if self.updates >= recipe.discriminators.start and recipe.discriminators.kinds:
            discriminator = self.discriminators.of(kbps)
            with self.stopwatch("discriminators"):
                if train_discriminator:
                    metrics["discriminator"] = self._train_discriminator(discriminator, audio, output.decoded.detach())
                losses |= self._adversarial(discriminator, audio, output.decoded)
        with self.stopwatch("generator"):
            metrics |= self._train_generator(losses, output)
        average(value for value in metrics.values() if isinstance(value, Tensor))
        self.average.update(self.generator)
        self.updates += 1
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next update depends on."""
        return {
            "updates": self.updates,
            "generator": self.generator.state_dict(),
            "discriminators": self.discriminators.state_dict(),
            "balancer": self.balancer.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state of `state_dict`."""
        self.updates = state["updates"]
        self.generator.load_state_dict(state["generator"])
        self.discriminators.load_state_dict(state["discriminators"])
        self.balancer.load_state_dict(state["balancer"])
        self.average.load_state_dict(state["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])

    def usage(self) -> dict[str, list[float]]:
        """Perplexity and share of used codewords per codebook; empty for quantisers without codebooks."""
        quantizer = self.generator.quantizer
        if not isinstance(quantizer, TrainableResidualVectorQuantizer):
            return {}
        return {"perplexity": quantizer.perplexity.tolist(), "used": quantizer.used.tolist()}

    def restart_average(self) -> None:
        """Restart the average of the weights from the generator's current weights."""
        self.average = WeightAverage(self.generator, self.recipe.optimizer.weight_ema)

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        precision, device = self.recipe.training.precision, self.group.device
        if precision == "float32" or (precision == "auto" and not has_bfloat16(device)):
            return contextlib.nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    def _set_learning_rate(self) -> None:
        optimizer, total = self.recipe.optimizer, self.recipe.training.total
        rate = learning_rate(
            self.updates, peak=optimizer.learning_rate, rise=optimizer.warmup + 1, warmup=optimizer.warmup, total=total,
            decay=optimizer.schedule,
        )  # fmt: skip
        for each in self.optimizers.values():
            for group in each.param_groups:
                group["lr"] = rate

    def _train_discriminator(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        optimizer = self.optimizers["discriminators"]
        optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            of_real, of_fake = discriminator(real), discriminator(fake)
        loss = hinge_discriminator([output.logits for output in of_real], [output.logits for output in of_fake])
        loss.backward()
        average_gradients(discriminator.parameters())
        optimizer.step()
        return loss.detach()

    def _adversarial(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        with _frozen(discriminator):
            with self._autocast(), torch.no_grad():
                of_real = discriminator(real)
            with self._autocast():
                of_fake = discriminator(fake)
        return {
            "adversarial": hinge_generator([output.logits for output in of_fake]),
            "features": feature_matching(
                [output.features for output in of_real], [output.features for output in of_fake]
            ),
        }

    def _train_generator(self, losses: dict[str, Tensor], output: Output) -> dict[str, float | Tensor]:
        optimizer = self.optimizers["generator"]
        optimizer.zero_grad(set_to_none=True)
        commitment, bits = output.quantized.commitment, output.quantized.bits
        kbps = bits * self.recipe.model.step_rate / 1000
        unbalanced = self.recipe.losses.commitment * commitment + self.recipe.quantizer.penalty * kbps
        fractions = self.balancer.backward(losses, output.decoded, unbalanced)
        average_gradients(self.generator.parameters())
        optimizer.step()
        metrics = {name: loss.detach() for name, loss in {**losses, "commitment": commitment, "bits": bits}.items()}
        return metrics | {f"fraction_{name}": fraction for name, fraction in fractions.items()}


@contextlib.contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through a module without computing those of its weights."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
