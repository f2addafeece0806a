"""One update of a codec's training, and the state it depends on (EnCodec paper, sections 3.4 and 4.4)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch._functorch import config as functorch_config

from earmark.codec.encodec.precision import has_bfloat16
from earmark.codec.errors import UserError
from earmark.codec.training import discriminators, optimizers
from earmark.codec.training.adversarial import AdversarialPass
from earmark.codec.training.batch_parts import BatchPart, means, split
from earmark.codec.training.distributed import ProcessGroup, average, average_gradients
from earmark.codec.training.finite import NotFinite, require_finite
from earmark.codec.training.generator import Generator, Output
from earmark.codec.training.losses.balancer import Balancer
from earmark.codec.training.losses.distances import distances
from earmark.codec.training.losses.windows import MS_STFT
from earmark.codec.training.recipe import Recipe
from earmark.codec.training.schedule import learning_rate
from earmark.codec.training.stopwatch import Stopwatch
from earmark.codec.training.weight_average import WeightAverage

MOST_SKIPPED = 3  # updates in a row, after which a training ends


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
        if group.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # all batches have one shape
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
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
            name: optimizers.build(network, recipe.optimizer)
            for name, network in networks.items()
            if any(True for _ in network.parameters())  # a recipe may have no discriminators
        }
        self.average = WeightAverage(self.generator, recipe.optimizer.weight_ema)
        self.updates = 0
        self.skipped: str | None = None  # why the last update was skipped
        self._skipped_in_a_row = 0
        self._compiled: dict[nn.Module, nn.Module] = {}
        self.stopwatch = Stopwatch(group.device)

    def update(self, audio: Tensor) -> dict[str, float | Tensor]:
        """Make one update.

        Args:
            audio: this process's part of the batch, [B, channels, T] on its device; with data.denoise, [B, 2 channels,
                T], inputs and clean targets.

        An update with a loss or a gradient that is not finite is skipped: neither weights nor codebooks learn from its
        batch, and `skipped` says why.

        Returns:
            Metrics for the log: losses of the whole batch, shares and norms of the gradient, and the bit rate drawn;
            none if the update was skipped. Losses are tensors, since reading their values would wait for the device.

        Raises:
            UserError: several updates in a row had to be skipped.
        """
        self.skipped = None
        number = self.updates
        self.updates += 1
        try:
            metrics = self._update(audio, number)
        except NotFinite as problem:
            self.skipped = str(problem)
            self._skipped_in_a_row += 1
            if self._skipped_in_a_row >= MOST_SKIPPED:
                raise UserError(
                    f"update {self.updates}: {problem}, in {MOST_SKIPPED} updates in a row; the state saved last is "
                    "intact: lower optimizer.learning_rate or set optimizer.clip, or look at the recordings"
                ) from problem
            return {}
        self._skipped_in_a_row = 0
        average(value for value in metrics.values() if isinstance(value, Tensor))
        self.average.update(self.generator)
        return metrics

    def _update(self, audio: Tensor, number: int) -> dict[str, float | Tensor]:
        recipe, settings = self.recipe, self.recipe.discriminators
        draws = np.random.default_rng([recipe.training.seed, number])
        torch.manual_seed(int(draws.integers(2**62)) + self.group.rank)  # for the noise of some quantisers
        kbps = float(draws.choice(recipe.model.kbps))
        train_discriminator = draws.random() < settings.update_probability
        windows = _windows(draws, settings.windows)
        self._set_learning_rate(number)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        batch, count = self._batch(audio, draws), recipe.training.accumulate
        if count > 1:  # a bad part must not stop the update after codebooks have learned from the others
            require_finite({"a sample of the batch": audio})
        parts = split(batch, count)
        metrics = means([self._part(each, kbps, windows, number, train_discriminator, count) for each in parts])
        if not self._discriminators_first and "discriminator" in metrics:
            networks = self.discriminators.of(kbps)
            metrics["gradient_norm_discriminator"] = self._limited_norm(networks.parameters(), "discriminators")
        metrics["gradient_norm"] = self._limited_norm(self.generator.parameters(), "generator")
        with self.stopwatch("generator"):
            self.optimizers["generator"].step()
        if not self._discriminators_first and "discriminator" in metrics:
            self.optimizers["discriminators"].step()
        return {"kbps": kbps, **metrics}

    def _batch(self, audio: Tensor, draws: np.random.Generator) -> BatchPart:
        """The input and the target of a batch; with denoising, the clean target is in further channels of the batch."""
        if not self.recipe.data.denoise:
            return BatchPart(audio, audio, None)
        source, clean = audio.chunk(2, dim=1)
        denoise = torch.from_numpy(draws.random(len(audio)) < 0.5).to(audio.device)
        return BatchPart(source, torch.where(denoise[:, None, None], clean, source), denoise)

    def _networks(self, kbps: float) -> nn.Module:
        """The discriminators of a bit rate, compiled at their first use if the recipe says so."""
        networks, backend = self.discriminators.of(kbps), self.recipe.training.compile
        if backend and networks not in self._compiled:
            functorch_config.donated_buffer = False  # the balancer keeps graphs for several backward passes
            self._compiled[networks] = cast("nn.Module", torch.compile(networks, backend=backend))
        return self._compiled.get(networks, networks)

    @property
    def _discriminators_first(self) -> bool:
        """Whether the discriminators change before they give the generator its losses."""
        return not self.recipe.discriminators.shared_pass and self.recipe.training.accumulate == 1

    def _part(
        self, part: BatchPart, kbps: float, windows: list[int] | None, number: int, train: bool, parts: int
    ) -> dict[str, float | Tensor]:
        """Add the gradients of one of the `parts` of a batch, and return their metrics."""
        settings, audio = self.recipe.discriminators, part.target
        with self.stopwatch("generator"), self._autocast():
            output = self.generator(part.source, self.recipe.model.codebooks(kbps), part.denoise)
        metrics: dict[str, float | Tensor] = {}
        with self.stopwatch("losses"):
            losses = {name: distance(audio, output.decoded) for name, distance in self.distances.items()}
            require_finite(
                {
                    "a sample of the batch": audio,
                    **{f"loss {name}": loss for name, loss in losses.items()},
                    "loss commitment": output.quantized.commitment,
                    "loss bits": output.quantized.bits,
                    "the decoded audio": output.decoded,
                }
            )
        if number >= settings.start and settings.kinds:
            adversarial = AdversarialPass(self._networks(kbps), windows, self._autocast)
            with self.stopwatch("discriminators"):
                joined = number >= settings.start + settings.alone
                metrics |= self._discriminate(adversarial, audio, output.decoded, losses, train, joined, parts)
        with self.stopwatch("generator"):
            metrics |= self._train_generator(losses, output, parts)
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
    ) -> dict[str, float | Tensor]:
        """Train the discriminators, and add the generator's adversarial losses to `losses` if it has `joined` them."""
        metrics: dict[str, float | Tensor] = {}
        shared = self.recipe.discriminators.shared_pass and joined
        if train:
            metrics["discriminator"] = networks.train(real, fake if shared else fake.detach(), keep=shared, parts=parts)
            if self._discriminators_first:
                metrics["gradient_norm_discriminator"] = self._limited_norm(networks.parameters(), "discriminators")
                self.optimizers["discriminators"].step()
        if joined:
            losses |= networks.losses(real, fake, reuse=shared and train)
            require_finite({f"loss {name}": losses[name] for name in ("adversarial", "features")})
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
            for name, value in network.state_dict().items():
                if value.is_floating_point() and not bool(value.isfinite().all()):
                    raise UserError(
                        f"update {self.updates}: {part}.{name} is not finite; the state saved last is kept: lower "
                        "optimizer.learning_rate or set optimizer.clip"
                    )

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

    def _train_generator(self, losses: dict[str, Tensor], output: Output, parts: int) -> dict[str, float | Tensor]:
        commitment, bits = output.quantized.commitment, output.quantized.bits
        kbps = bits * self.recipe.model.step_rate / 1000
        unbalanced = self.recipe.losses.commitment * commitment + self.recipe.quantizer.penalty * kbps
        fractions: dict[str, float] = {}
        if output.decoded.requires_grad:  # not if codebooks alone learn
            fractions = self.balancer.backward(losses, output.decoded, unbalanced, parts)
        metrics: dict[str, float | Tensor] = {
            name: loss.detach() for name, loss in {**losses, "commitment": commitment, "bits": bits}.items()
        }
        return metrics | {f"fraction_{name}": fraction for name, fraction in fractions.items()}

    def _limited_norm(self, parameters: Iterable[nn.Parameter], name: str) -> Tensor:
        """Norm of the gradient of the whole batch, which is then scaled down to optimizer.clip if it is larger.

        Raises:
            NotFinite: the gradient holds NaN or infinity.
        """
        trained = [parameter for parameter in parameters if parameter.grad is not None]
        average_gradients(trained)
        norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in trained if parameter.grad is not None])
        require_finite({f"the gradient of the {name}": norm})
        if self.recipe.optimizer.clip:
            torch.nn.utils.clip_grads_with_norm_(trained, self.recipe.optimizer.clip, norm)
        return norm


def _windows(draws: np.random.Generator, count: int) -> list[int] | None:
    """Numbers of the STFT windows that an update uses; None for all of them."""
    return sorted(draws.choice(len(MS_STFT), count, replace=False).tolist()) if count else None
