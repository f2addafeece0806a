"""docs/paper.md is true: each hyper-parameter has the stated value, and each stated deviation still is one.

Files and names on the page are checked by test_docs.py, its commands by test_docs_commands.py.
"""

from __future__ import annotations

import ast
import importlib
import re
from typing import Any

import pytest

from .markdown import ROOT

PAGE = ROOT / "docs" / "paper.md"
ROWS = re.findall(
    r"^\| ([\w., ]+) \| (.+?) \| ([^|]+) \| `([^`|]+)` \| ([^|]+) \|$",
    PAGE.read_text(encoding="utf-8").partition("## Hyper-parameters")[2].partition("\n## ")[0],
    re.MULTILINE,
)


def setting(name: str) -> Any:
    """The value of `section.key`, `recipe: section.key` or `earmark.module.NAME`."""
    if name.startswith("earmark."):
        return attribute(name)
    from earmark.codec.training.recipe_files import load

    recipe, _, key = name.rpartition(": ")
    value: Any = load(recipe or "encodec_24khz").tables
    for part in key.split("."):
        value = value[part]
    return value


def attribute(name: str) -> Any:
    """A constant of a module, or the default of a field of a dataclass in it."""
    parts = name.split(".")
    module = next(count for count in range(len(parts) - 1, 0, -1) if importable(".".join(parts[:count])))
    value: Any = importlib.import_module(".".join(parts[:module]))
    for part in parts[module:]:
        value = getattr(value, part)
    return value


def importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == pytest.approx(other, rel=1e-9))


def test_the_page_has_the_hyper_parameters():
    assert len(ROWS) > 45
    whole = PAGE.read_text(encoding="utf-8").partition("## Hyper-parameters")[2].partition("\n## ")[0]
    assert len(ROWS) == whole.count("\n| ") - 2  # heading and rule; each row is read


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_hyper_parameter(row: tuple[str, str, str, str, str]):
    _, _, paper, name, deviation = row
    equal = same(ast.literal_eval(paper.strip()), setting(name))
    assert equal == (deviation == "none"), f"{name} is {setting(name)!r}"


def test_codebooks_are_those_of_the_paper():
    """At most 32, and 16 at 48 kHz, of 10 bits: 24 kbps at 75 and at 150 steps per second."""
    from earmark.codec.training.recipe_files import load

    assert [load(name).model.codebooks(24) for name in ("encodec_24khz", "encodec_48khz")] == [32, 16]


def test_the_residual_unit_deviates_as_stated():
    from torch import nn

    from earmark.codec.encodec.config import SEANetConfig
    from earmark.codec.encodec.seanet import SEANetEncoder

    encoder = SEANetEncoder(SEANetConfig(filters=2))
    kernels = [layer.kernel_size[0] for layer in encoder.modules() if isinstance(layer, nn.Conv1d)]
    # The first convolution, then per block: residual unit (3, 1), shortcut (1), down-sampling by S with kernel 2 S.
    assert sorted(kernels) == sorted([7, *4 * [3, 1, 1], *(2 * stride for stride in (2, 4, 5, 8)), 7])


def test_precision_and_quantisers_deviate_as_stated():
    """DiffQ scales dimensions of less than a bit in decoding; Gumbel-softmax has one encoding of a latent."""
    import torch

    from earmark.codec.training.quantizers.diffq import DiffQuantizer
    from earmark.codec.training.quantizers.gumbel import GumbelQuantizer

    assert setting("training.precision") == "auto"
    diffq = DiffQuantizer(1)
    diffq.v.data.fill_(-0.6)  # 15 sigmoid(-3) = 0.711 bits: round(2^0.711) = 2 levels, their middles at -1.5 and 1.5
    assert diffq.plain().decode(torch.tensor([[[0, 1]]])).flatten().tolist() == pytest.approx([-1.067, 1.067], abs=1e-3)
    gumbel, latent = GumbelQuantizer(4, 2, 8).eval(), torch.randn(1, 4, 50, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert gumbel(latent, 2).codes.equal(gumbel(latent, 2).codes)


def test_baselines_deviate_as_stated():
    from earmark.baselines import lyra
    from earmark.eval.paper.published_tables import published

    assert lyra.SAMPLE_RATE == 16000
    assert "upsampled to 32 kHz" in " ".join(published("table1").notes)
    assert "upsampled to 32 kHz" in " ".join(published("table5").notes)
    assert ("evs@5.9",) in {row.systems for row in published("table3").rows}


def test_chunks_and_scale_deviate_as_stated():
    from earmark.codec.ecdc.segment_coders import CHUNK_SECONDS
    from earmark.mushra_app.ratings.scales import FULL

    assert CHUNK_SECONDS == 2
    assert FULL == (0, 100)
