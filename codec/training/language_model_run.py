"""Training of a language model over codes in a folder, laid out like that of a codec's training.

DIR/run.json                    settings, versions, codec, data, command
DIR/codes/                      codes of the recordings (see code_sequences.py)
DIR/state.pt                    everything that the next update depends on
DIR/log.jsonl                   losses, and scores of the validations
DIR/model.safetensors           integer model at the last validation, for --language-model
DIR/float.safetensors           float model that it was made from
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError
from earmark.codec.language_model import files as language_model_files
from earmark.codec.language_model.portable_quantization import quantized
from earmark.codec.training import code_sequences
from earmark.codec.training import language_model_validation as validation
from earmark.codec.training.code_sequences import CodeSequences
from earmark.codec.training.distributed import ProcessGroup, maximum
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.folder import STATE, check_run, load_state, save_state, write_metadata
from earmark.codec.training.journal import Journal
from earmark.codec.training.language_model_trainer import LanguageModelRecipe, LanguageModelTrainer
from earmark.codec.training.loop import SECONDS_PER_STATE, TrainingLoop
from earmark.codec.training.start import fingerprint
from earmark.codec.training.stopwatch import Stopwatch

MODEL, FLOAT = "model.safetensors", "float.safetensors"
EXCERPTS = 24  # in the validation
MOST_PERCENT = 1.0  # bits that the integer model may need more than the float model
_LABELS = {"recipe": "other settings", "start": "another --start-from", **code_sequences.LABELS}


def train(
    recipe: LanguageModelRecipe, codec: EncodecModel, accepted: Sequence[str], shards: Sequence[Shards], folder: Path,
    group: ProcessGroup, *, start: Path | None = None, hours: float | None = None, resume: bool = False,
    stop_after: float | None = None, tensorboard: bool = True,
) -> bool:  # fmt: skip
    """Train on the codes of recordings until the last update, an interrupt or a time limit.

    Args:
        recipe: settings of the training.
        codec: codec that makes the codes, in evaluation mode.
        accepted: identities of its codes (`identities.accepted_identities`); the first is stored with the model.
        shards: recordings.
        folder: folder of the training.
        group: processes that share each batch; rank 0 makes the codes, validates and writes.
        start: model to start from, float or integer; it may belong to other weights of the codec. Default: random
            weights.
        hours: most hours of recordings to use, see code_sequences.write().
        resume: continue the training in the folder, if there is one.
        stop_after: seconds after which, and after at least one update, the state is saved and the training stops.
        tensorboard: also write a log for TensorBoard.

    Returns:
        Whether the last update is done.

    Raises:
        UserError: the folder holds another training, or this one and `resume` is False; or the loss is not finite.
        KeyboardInterrupt: the training was interrupted; the state is saved.
    """
    started = time.monotonic()
    initial = None if start is None else language_model_files.load_to_train(start, codec.config)
    metadata = {
        "recipe": asdict(recipe),
        "start": start and fingerprint(start),
        **code_sequences.source(codec.config, accepted[0], shards, hours),
    }
    trainer = LanguageModelTrainer(recipe, codec.config, group)
    try:
        if group.rank == 0:
            if not check_run(folder, metadata, _LABELS, resume, code_sequences.upgrades(accepted)):
                write_metadata(folder, metadata)
            code_sequences.write(codec, accepted, shards, folder / "codes", hours)
    finally:
        maximum(0)  # the others wait
    if resume and (folder / STATE).exists():
        trainer.load_state_dict(load_state(folder, "model"))
    elif initial is not None:
        trainer.model.load_state_dict(initial.state_dict())
    training = LanguageModelTraining(trainer, folder, accepted[0], tensorboard)
    if training.finished and group.rank == 0:  # the earlier part may have ended before its last validation did
        training.validate(last=True)
    return TrainingLoop(training, started, stop_after).run()


class LanguageModelTraining:
    """A language model's training for TrainingLoop, see codec.training.loop.Training.

    Args:
        trainer: makes the updates.
        folder: folder of the training, with the codes.
        codec_identity: SHA-256 of the codec's encoder and codebooks, stored with the model.
        tensorboard: also write a log for TensorBoard.
    """

    validates_when_stopped = True

    def __init__(self, trainer: LanguageModelTrainer, folder: Path, codec_identity: str, tensorboard: bool) -> None:
        self.trainer = trainer
        self.total, self.every = trainer.recipe.updates, trainer.recipe.every
        self.seconds_per_state = SECONDS_PER_STATE
        self.journal: Journal | None = None
        if trainer.group.rank == 0:
            self.journal = Journal(folder, trainer.updates, self.total, tensorboard)
        self.stopwatch = Stopwatch(trainer.device)
        self._folder, self._codec_identity = folder, codec_identity
        self._sequences = CodeSequences(folder / "codes", trainer.codec.codebooks())

    @property
    def updates(self) -> int:
        return self.trainer.updates

    @property
    def finished(self) -> bool:
        return self.updates >= self.total

    def batches(self) -> Generator[CodeSequences]:
        """The same sequences for every update, which draws its batch from them itself."""
        while True:
            yield self._sequences

    def update(self, batch: CodeSequences) -> Mapping[str, float | Tensor]:
        with self.stopwatch("update"):
            return self.trainer.update(batch)

    def validate(self, last: bool) -> None:
        """Score the current model and write it as floats and as integers.

        Raises:
            UserError: the integer model needs too many bits, or does not decode what it coded. Then only the float
                model is written.
        """
        assert self.journal is not None
        trainer, path = self.trainer, self._folder / MODEL
        codec = trainer.codec
        excerpts = self._sequences.excerpts("valid", EXCERPTS, trainer.steps)
        portable = quantized(trainer.model)
        scores = validation.score(trainer.model, portable, excerpts, codec)
        metadata = {"codec": self._codec_identity, "codec_name": codec.name, "updates": str(trainer.updates)}
        language_model_files.save(trainer.model, self._folder / FLOAT, **metadata)
        self.journal.validation(trainer.updates, scores, {})
        worst = max(scores[f"quantisation_percent@{kbps:g}"] for kbps in codec.kbps)
        if worst > MOST_PERCENT:
            raise UserError(
                f"{path}: not written: its integers cost {worst:.1f} % more bits than the float model, above "
                f"{MOST_PERCENT:g} %; continue with --resume, or start a new training with a lower --learning-rate"
            )
        if not validation.decodes(portable, excerpts[0]):
            raise UserError(f"{path}: not written: it does not decode what it coded here; check the machine")
        language_model_files.save(portable, path, **metadata, validation=json.dumps(scores))

    def settle(self) -> None:
        """Validations are complete when they return."""

    def save(self) -> None:
        save_state(self._folder, self.trainer.state_dict())

    def keep(self) -> None:
        """Only the last state is kept."""
