"""Training of the language model over codes (EnCodec paper, section 3.3), in a folder like that of a codec's training.

DIR/run.json                    settings, versions, the codec, data, command
DIR/codes/                      codes of the recordings (code_sequences.py)
DIR/state.pt                    all that the next update depends on
DIR/log.jsonl                   losses, and bits per code of the validation
DIR/model.safetensors           the integer model of the last validation, ready for --language-model
DIR/float.safetensors           the float model it was made of
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError
from earmark.codec.language_model import files as language_model_files
from earmark.codec.language_model.files import config_for
from earmark.codec.language_model.network import LanguageModel, shifted
from earmark.codec.language_model.portable_coder import PortableModelCoder
from earmark.codec.language_model.portable_layout import MOST_STEPS
from earmark.codec.language_model.portable_model import Cache, PortableModel
from earmark.codec.language_model.portable_quantization import quantized
from earmark.codec.training import code_sequences
from earmark.codec.training.code_sequences import UNKNOWN, CodeSequences
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.folder import STATE, load_state, open_folder, save_state
from earmark.codec.training.interrupts import Interrupts
from earmark.codec.training.journal import Journal
from earmark.codec.training.run import SECONDS_PER_STATE
from earmark.codec.training.start import fingerprint
from earmark.codec.training.stopwatch import Stopwatch

MODEL, FLOAT = "model.safetensors", "float.safetensors"
EXCERPTS = 24  # of the validation
MOST_PERCENT = 1.0  # that the integer model may cost in bits over the float one


@dataclass(frozen=True)
class LanguageModelRecipe:
    """How to train.

    Args:
        seconds: length of a sequence, 5 in the paper.
        learning_rate: of Adam, reached after `warmup` updates and brought down to 0 along half a cosine.
        every: updates from one validation to the next.
    """

    updates: int = 20000
    batch: int = 16
    seconds: float = 5.0
    learning_rate: float = 5e-4
    warmup: int = 200
    every: int = 1000
    seed: int = 0


class LanguageModelTrainer:
    """Model and optimiser of one training; what an update does depends on its number, seed, state and batch alone."""

    def __init__(self, recipe: LanguageModelRecipe, codec: EncodecConfig, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.codec = codec
        self.device = device
        self.model = LanguageModel(config_for(codec)).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=recipe.learning_rate)
        self.updates = 0

    def update(self, sequences: CodeSequences) -> dict[str, float | Tensor]:
        """One update; returns the loss, in bits per code, and what was drawn.

        Raises:
            UserError: the loss or its gradient is not finite; the model is still that of the update before.
        """
        recipe, codec = self.recipe, self.codec
        draws = np.random.default_rng([recipe.seed, self.updates])
        kbps = float(draws.choice(codec.kbps))
        steps = min(round(recipe.seconds * codec.step_rate), MOST_STEPS)
        codes = sequences.draw(draws, recipe.batch, steps)[:, : codec.codebooks(kbps)].to(self.device)
        offset = torch.from_numpy(draws.integers(0, MOST_STEPS - steps + 1, (recipe.batch, 1, 1))).to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        logits, _ = self.model(shifted(codes.clamp(min=0)), offset=offset)
        loss = functional.cross_entropy(logits, codes, ignore_index=UNKNOWN)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if not torch.isfinite(loss + norm):
            raise UserError(
                f"train-lm: the loss of update {self.updates + 1} is no finite number; train anew with a lower "
                f"--learning-rate than {recipe.learning_rate:g}"
            )
        self.optimizer.step()
        self.updates += 1
        return {"bits_per_code": loss.detach() / math.log(2), "kbps": kbps}

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next update depends on."""
        return {
            "updates": self.updates,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        self.updates = state["updates"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _learning_rate(self) -> float:
        recipe = self.recipe
        if self.updates < recipe.warmup:
            return recipe.learning_rate * (self.updates + 1) / recipe.warmup
        done = (self.updates - recipe.warmup) / max(1, recipe.updates - recipe.warmup)
        return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def train(
    recipe: LanguageModelRecipe,
    codec: EncodecModel,
    codec_identity: str,
    shards: Sequence[Shards],
    folder: Path,
    device: torch.device,
    *,
    start: Path | None = None,
    hours: float | None = None,
    resume: bool = False,
    stop_after: float | None = None,
    tensorboard: bool = True,
) -> bool:
    """Train on the codes of recordings until the last update, an interrupt, or for a while.

    Args:
        codec: in evaluation mode; it makes the codes.
        codec_identity: SHA-256 of its weights, kept beside the model.
        start: a float model, of other weights of the same codec too, to begin with; random weights if None.
        hours: of recordings at most; see code_sequences.write.
        stop_after: seconds after which the state is saved and the training left, to be resumed.

    Returns:
        Whether the last update is done.

    Raises:
        UserError: the folder holds a training and `resume` is False, or one of other settings, codec or data; or the
            loss is not finite.
        KeyboardInterrupt: it was interrupted; the state is saved.
    """
    began = saved = time.monotonic()
    beginning = None if start is None else language_model_files.load_float(start, codec.config)
    about = {
        "recipe": asdict(recipe),
        "start": start and fingerprint(start),
        **code_sequences.source(codec.config, codec_identity, shards, hours),
    }
    open_folder(
        folder, about, {"recipe": "other settings", "start": "another --start-from", **code_sequences.SAME}, resume
    )
    code_sequences.write(codec, codec_identity, shards, folder / "codes", hours)
    sequences = CodeSequences(folder / "codes", codec.config.codebooks())
    trainer = LanguageModelTrainer(recipe, codec.config, device)
    if resume and (folder / STATE).exists():
        trainer.load_state_dict(load_state(folder, "model"))
    elif beginning is not None:
        trainer.model.load_state_dict(beginning.state_dict())
    journal = Journal(folder, trainer.updates, recipe.updates, tensorboard)
    stopwatch = Stopwatch(device)
    if trainer.updates == recipe.updates:  # it may have ended before its last validation did
        _validate(trainer, sequences, journal, folder, codec_identity)
    with Interrupts() as interrupted:
        while trainer.updates < recipe.updates:
            with stopwatch("update"):
                told = trainer.update(sequences)
            journal.update(trainer.updates, told, stopwatch.seconds)
            stop = bool(interrupted) or (stop_after is not None and time.monotonic() - began > stop_after)
            due = stop or trainer.updates % recipe.every == 0 or trainer.updates == recipe.updates
            if due or time.monotonic() - saved > SECONDS_PER_STATE:
                save_state(folder, trainer.state_dict())
                saved = time.monotonic()
            if due:
                _validate(trainer, sequences, journal, folder, codec_identity)
            if stop:
                break
    journal.close()
    if interrupted:
        raise KeyboardInterrupt
    return trainer.updates == recipe.updates


def _validate(
    trainer: LanguageModelTrainer, sequences: CodeSequences, journal: Journal, folder: Path, codec_identity: str
) -> None:
    """Score both models, and store them: the integer one is what files are coded by, so that it is what is reported.

    Raises:
        UserError: the integer model costs too many bits or does not decode what it coded; then only the float one is
            stored.
    """
    codec = trainer.codec
    steps = min(round(trainer.recipe.seconds * codec.step_rate), MOST_STEPS)
    excerpts = sequences.excerpts("valid", EXCERPTS, steps)
    portable = quantized(trainer.model)
    scores = {}
    for kbps in codec.kbps:
        chosen = [excerpt[: codec.codebooks(kbps)] for excerpt in excerpts]
        plain, exact = float_bits(trainer.model, chosen), portable_bits(portable, chosen)
        scores[f"bits_per_code@{kbps:g}"] = exact
        scores[f"kbps@{kbps:g}"] = exact * codec.codebooks(kbps) * codec.step_rate / 1000
        scores[f"saving_percent@{kbps:g}"] = 100 * (1 - exact / math.log2(codec.codebook_size))
        scores[f"quantisation_percent@{kbps:g}"] = 100 * (exact / plain - 1)
    about = {"codec": codec_identity, "codec_name": codec.name, "updates": str(trainer.updates)}
    language_model_files.save(trainer.model, folder / FLOAT, **about)
    journal.validation(trainer.updates, scores, {})
    worst = max(scores[f"quantisation_percent@{kbps:g}"] for kbps in codec.kbps)
    if worst > MOST_PERCENT:
        raise UserError(
            f"{folder / MODEL}: not written: its integers cost {worst:.1f} % more bits than the float model, above "
            f"{MOST_PERCENT:g} %; go on with --resume, or train anew with a lower --learning-rate"
        )
    if not decodes(portable, excerpts[0]):
        raise UserError(f"{folder / MODEL}: not written: it does not decode here what it coded here; check the machine")
    language_model_files.save(portable, folder / MODEL, **about, validation=json.dumps(scores))


def decodes(model: PortableModel, codes: Tensor) -> bool:
    """Whether codes, [codebooks, steps], come back step by step from what they were coded to as a whole."""
    coder, sequence = PortableModelCoder(model), codes.numpy().astype(np.uint16)
    bits = (model.config.codebook_size - 1).bit_length()
    [back] = coder.decode_all([coder.encode(sequence, bits)], len(sequence), [sequence.shape[1]], bits)
    return np.array_equal(back, sequence)


@torch.no_grad()
def float_bits(model: LanguageModel, excerpts: list[Tensor]) -> float:
    """Mean bits per code of [codebooks, steps] each, by the float model."""
    device = next(model.parameters()).device
    total, count = 0.0, 0
    for codes in excerpts:
        logits, _ = model(shifted(codes[None].to(device)))
        total += float(functional.cross_entropy(logits, codes[None].to(device), reduction="sum")) / math.log(2)
        count += codes.numel()
    return total / count


def portable_bits(model: PortableModel, excerpts: list[Tensor]) -> float:
    """Mean bits per code by the integer model, from the frequencies that the coder works with."""
    total, count = 0.0, 0
    for codes in excerpts:
        frequencies = model.frequencies(shifted(codes[None]).numpy(), Cache(model, 1, codes.shape[1]))[0]
        own = np.take_along_axis(frequencies, codes.T.numpy()[..., None], -1)[..., 0]
        total += float(np.log2(frequencies.sum(axis=-1, dtype=np.int64) / own).sum())
        count += codes.numel()
    return total / count
