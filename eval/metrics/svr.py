"""ViSQOL's audio-mode mapping, a nu-SVR with an RBF kernel, in NumPy: needs no compiler and starts no threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from visqol.quality_mapper import SimilarityToQualityMapper


@dataclass(frozen=True)
class NuSvr:
    """A trained nu support vector regression.

    Args:
        vectors: support vectors, [vectors, features].
        coefficients: weights of the support vectors, [vectors].
    """

    gamma: float
    rho: float
    coefficients: NDArray[np.float64]
    vectors: NDArray[np.float64]

    def predict(self, x: NDArray[np.float64]) -> float:
        """sum_i coefficient_i exp(-gamma |x - vector_i|^2) - rho for x, [features] (Chang and Lin 2011, 2.4)."""
        squared_distances = np.square(self.vectors - x).sum(axis=1)
        return float(self.coefficients @ np.exp(-self.gamma * squared_distances) - self.rho)


def read(path: Path) -> NuSvr:
    """Read libsvm's text format: `key value` lines, `SV`, then one line `coefficient index:value ...` per vector.

    Indices start at 1; missing features are 0.

    Raises:
        ValueError: the file holds another type of model.
    """
    head, _, body = path.read_text(encoding="ascii").partition("SV\n")
    header = dict(line.split(maxsplit=1) for line in head.splitlines())
    if (header.get("svm_type"), header.get("kernel_type")) != ("nu_svr", "rbf"):
        raise ValueError(f"{path}: not a nu-SVR model with an RBF kernel")
    lines = [line.split() for line in body.splitlines()]
    rows = [{int(index): float(value) for index, value in (pair.split(":") for pair in line[1:])} for line in lines]
    vectors = np.zeros((len(rows), max(index for row in rows for index in row)))
    for vector, row in zip(vectors, rows, strict=True):
        vector[np.array(list(row)) - 1] = list(row.values())
    return NuSvr(float(header["gamma"]), float(header["rho"]), np.array([float(line[0]) for line in lines]), vectors)


class NumpySvrMapper(SimilarityToQualityMapper):
    """Replaces the library's SvrSimilarityToQualityMapper, with the same model file and the same limits."""

    def __init__(self, model_path: Path) -> None:
        self.model_path = model_path

    def init(self) -> None:
        """Load the model file."""
        self.model = read(self.model_path)

    def predict_quality(
        self,
        fvnsim: NDArray[np.float64],
        fvnsim10: NDArray[np.float64] | None = None,
        fstdnsim: NDArray[np.float64] | None = None,
        fvdegenergy: NDArray[np.float64] | None = None,
    ) -> float:
        """MOS-LQO from the mean similarity of every band, [bands]; audio mode uses no other feature."""
        return float(np.clip(self.model.predict(fvnsim), 1.0, 5.0))
