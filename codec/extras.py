"""Packages that an extra of Earmark installs: one message if they are missing, with the pip command that adds them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from earmark.codec.errors import UserError

Extra = Literal[
    "cluster", "codec2", "demo", "dnsmos", "encodec", "hilcodec", "lyra", "mlflow", "onnx", "pesq", "remote", "server",
    "snac", "train", "transformers", "visqol", "wandb",
]  # fmt: skip
TITLES = {  # of modules whose packages people know by other names
    "ai_edge_litert": "LiteRT",
    "distributed": "Dask",
    "espeakng_loader": "espeakng-loader",
    "tensorboard": "TensorBoard",
    "mlflow": "MLflow",
    "torch": "PyTorch",
    "upath": "universal-pathlib",
    "visqol": "visqol-python",
    "wandb": "Weights & Biases",
}


def pip_install(extra: Extra) -> str:
    """The shell command that installs an extra."""
    return f"pip install 'earmark[{extra}]'"


def missing(*modules: str, extra: Extra) -> str | None:
    """Return a message on modules that cannot be imported, or None if all can. Imports nothing, so it takes no time.

    Example: "PyTorch is not installed; run `pip install 'earmark[encodec]'`".
    """
    absent = [TITLES.get(module, module) for module in modules if find_spec(module) is None]
    if not absent:
        return None
    return f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed; run `{pip_install(extra)}`"


def require(*modules: str, extra: Extra, for_: str) -> None:
    """Check that modules of an extra can be imported, before importing them.

    Args:
        for_: command, option or codec that needs them; it begins the message.

    Raises:
        UserError: one is not installed, e.g. "earmark encode: PyTorch is not installed; run `pip install
            'earmark[encodec]'`".
    """
    if reason := missing(*modules, extra=extra):
        raise UserError(f"{for_}: {reason}")
