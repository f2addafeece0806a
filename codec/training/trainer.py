"""One update of a codec's training, and the state it depends on (EnCodec paper, sections 3.4 and 4.4)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from earmark.codec.encodec.precision import has_bfloat16
from earmark.codec.training import discriminators, gpu, optimizers
from earmark.codec.training.adversarial import AdversarialPass
from earmark.codec.training.batch_parts import BatchPart, joint, means, split, whole
from earmark.codec.training.compiled import Compiler
from earmark.codec.training.distributed import ProcessGroup, average_gradients
from earmark.codec.training.finite import FiniteCheck, NotFinite, Skips, require_finite_weights
from earmark.codec.training.generator import Generator, Output
from earmark.codec.training.losses.balancer import Balancer
from earmark.codec.training.losses.distances import distances
from earmark.codec.training.losses.windows import drawn
from earmark.codec.training.recipe import Recipe
from earmark.codec.training.schedule import learning_rate
from earmark.codec.training.stopwatch import Stopwatch
from earmark.codec.training.weight_average import WeightAverage


class Trainer:
    """Networks, optimisers and balancer of one training.

    An update depends only on its number, the recipe's seed, the state and the batch. A training continued from
    `state_dict` therefore equals the uninterrupted one, bit for bit on the CPU.

    On a GPU an update reads nothing from it and so never waits for it. Whether it had to be skipped is known later.

    Args:
        recipe: what to train.
        group: the processes that share each batch.
        deferred: update without reading from the device. Default: on a GPU.

    Attributes:
        skips: the updates that had to be skipped.
    """

    def __init__(self, recipe: Recipe, group: ProcessGroup, deferred: bool | None = None) -> None:
        self.recipe = recipe
        self.group = group
        self._deferred = gpu.reading_waits(group.device) if deferred is None else deferred
        torch.manual_seed(recipe.training.seed)  # every process starts with the same weights
        gpu.set_up(group.device, recipe.training.tf32)
        self.generator = Generator(recipe).to(group.device)
        self.generator.freeze_except(recipe.training.parts)
        self.discriminators = discriminators.build(recipe).to(group.device)
        weights = recipe.losses.weights
        self.distances = distances(recipe, group.device)
        self.balancer = Balancer(
            {name: weight for name, weight in weights.items() if name != "commitment"},
            reference_norm=recipe.balancer.reference_norm,
            decay=recipe.balancer.decay,
            enabled=recipe.balancer.enabled,
        )
        networks = {"generator": self.generator, "discriminators": self.discriminators}
        self.optimizers = {
            name: optimizers.build(network, recipe.optimizer, self._deferred)
            for name, network in networks.items()
            if any(True for _ in network.parameters())  # a recipe may have no discriminators
        }
        self.average = WeightAverage(self.generator, recipe.optimizer.weight_ema)
        self.updates = 0
        self.skipped: str | None = None  # why the last update was skipped, if that is known
        self.skips = Skips()
        self._compiler = Compiler(recipe.training.compile)
        self.stopwatch = Stopwatch(group.device)

    def update(self, audio: Tensor) -> dict[str, float | Tensor]:
        """Make one update.

        Args:
            audio: this process's part of the batch, [B, channels, T] on its device; with data.denoise, [B, 2 channels,
                T], inputs and clean targets.

        An update with a loss or a gradient that is not finite is skipped: neither weights nor codebooks learn from its
        batch, and `skips` says why.

        Returns:
            Metrics for the log: losses of the whole batch, shares and norms of the gradient, and the bit rate drawn.
            All but the bit rate are tensors, since reading their values would wait for the device. Of a skipped update
            there are none, or they are NaN.

        Raises:
            UserError: several updates in a row had to be skipped.
        """
        number, check = self.updates, FiniteCheck(self._deferred)
        self.updates += 1
        self.skipped = None
        try:
            metrics = self._update(audio, number, check)
        except NotFinite as problem:
            self.skipped = str(problem)
            self.skips.note(self.updates, self.skipped)
            return {}
        if self._deferred:
            self.skips.expect(check.outcome(self.updates))
        else:
            self.skips.note(self.updates, None)
        self.skips.read(wait=False)
        self.average.update(self.generator, check.bad)
        return joint(metrics, check.bad)

    def _update(self, audio: Tensor, number: int, check: FiniteCheck) -> dict[str, float | Tensor]:
        recipe, settings = self.recipe, self.recipe.discriminators
        draws = np.random.default_rng([recipe.training.seed, number])
        torch.manual_seed(int(draws.integers(2**62)) + self.group.rank)  # for the noise of some quantisers
        kbps = float(draws.choice(recipe.model.kbps))
        train_discriminator = draws.random() < settings.update_probability
        windows = drawn(draws, settings.windows)
        self._set_learning_rate(number)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        count = recipe.training.accumulate
        if count > 1:  # a bad part must not stop the update after codebooks have learned from the others
            check({"a sample of the batch": audio})
            audio = audio if check.bad is None else torch.where(check.bad > 0, torch.nan, audio)
        parts = split(whole(audio, recipe.data.denoise > 0, draws), count)
        metrics = means([self._part(each, kbps, windows, number, train_discriminator, count, check) for each in parts])
        last = not self._discriminators_first and "discriminator" in metrics
        if last:
            networks = self.discriminators.of(kbps)
            metrics["gradient_norm_discriminator"] = self._limited_norm(networks.parameters(), "discriminators", check)
        metrics["gradient_norm"] = self._limited_norm(self.generator.parameters(), "generator", check)
        with self.stopwatch("generator"):
            self._step("generator", check)
        if last:
            self._step("discriminators", check)
        return {"kbps": kbps, **metrics}

    def _step(self, name: str, check: FiniteCheck) -> None:
        """Let an optimiser change its network, unless a value was not finite."""
        optimizer: Any = self.optimizers[name]
        if check.bad is not None:
            optimizer.found_inf = check.bad
        optimizer.step()

    @property
    def _discriminators_first(self) -> bool:
        """Whether the discriminators change before they give the generator its losses."""
        return not self.recipe.discriminators.shared_pass and self.recipe.training.accumulate == 1

    def _part(
        self,
        part: BatchPart,
        kbps: float,
        windows: list[int] | None,
        number: int,
        train: bool,
        parts: int,
        check: FiniteCheck,
    ) -> dict[str, float | Tensor]:
        """Add the gradients of one of the `parts` of a batch, and return their metrics."""
        settings, audio = self.recipe.discriminators, part.target
        with self.stopwatch("generator"), self._autocast():
            output = self.generator(part.source, self.recipe.model.codebooks(kbps), part.denoise)
        metrics: dict[str, float | Tensor] = {}
        with self.stopwatch("losses"):
            losses = {name: distance(audio, output.decoded) for name, distance in self.distances.items()}
            check(
                {
                    "a sample of the batch": audio,
                    **{f"loss {name}": loss for name, loss in losses.items()},
                    "loss commitment": output.quantized.commitment,
                    "loss bits": output.quantized.bits,
                    "the decoded audio": output.decoded,
                }
            )
        if number >= settings.start and settings.kinds:
            adversarial = AdversarialPass(self.discriminators.of(kbps), windows, self._autocast, self._compiler)
            with self.stopwatch("discriminators"):
                joined = number >= settings.start + settings.alone
                metrics |= self._discriminate(
                    adversarial, audio, output.decoded, losses, train, joined, parts, check
                )  # fmt: skip
        with self.stopwatch("generator"):
            metrics |= self._train_generator(losses, output, parts, check)
        return metrics

    def _discriminate(
        self,
        networks: AdversarialPass,
        real: Tensor,
        fake: Tensor,
        losses: dict[str, Tensor],
        train: bool,
        joined: bool,
        parts: int,
        check: FiniteCheck,
    ) -> dict[str, float | Tensor]:
        """Train the discriminators, and add the generator's adversarial losses to `losses` if it has `joined` them."""
        metrics: dict[str, float | Tensor] = {}
        shared = self.recipe.discriminators.shared_pass and joined
        if train:
            metrics["discriminator"] = networks.train(real, fake if shared else fake.detach(), keep=shared, parts=parts)
            if self._discriminators_first:
                norm = self._limited_norm(networks.parameters(), "discriminators", check)
                metrics["gradient_norm_discriminator"] = norm
                self._step("discriminators", check)
        if joined:
            losses |= networks.losses(real, fake, reuse=shared and train)
            check({f"loss {name}": losses[name] for name in ("adversarial", "features")})
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
            optimizers.load_state(optimizer, state["optimizers"][name])

    def require_finite_weights(self) -> None:
        """Refuse weights that are not finite, before they are saved in place of a good state.

        Raises:
            UserError: names the first such weight.
        """
        for part, network in (("generator", self.generator), ("discriminators", self.discriminators)):
            require_finite_weights(network, part, self.updates)

    def usage(self) -> dict[str, list[float]]:
        """Perplexity and share of used codewords per codebook; empty for quantisers without codebooks."""
        quantizer = self.generator.quantizer
        usage = {name: getattr(quantizer, name, None) for name in ("perplexity", "used")}
        return {name: values.tolist() for name, values in usage.items() if values is not None}

    def restart_average(self) -> None:
        """Restart the average of the weights from the generator's current weights."""
        self.average = WeightAverage(self.generator, self.recipe.optimizer.weight_ema)

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        precision, device = self.recipe.training.precision, self.group.device
        if precision == "float32" or (precision == "auto" and not has_bfloat16(device)):
            return contextlib.nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    def _set_learning_rate(self, number: int) -> None:
        optimizer, total = self.recipe.optimizer, self.recipe.training.total
        rate = learning_rate(
            number, peak=optimizer.learning_rate, rise=optimizer.warmup + 1, warmup=optimizer.warmup, total=total,
            decay=optimizer.schedule,
        )  # fmt: skip
        for name, each in self.optimizers.items():
            peak = rate * (self.recipe.discriminators.rate if name == "discriminators" else 1)
            for group in each.param_groups:
                group["lr"] = peak * group["rate"]

    def _train_generator(
        self, losses: dict[str, Tensor], output: Output, parts: int, check: FiniteCheck
    ) -> dict[str, float | Tensor]:
        commitment, bits = output.quantized.commitment, output.quantized.bits
        kbps = bits * self.recipe.model.step_rate / 1000
        unbalanced = self.recipe.losses.commitment * commitment + self.recipe.quantizer.penalty * kbps
        fractions: dict[str, Tensor] = {}
        if output.decoded.requires_grad:  # not if codebooks alone learn
            fractions = self.balancer.backward(losses, output.decoded, unbalanced, parts, check.bad)
        metrics: dict[str, float | Tensor] = {
            name: loss.detach() for name, loss in {**losses, "commitment": commitment, "bits": bits}.items()
        }
        return metrics | {f"fraction_{name}": fraction for name, fraction in fractions.items()}

    def _limited_norm(self, parameters: Iterable[nn.Parameter], name: str, check: FiniteCheck) -> Tensor:
        """Norm of the gradient of the whole batch, which is then scaled down to optimizer.clip if it is larger.

        Raises:
            NotFinite: the gradient holds NaN or infinity, and the check is not deferred.
        """
        trained = [parameter for parameter in parameters if parameter.grad is not None]
        average_gradients(trained)
        gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients).to(self.group.device)  # of none, it is on the CPU
        check({f"the gradient of the {name}": norm})
        if self.recipe.optimizer.clip:
            torch.nn.utils.clip_grads_with_norm_(trained, self.recipe.optimizer.clip, norm)
        return norm
