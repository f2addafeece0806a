"""One update of a language model's training, and the state it depends on (EnCodec paper, section 3.3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.errors import UserError
from earmark.codec.language_model.files import config_for
from earmark.codec.language_model.network import LanguageModel, shifted
from earmark.codec.language_model.portable_layout import MOST_STEPS
from earmark.codec.training.code_sequences import UNKNOWN, CodeSequences
from earmark.codec.training.distributed import ProcessGroup, average, average_gradients
from earmark.codec.training.quantizers.joint_batch import sum_over_processes
from earmark.codec.training.schedule import learning_rate


@dataclass(frozen=True)
class LanguageModelRecipe:
    """Settings of a training.

    Args:
        updates: updates of the whole training.
        batch: sequences per update.
        seconds: length of a sequence; 5 in the paper.
        learning_rate: Adam's highest learning rate, reached after `warmup` updates and followed by half a cosine to 0.
        warmup: updates of the linear warm-up.
        every: updates from one validation to the next.
        seed: determines initial weights, sequences and bit rates.
    """

    updates: int = 20000
    batch: int = 16
    seconds: float = 5.0
    learning_rate: float = 5e-4
    warmup: int = 200
    every: int = 1000
    seed: int = 0


class LanguageModelTrainer:
    """Model and optimiser of one training.

    An update depends only on its number, the seed, the state and the sequences.

    Args:
        recipe: settings of the training.
        codec: config of the codec that made the codes.
        group: processes that share each batch.

    Raises:
        UserError: the batch cannot be divided among the processes.
    """

    def __init__(self, recipe: LanguageModelRecipe, codec: EncodecConfig, group: ProcessGroup) -> None:
        if recipe.batch % group.size:
            raise UserError(f"--batch {recipe.batch}: cannot be divided among {group.size} processes")
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.codec = codec
        self.group, self.device = group, group.device
        self.model = LanguageModel(config_for(codec)).to(group.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=recipe.learning_rate)
        self.updates = 0

    @property
    def steps(self) -> int:
        """Steps of a sequence."""
        return min(round(self.recipe.seconds * self.codec.step_rate), MOST_STEPS)

    def update(self, sequences: CodeSequences) -> dict[str, float | Tensor]:
        """Make one update with a batch drawn from the split "train", of which each process takes its part.

        Returns:
            Metrics for the log: the loss in bits per code, and the bit rate drawn.

        Raises:
            UserError: the loss or its gradient is not finite. The model is unchanged.
        """
        recipe, codec = self.recipe, self.codec
        draws = np.random.default_rng([recipe.seed, self.updates])
        kbps = float(draws.choice(codec.kbps))
        steps = self.steps
        codes = self._own(sequences.draw(draws, recipe.batch, steps)[:, : codec.codebooks(kbps)])
        offset = self._own(torch.from_numpy(draws.integers(0, MOST_STEPS - steps + 1, (recipe.batch, 1, 1))))
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(
                self.updates, peak=recipe.learning_rate, rise=recipe.warmup, warmup=recipe.warmup, total=recipe.updates
            )
        self.optimizer.zero_grad(set_to_none=True)
        logits, _ = self.model(shifted(codes.clamp(min=0)), offset=offset)
        # The mean over the codes of the joint batch, of which the processes have different numbers.
        known = sum_over_processes((codes != UNKNOWN).sum().double()) / self.group.size
        loss = functional.cross_entropy(logits, codes, ignore_index=UNKNOWN, reduction="sum") / known.to(logits.dtype)
        loss.backward()
        average_gradients(self.model.parameters())
        average([loss := loss.detach()])
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if not torch.isfinite(loss + norm):
            raise UserError(
                f"train-lm: the loss of update {self.updates + 1} is not finite; start a new training with a lower "
                f"--learning-rate than {recipe.learning_rate:g}"
            )
        self.optimizer.step()
        self.updates += 1
        return {"bits_per_code": loss / math.log(2), "kbps": kbps}

    def _own(self, batch: Tensor) -> Tensor:
        """This process's part of a batch, on its device."""
        return batch.chunk(self.group.size)[self.group.rank].to(self.device)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next update depends on."""
        return {
            "updates": self.updates,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state of `state_dict`."""
        self.updates = state["updates"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
