"""Keys under which files keep a configuration."""

from __future__ import annotations

import pytest

from earmark.codec.encodec.config import ENCODEC_24KHZ, EncodecConfig, SEANetConfig, from_stored, stored_keys, to_stored
from earmark.codec.language_model.network import LanguageModelConfig


def test_files_call_the_codebook_size_entries():
    """Checkpoints, recipes and identities of earlier versions do."""
    assert to_stored(ENCODEC_24KHZ)["entries"] == 1024
    assert "codebook_size" not in to_stored(ENCODEC_24KHZ)
    assert to_stored(LanguageModelConfig(codebooks=3, context=20)) == {
        "codebooks": 3, "context": 20, "entries": 1024, "dimension": 200, "heads": 8, "layers": 5, "feed_forward": 800,
    }  # fmt: skip


@pytest.mark.parametrize("config", [ENCODEC_24KHZ.seanet, LanguageModelConfig(3, 20, codebook_size=16)])
def test_a_configuration_comes_back_from_its_stored_form(config: SEANetConfig | LanguageModelConfig):
    assert type(config)(**from_stored(to_stored(config))) == config


def test_stored_keys_are_in_the_order_of_the_fields():
    assert stored_keys(EncodecConfig) == list(to_stored(ENCODEC_24KHZ))
