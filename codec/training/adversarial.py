"""The contribution of the discriminators of one bit rate to an update (EnCodec paper, section 3.4)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from earmark.codec.training.compiled import Compiler
from earmark.codec.training.discriminators.network import DiscriminatorOutput
from earmark.codec.training.losses.terms import feature_matching, hinge_discriminator, hinge_generator, layer_means

Outputs = list[DiscriminatorOutput]


class AdversarialPass:
    """Evaluates discriminators for their own loss and for those of the generator.

    Args:
        networks: the discriminators, [B, channels, T] and windows -> outputs.
        windows: numbers of the STFT windows to use; None for all.
        autocast: gives the context in which the networks compute.
        compiler: compiles the networks and feature matching. Default: they run as they are.
    """

    def __init__(
        self,
        networks: nn.Module,
        windows: Sequence[int] | None,
        autocast: Callable[[], contextlib.AbstractContextManager[object]],
        compiler: Compiler | None = None,
    ) -> None:
        compiler = compiler or Compiler("")
        self._networks, self._windows, self._autocast = networks, windows, autocast
        self._evaluate, self._layer_means = compiler(networks), compiler(layer_means)
        self._outputs: tuple[Outputs, Outputs] | None = None

    def parameters(self) -> Iterator[nn.Parameter]:
        return self._networks.parameters()

    def train(self, real: Tensor, fake: Tensor, keep: bool, parts: int = 1) -> Tensor:
        """Add the gradient of their hinge loss to that of the weights, and return the loss.

        Args:
            parts: number of parts of the batch, of which this is one; the gradient is divided by it.
            keep: keep the outputs for `losses`, whose gradient reaches `fake`. The weights must not change before.
        """
        with self._autocast():
            outputs = self._evaluate(real, self._windows), self._evaluate(fake, self._windows)
        of_real, of_fake = ([output.logits for output in each] for each in outputs)
        loss = hinge_discriminator(of_real, of_fake)
        weights = [weight for weight in self._networks.parameters() if weight.requires_grad]
        gradients = torch.autograd.grad(loss, weights, retain_graph=keep, allow_unused=True)
        for weight, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                gradient = gradient / parts if parts > 1 else gradient
                weight.grad = gradient if weight.grad is None else weight.grad + gradient
        if keep:
            self._outputs = outputs
        return loss.detach()

    def losses(self, real: Tensor, fake: Tensor, reuse: bool) -> dict[str, Tensor]:
        """The generator's losses; their gradient passes through the discriminators, not to their weights.

        Args:
            reuse: take the outputs that `train` kept, instead of evaluating the changed weights.
        """
        if reuse and self._outputs is not None:
            of_real, of_fake = self._outputs
        else:
            with _frozen(self._networks):
                with self._autocast(), torch.no_grad():
                    of_real = self._evaluate(real, self._windows)
                with self._autocast():
                    of_fake = self._evaluate(fake, self._windows)
        return {
            "adversarial": hinge_generator([output.logits for output in of_fake]),
            "features": feature_matching(
                [output.features for output in of_real], [output.features for output in of_fake], self._layer_means
            ),
        }


@contextlib.contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through a module without computing those of its weights."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
