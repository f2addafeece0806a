"""Models' shapes as JSON."""

from __future__ import annotations

import json
import random

import pytest

from earmark.codec.checkpoints import config_json
from earmark.codec.checkpoints.config_json import config_from_json, config_to_json
from earmark.codec.checkpoints.loading import load
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ, EncodecConfig, SEANetConfig, stored_keys
from earmark.codec.errors import UserError

from .small import TINY, rewritten


def altered(key: str, value: object) -> str:
    data = json.loads(config_to_json(TINY))
    target = data["seanet"] if key.startswith("seanet.") else data
    target[key.removeprefix("seanet.")] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"name": ' + "9" * 10_000 + "}", "not JSON"),
        ("null", "config must be an object"),
        ("{}", r"config\.name is missing"),
        (altered("name", "a\nb"), r"config\.name must be"),
        (altered("name", 3), r"config\.name must be"),
        (altered("sample_rate", 24000.0), r"config\.sample_rate must be a whole number"),
        (altered("sample_rate", True), r"config\.sample_rate must be a whole number"),
        (altered("sample_rate", 0), r"config\.sample_rate must be a whole number"),
        (altered("kbps", []), r"config\.kbps must be"),
        (altered("kbps", [16, 8]), r"config\.kbps must be"),
        (altered("kbps", [8, float("nan")]), r"config\.kbps must be"),
        (altered("kbps", [8, "16"]), r"config\.kbps must be"),
        (altered("kbps", 8), r"config\.kbps must be"),
        (altered("kbps", [0.5]), r"config\.kbps must be worth 1 to 1024 codebooks"),
        (altered("kbps", [8, 10_000]), r"config\.kbps must be worth 1 to 1024 codebooks"),
        (altered("entries", 1000), r"config\.entries must be a power of two"),
        (altered("entries", 2**40), r"config\.entries must be a power of two"),
        (altered("segment", -1), r"config\.segment must be"),
        (altered("segment", float("inf")), r"config\.segment must be"),
        (altered("overlap", 1), r"config\.overlap must be"),
        (altered("normalize", 1), r"config\.normalize must be true or false"),
        (altered("colour", "red"), r"config\.'colour' is unknown"),
        (altered("seanet", []), r"config\.seanet must be an object"),
        (altered("seanet.filters", 10**9), r"config\.seanet\.filters must be a whole number"),
        (altered("seanet.ratios", [2] * 1000), r"config\.seanet\.ratios must be"),
        (altered("seanet.ratios", [64] * 8), r"config\.seanet\.ratios must make at least one step per second"),
        (altered("seanet.residual_layers", 10**9), r"config\.seanet\.residual_layers must be"),
        (altered("seanet.norm", "batch_norm"), r"config\.seanet\.norm must be one of"),
        (altered("seanet.norm", []), r"config\.seanet\.norm must be one of"),
        (altered("seanet.norm", "time_group_norm"), r"config\.seanet\.norm must not be time_group_norm in a causal"),
        (altered("seanet.compress", 3), r"config\.seanet\.compress must not exceed"),
        (altered("seanet.__class__", "x"), "is unknown"),
    ],
)
def test_a_hostile_description_is_one_clear_error(tiny_file, text, message):
    with pytest.raises(UserError, match=message) as caught:
        load(rewritten(tiny_file, config=text))
    assert str(caught.value).startswith(str(tiny_file))
    assert len(str(caught.value).removeprefix(str(tiny_file))) < 300


def test_the_description_of_a_huge_model_allocates_no_memory(tiny_file):
    """2 stacks of 16 LSTM layers, each with 2 matrices of 4 n x n weights, n = 1024 * 2^8: 2 * 10^13 weights."""
    data = json.loads(config_to_json(TINY))
    data["seanet"].update(filters=1024, ratios=[64, 5, 1, 1, 1, 1, 1, 1], lstm=16)
    data["kbps"] = [8]
    with pytest.raises(UserError, match=r"has the shape \[2, 1, 7\] instead of \[1024, 1, 7\]"):
        load(rewritten(tiny_file, config=json.dumps(data)))


def test_mutated_descriptions_are_read_or_refused():
    text = config_to_json(TINY)
    generator = random.Random(0)
    for _ in range(2000):
        letters = list(text)
        for _ in range(generator.randint(1, 4)):
            letters[generator.randrange(len(letters))] = generator.choice('0123456789.,:"[]{}-eEtfn ')
        try:
            assert isinstance(config_from_json("".join(letters)), EncodecConfig)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize("config", [TINY, ENCODEC_24KHZ, ENCODEC_48KHZ], ids=lambda config: config.name)
def test_descriptions_are_complete(config):
    assert config_from_json(config_to_json(config)) == config
    assert set(config_json.MODEL_RULES) == set(stored_keys(EncodecConfig))
    assert set(config_json.SEANET_RULES) == set(stored_keys(SEANetConfig))
