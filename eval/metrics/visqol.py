"""ViSQOL v3 (Chinen et al. 2020) by the library visqol-python: speech mode and audio mode."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from earmark.eval.metrics.interface import Score, undefined
from earmark.eval.metrics.registry import library, metric, needs

if TYPE_CHECKING:
    from visqol.visqol_manager import VisqolManager

    from earmark.eval.metrics.visqol_kernels.manager import PackedManager

if "numba" not in sys.modules:  # it reads the number at import and breaks if the number changes later
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # files are scored in parallel processes already
    os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")  # the library's choice, which it makes at import

Mode = Literal["speech", "audio"]
IMPORTS = (
    "earmark.eval.metrics.visqol_kernels.compiler", "scipy.signal", "scipy.fft", "earmark.eval.metrics.fftw",
)  # fmt: skip

SPEECH_RATE, AUDIO_RATE = 16_000, 48_000
WINDOW, HOP = 0.08, 0.02  # seconds; of the spectrograms
NOISE_FLOOR = 10**-4.5  # band amplitude that ViSQOL treats as silence, -90 dBFS
ONE_AT_A_TIME = threading.Lock()  # two threads in numba's work queue crash the process


@metric(
    name="visqol_speech",
    title="ViSQOL, speech mode",
    unit="MOS-LQO",
    value_range="1 to 5",
    sample_rate=SPEECH_RATE,
    version=lambda: f"{library('visqol-python')}, lattice model on {library('ai-edge-litert')}",
    available=needs("visqol", "ai_edge_litert", extra="visqol"),
    source="Chinen et al. 2020 (arXiv 2004.09584); library visqol-python",
    licence="Apache-2.0",
    imports=IMPORTS,
)
def visqol_speech(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """Similarity of 21 gammatone bands up to 8 kHz in voiced patches, mapped to MOS by the lattice model.

    Args:
        reference, decoded: [time] at 16 kHz, aligned.

    Returns:
        MOS-LQO, about 4.0 to 4.7 for identical signals, because the model also rates level and noise of the
        recording. Undefined for signals shorter than 0.64 s, below ViSQOL's noise floor or without voice activity.
    """
    # Patches of 20 frames from the tenth frame on (vad_patch_creator.cc).
    reason = _unfit(reference, SPEECH_RATE, frames=9 + 20)
    if reason is None and not has_voice(reference):
        reason = "no voice activity in the reference"
    if reason is not None:
        return undefined(reason)
    return _visqol(reference, decoded, "speech")


@metric(
    name="visqol_audio",
    title="ViSQOL, audio mode",
    unit="MOS-LQO",
    value_range="1 to 4.73",
    sample_rate=AUDIO_RATE,
    version=lambda: library("visqol-python"),
    available=needs("visqol", extra="visqol"),
    source="Chinen et al. 2020 (arXiv 2004.09584); library visqol-python",
    licence="Apache-2.0",
    imports=IMPORTS,
)
def visqol_audio(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """Similarity of 32 gammatone bands up to 24 kHz, mapped to MOS by support vector regression.

    Args:
        reference, decoded: [time] at 48 kHz, aligned.

    Returns:
        MOS-LQO, 4.73 for identical signals; undefined for signals shorter than 0.96 s or below ViSQOL's noise floor.
    """
    # Patches of 30 frames from the sixteenth on (image_patch_creator.cc).
    reason = _unfit(reference, AUDIO_RATE, frames=15 + 30)
    if reason is not None:
        return undefined(reason)
    return _visqol(reference, decoded, "audio")


def _unfit(reference: NDArray[np.float32], sample_rate: int, frames: int) -> str | None:
    """Why the library cannot score [time]: too short for one patch, or so quiet that all signals look alike."""
    shortest = WINDOW + (frames - 1) * HOP
    if reference.size < round(shortest * sample_rate):
        return f"shorter than {shortest:.2f} s"
    if np.sqrt(np.square(reference, dtype=np.float64).mean()) < NOISE_FLOOR:
        return "the reference lies below ViSQOL's noise floor of -90 dBFS"
    return None


def has_voice(reference: NDArray[np.float32]) -> bool:
    """Whether ViSQOL's detector finds voice in the patches of [time] at 16 kHz.

    ViSQOL always counts the first two frames as voice (rms_vad.cc). Without this check, faint noise with one click
    would be scored by its first patch alone.
    """
    from visqol.patch_creator import RmsVad
    from visqol.signal_utils import normalize

    hop, window = round(HOP * SPEECH_RATE), round(WINDOW * SPEECH_RATE)
    patches = ((reference.size - window) // hop + 1 - 9) // 20
    # The detector starts at sample 9: the library, like the original, uses a frame index as a sample index.
    steps = normalize(reference.astype(np.float64))[9 : 9 + patches * 20 * hop].reshape(-1, hop)
    detector = RmsVad()
    loudness = (detector.process_chunk(step) for step in np.clip(steps * 2**15, -(2**15), 2**15 - 1).astype(np.int16))
    return any(rms >= detector.RMS_THRESHOLD for rms in loudness)


def _visqol(reference: NDArray[np.float32], decoded: NDArray[np.float32], mode: Mode) -> Score:
    """Score by the library; its warnings become the score's reason."""
    with ONE_AT_A_TIME, _warnings() as messages:
        from visqol.audio_utils import AudioSignal

        rate = SPEECH_RATE if mode == "speech" else AUDIO_RATE
        result = _manager(mode).run_from_signals(AudioSignal(reference, rate), AudioSignal(decoded, rate))
    return Score(float(result.moslqo), reason="; ".join(messages))


