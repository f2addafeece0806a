"""The choice of how a batch of segments is stepped through: by a compiled function, or by PortableModel itself."""

from __future__ import annotations

import importlib.util
import logging
import sys
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from earmark.codec.language_model.portable_model import Cache, Frequencies, PortableModel

if TYPE_CHECKING:
    from earmark.codec.language_model.compiled_layout import Model
    from earmark.codec.language_model.compiled_step import CompiledSteps

WORTH_LOADING = 2 * 32 * 150  # steps of all segments together, 2 minutes, whose gain exceeds the time to load numba
CHECKED = 3  # steps by which the compiled function is compared with the model, at first use


class Steps(Protocol):
    """The steps of a batch, one after the other."""

    def cumulative(self, previous: NDArray[np.int64]) -> Frequencies:
        """Cumulative frequencies of the next step, [B, codebooks, codebook_size]; valid until the next call.

        Args:
            previous: codes + 1 of the step before, [B, codebooks]; 0 if there is none.
        """


class PlainSteps:
    """Steps by `PortableModel`; arguments as of `Stepper.steps`."""

    def __init__(self, model: PortableModel, batch: int, steps: int) -> None:
        self._model, self._cache = model, Cache(model, batch, steps)

    def cumulative(self, previous: NDArray[np.int64]) -> Frequencies:
        frequencies = self._model.frequencies(previous[:, :, None], self._cache)[:, 0]
        return frequencies.cumsum(axis=-1, dtype=np.int32, out=frequencies)


class Stepper:
    """Gives the steps of batches of one model, by the compiled function once it is worth loading.

    The compiled function needs numba and a processor with 8-bit instructions, and has to agree with the model.

    Args:
        compiled: True loads the compiled function for the first batch, False never does; default: when it is worth it,
            or if numba is loaded already.
    """

    def __init__(self, model: PortableModel, compiled: bool | None = None) -> None:
        self._model, self._wanted = model, compiled
        self._work = 0
        self._compiled: Model | None = None
        self._tried = False

    def steps(self, batch: int, codebooks: int, steps: int) -> Steps:
        """The steps of a batch of segments.

        Args:
            batch: number of segments B.
            codebooks: number of codebooks that are coded.
            steps: maximum number of steps per segment.
        """
        self._work += batch * steps
        worth = "numba" in sys.modules or self._work > WORTH_LOADING
        if not self._tried and (worth if self._wanted is None else self._wanted):
            self._tried = True
            self._compiled = self._verified()
        if self._compiled is None:
            return PlainSteps(self._model, batch, steps)
        return self._compiled_steps(self._compiled, batch, codebooks, steps)

    def _compiled_steps(self, compiled: Model, batch: int, codebooks: int, steps: int) -> CompiledSteps:
        from earmark.codec.language_model.compiled_step import CompiledSteps

        config = self._model.config
        return CompiledSteps(compiled, config.heads, config.context, batch, codebooks, steps)

    def _verified(self) -> Model | None:
        """The model for the compiled function; None if that cannot run here, or gives other frequencies."""
        if importlib.util.find_spec("numba") is None:
            return None
        try:
            from earmark.codec.language_model.compiled_layout import laid_out
            from earmark.codec.language_model.packed_products import is_supported

            if not is_supported():
                return None
            compiled = laid_out(self._model)
            config, batch = self._model.config, 13  # segments: tiles of eight, four and one
            both = (
                PlainSteps(self._model, batch, CHECKED),
                self._compiled_steps(compiled, batch, config.codebooks, CHECKED),
            )
            for step in range(CHECKED):
                shape = batch, config.codebooks
                previous = np.random.default_rng(step).integers(0, config.codebook_size + 1, shape) * (step > 0)
                expected, found = (one.cumulative(previous) for one in both)
                if not np.array_equal(expected, found):
                    raise ArithmeticError("other frequencies than those of the model")
        except Exception as error:  # a release of numba that does not compile it must not cost the decoding
            logging.getLogger(__name__).debug("no compiled steps: %s: %s", type(error).__name__, error)
            return None
        return compiled
