"""Weights for the EnCodec rows of a reproduction: the paper's, or what stands in for them."""

from __future__ import annotations

from pathlib import Path

from earmark.codec.checkpoints.downloads import OFFICIAL, bundled, cached
from earmark.codec.errors import UserError
from earmark.codec.training.export import MODEL
from earmark.mushra_app.paper.material import Material
from earmark.mushra_app.paper.scale import Scale

KBPS_48 = (6.0, 12.0, 24.0)  # of Table 4


def has_model(system: str) -> bool:
    """Whether a language model is known for the weights of a system: the paper's, and those that come with Earmark."""
    return ":checkpoint=" not in system or system.endswith(f":checkpoint={OFFICIAL}")


def weighted(system: str, scale: Scale, material: Material, models: Path) -> tuple[str, str]:
    """A system string with the best weights that are here, and what is missing, "" if nothing is.

    The paper's weights are preferred. At 24 kHz those that come with the package stand in for them; at 48 kHz, at the
    scale tiny, a model that is trained here.
    """
    name = system.partition("@")[0]
    if not name.startswith("encodec_"):
        return system, ""
    try:
        cached(name)
        return f"{system}:checkpoint={OFFICIAL}", ""
    except UserError:
        reason = f"the paper's weights of {name}: fetch them by `earmark download {name}`"
    if bundled(name) is not None:
        return system, reason
    if name == "encodec_48khz" and scale.synthetic:
        from earmark.mushra_app.paper.trainings import train_48khz

        folder = models / name
        if not (folder / MODEL).exists():
            train_48khz(folder, scale, material, KBPS_48)
        return f"{system}:checkpoint={folder / MODEL}", reason
    return system, reason
