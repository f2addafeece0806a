"""DNSMOS P.835 (Reddy, Gopal and Cutler 2022): speech quality estimated by a network from the decoded signal alone.

Only the weights in the package speechmos are used. Its code needs librosa for another metric, and it skips the windows
that begin 7 to 23 s after the start, because it rounds their ends down by a sample.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earmark.eval.metrics.interface import Score
from earmark.eval.metrics.registry import library, metric, needs

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SAMPLE_RATE = 16_000
WINDOW, HOP = 144_160, 16_000  # samples: 9.01 s and 1 s
WEIGHTS = Path("dnsmos_models", "sig_bak_ovr.onnx")
OVERALL = 2  # index of the network's output; 0 is speech, 1 is background
TO_MOS = (-0.06766283, 1.11546468, 0.04602535)  # polynomial from that output to MOS


@metric(
    name="dnsmos",
    title="DNSMOS P.835, overall",
    unit="MOS",
    value_range="1 to 5",
    sample_rate=SAMPLE_RATE,
    version=lambda: library("speechmos"),
    speech_only=True,
    available=needs("speechmos", "onnxruntime", extra="dnsmos"),
    source="Reddy, Gopal and Cutler 2022, ICASSP; weights in the package speechmos",
    licence="MIT",
    needs_reference=False,
)
def dnsmos(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """Overall quality of speech on the scale of ITU-T P.835, from the decoded signal alone.

    Args:
        reference: ignored.
        decoded: [time] at 16 kHz and at playback level; samples beyond full scale are clipped.

    Returns:
        Mean over windows of 9.01 s that start one second apart; a shorter signal is repeated until it fills a window.
    """
    signal = np.clip(decoded, -1, 1)
    while signal.size < WINDOW:
        signal = np.concatenate([signal, signal])
    network = _network()
    answers = []
    for start in range(0, max(1, HOP * (signal.size // HOP) - WINDOW + 1), HOP):
        (answer,) = network.run(None, {"input_1": signal[None, start : start + WINDOW]})
        answers.append(np.polyval(TO_MOS, float(answer[0, OVERALL])))
    return Score(float(np.mean(answers)))


@functools.cache
def _network() -> InferenceSession:
    from onnxruntime import InferenceSession, SessionOptions

    spec = find_spec("speechmos")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("speechmos")
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # one core per worker process
    path = Path(spec.origin).parent / WEIGHTS
    return InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
