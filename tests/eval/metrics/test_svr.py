"""The support vector regression of ViSQOL's audio mode against libsvm and against C++ ViSQOL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

visqol = pytest.importorskip("visqol")

from earmark.eval.metrics.svr import NumpySvrMapper, read  # noqa: E402  (needs visqol)

MODEL = Path(visqol.__file__).with_name("model") / "libsvm_nu_svr_model.txt"

# In a process of its own: libsvm's OpenMP threads would hang in processes that later tests fork from this one.
LIBSVM = """
import sys, numpy
from libsvm import svmutil
vectors = numpy.load(sys.argv[1])
values, _, _ = svmutil.svm_predict([], vectors, svmutil.svm_load_model(sys.argv[2]), "-q")
numpy.save(sys.argv[1], values)
"""


@pytest.fixture
def mapper() -> NumpySvrMapper:
    mapper = NumpySvrMapper(MODEL)
    mapper.init()
    return mapper


def test_equals_libsvm(tmp_path):
    pytest.importorskip("libsvm")
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.uniform(0, 1, (200, 32)), 1 - rng.exponential(0.02, (200, 32)), np.zeros((1, 32))])
    np.save(tmp_path / "vectors.npy", vectors)
    subprocess.run([sys.executable, "-c", LIBSVM, tmp_path / "vectors.npy", MODEL], check=True)
    model = read(MODEL)
    ours = [model.predict(vector) for vector in vectors]
    np.testing.assert_allclose(ours, np.load(tmp_path / "vectors.npy"), rtol=0, atol=1e-9)


def test_perfect_similarity_scores_what_the_original_gives_to_identical_signals(mapper):
    """kConformanceCastanetsIdentity of C++ ViSQOL 3.3.3."""
    assert mapper.predict_quality(np.ones(32)) == pytest.approx(4.732101253042348, abs=1e-9)


def test_scores_stay_between_one_and_five(mapper, monkeypatch):
    for raw, kept in ((-2.0, 1.0), (7.5, 5.0), (3.25, 3.25)):
        monkeypatch.setattr(type(mapper.model), "predict", lambda *_, raw=raw: raw)
        assert mapper.predict_quality(np.ones(32)) == kept


def test_the_prediction_by_hand(tmp_path):
    """Vectors (0, 2) and (1, 0), weights 3 and -1, gamma 0.5, rho 0.25, at (1, 2): 3 e^-0.5 - e^-2 - 0.25."""
    path = tmp_path / "model.txt"
    path.write_text("svm_type nu_svr\nkernel_type rbf\ngamma 0.5\ntotal_sv 2\nrho 0.25\nSV\n3 2:2 \n-1 1:1 \n")
    assert read(path).predict(np.array([1.0, 2.0])) == pytest.approx(3 * np.exp(-0.5) - np.exp(-2) - 0.25, abs=1e-12)


def test_another_kind_of_model_is_refused(tmp_path):
    path = tmp_path / "model.txt"
    path.write_text("svm_type c_svc\nkernel_type rbf\ngamma 0.5\nSV\n1 1:1 \n")
    with pytest.raises(ValueError, match="not a nu-SVR"):
        read(path)