@functools.cache
def _manager(mode: Mode) -> VisqolManager:
    """The library with its models loaded, once per process."""
    import visqol
    from visqol import visqol_manager as parts

    kernels = _kernels()
    manager = parts.VisqolManager() if kernels is None else kernels()
    if mode == "speech":
        with _silent_stderr():
            manager.init(use_speech_mode=True, use_lattice_model=True)
    else:
        # init() would use libsvm for the mapping. It cannot be built everywhere, and its OpenMP threads hang for ever
        # in a process forked from one that has used them.
        from earmark.eval.metrics.svr import NumpySvrMapper

        manager.patch_creator = parts.ImagePatchCreator(parts.PATCH_SIZE_AUDIO)
        manager.quality_mapper = NumpySvrMapper(Path(visqol.__file__).with_name("model") / "libsvm_nu_svr_model.txt")
        manager.quality_mapper.init()
        manager.is_initialized = True
    if kernels is None:
        from earmark.eval.metrics.visqol_spectrograms import CachingBuilder

        bands = parts.NUM_BANDS_SPEECH if mode == "speech" else parts.NUM_BANDS_AUDIO
        manager.spect_builder = CachingBuilder(bands, parts.MINIMUM_FREQ, speech_mode=mode == "speech")
    return manager


def _kernels() -> type[PackedManager] | None:
    """The manager that scores by our kernels; None if the library has to do it, with the same scores but slower."""
    from earmark.eval.metrics.visqol_kernels.verified import obstacle

    reason = obstacle()
    if reason is None:
        try:
            from earmark.eval.metrics.visqol_kernels.manager import PackedManager, compile_kernels

            compile_kernels()
            return PackedManager
        except Exception as error:  # a release of numba that does not compile them must not cost the scores
            reason = f"{type(error).__name__}: {error}"
    logging.getLogger(__name__).debug("ViSQOL without kernels: %s", reason)
    return None


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect the library's log messages of level WARNING and above, and keep them off the terminal."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger, collector = logging.getLogger("visqol"), Collector(logging.WARNING)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(collector)
    try:
        yield messages
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagate


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Redirect file descriptor 2 to nowhere: TensorFlow Lite's C++ code prints there when it loads a model."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
