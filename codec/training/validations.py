"""The validations of a codec's training: their scores, the models that they export, and the best of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from earmark.codec.notices import notice
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.export import MODEL, Snapshot, export, snapshot
from earmark.codec.training.folder import load_state, save_state
from earmark.codec.training.journal import Journal, Usage
from earmark.codec.training.kept import FOLDER, Best, copy_whole
from earmark.codec.training.scoring import Beside, Decoded, Scorer, Scores, mean_scores
from earmark.codec.training.trainer import Trainer
from earmark.codec.training.validation import Excerpt, decode


@dataclass(frozen=True)
class _Validation:
    """A validation whose excerpts are decoded but not scored.

    Args:
        update: updates done.
        decoded: decoded excerpts.
        examples: audio for TensorBoard and the like, [channels, T] by name.
        usage: usage of the codebooks.
        taken: the model, if it can be exported.
        counts: whether it counts for the best model and for patience.
    """

    update: int
    decoded: Sequence[Decoded]
    examples: Mapping[str, Tensor]
    usage: Usage
    taken: Snapshot | None
    counts: bool


class Validations:
    """Decodes the excerpts at once, and scores them in a process beside the training, which goes on meanwhile.

    Nothing depends on how long that takes: scores are logged, and the model is exported and chosen, with the number of
    updates of their validation; whoever saves a state collects the scores of earlier validations first; and if a
    validation may end the training, the training waits for it.

    Args:
        trainer: the training.
        excerpts: excerpts to validate on.
        scorers: metrics in addition to SI-SNR, by name.
        shards: recordings that it is trained on, for the model card.
        folder: folder of the training.
        journal: log of the training.
        best: the best validation so far.
        state: returns everything that the next update depends on, to be saved.
        seconds: returns the duration of the training.
    """

    def __init__(
        self, trainer: Trainer, excerpts: list[Excerpt], scorers: Mapping[str, Scorer], shards: Sequence[Shards],
        folder: Path, journal: Journal, best: Best, state: Callable[[], dict[str, Any]], seconds: Callable[[], float],
    ) -> None:  # fmt: skip
        self._trainer, self._excerpts, self._scorers = trainer, excerpts, scorers
        self._shards, self._folder, self._journal, self._best = shards, folder, journal, best
        self._state, self._seconds = state, seconds
        self._beside = Beside(scorers)
        self._running: tuple[_Validation, Future[Scores]] | None = None
        self._shown = False  # whether the log has the reference audio

    @property
    def unscored(self) -> bool:
        """Whether the scores of a validation after the current number of updates are awaited."""
        return self._running is not None and self._running[0].update == self._trainer.updates

    def start(self, last: bool, counts: bool) -> None:
        """Validate the current weights.

        Args:
            last: no update follows, so that it is scored here and now.
            counts: whether it counts for the best model and for patience.
        """
        self.collect(wait=True)
        trainer, rates = self._trainer, self._trainer.recipe.validation.kbps
        with trainer.average.in_place(trainer.generator):
            decoded, examples = decode(trainer.generator, self._excerpts, rates)
            taken = snapshot(trainer, self._folder, self._seconds())
        examples = {**self._references(), **examples}
        validation = _Validation(trainer.updates, decoded, examples, trainer.usage(), taken, counts)
        if last or not self._beside.available or (counts and self._best.next_may_end):
            self._finish(validation, mean_scores(self._scorers, decoded))
        else:
            self._running = validation, self._beside.submit(decoded)

    def collect(self, wait: bool) -> None:
        """Take the scores of the validation that was started last, if they have arrived.

        Args:
            wait: wait for them.
        """
        if self._running is not None and (wait or self._running[1].done()):
            validation, future = self._running
            scores = self._beside.result(future, validation.decoded)
            self._running = None
            self._finish(validation, scores)

    def close(self) -> None:
        """End the process beside the training."""
        self._beside.close()

    def _references(self) -> dict[str, Tensor]:
        """The source of each decoded example, once per run of the command: [channels, T] by category."""
        firsts = {excerpt.category: excerpt.audio for excerpt in reversed(self._excerpts)}
        shown, self._shown = self._shown, True
        return {} if shown else {f"{category} reference": audio for category, audio in firsts.items()}

    def _finish(self, validation: _Validation, scores: Scores) -> None:
        """Export the model, log the scores, and keep the best."""
        export(validation.taken, self._shards, self._folder, scores, len(self._excerpts))
        self._journal.validation(validation.update, scores, validation.usage)
        for name, audio in validation.examples.items():
            self._journal.audio(name, audio, self._trainer.recipe.model.sample_rate, validation.update)
        if not validation.counts:
            return
        if self._best.see(scores, validation.update):
            save_state(self._folder / FOLDER / "best.pt", self._state_after(validation.update))
            if (model := self._folder / MODEL).exists():
                copy_whole(model, self._folder / "best.safetensors")
        elif self._best.exhausted:
            best = self._best
            model = self._folder / "best.safetensors"
            file = model if model.exists() else self._folder / FOLDER / "best.pt"
            notice(
                f"{best.since} validations without a better {best.metric}: the training ends; the best, "
                f"{best.value:.3f} after {best.update} updates, is {file}"
            )

    def _state_after(self, update: int) -> dict[str, Any]:
        """The state after a number of updates: the current one, or that which was saved last."""
        if update == self._trainer.updates:
            self._trainer.require_finite_weights()
            return self._state()
        state = load_state(self._folder, "generator")
        assert state["updates"] == update  # any later one would have been saved with these scores
        return {**state, "best": self._best.state_dict(), "unscored": False}
