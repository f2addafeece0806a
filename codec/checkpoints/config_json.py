"""A model's shape as JSON, as Earmark's checkpoints store it; read strictly, because a file may come from anyone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, get_args

from earmark.codec.encodec.config import EncodecConfig, Norm, PadMode, Quantizer, SEANetConfig, from_stored, to_stored
from earmark.codec.errors import UserError

MOST_CODEBOOKS = 1024
LONGEST_DILATION = 65536  # samples

Rule = tuple[str, Callable[[Any], bool]]  # what a value must be: in words, and as a test


def _whole(low: int, high: int) -> Rule:
    return f"a whole number from {low} to {high}", lambda value: type(value) is int and low <= value <= high


def _is_number(value: object, low: float, high: float) -> bool:
    return type(value) in (int, float) and low <= value <= high  # type: ignore[operator]  # NaN is in no range


def _is_list(value: object, longest: int, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= longest and all(map(fits, value))


FLAG: Rule = ("true or false", lambda value: type(value) is bool)
OBJECT: Rule = ("an object", lambda value: isinstance(value, dict))

NAME: Rule = (
    "a name of up to 64 letters, digits, dashes and underscores",
    lambda value: isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value) is not None,
)

MODEL_RULES: dict[str, Rule] = {
    "name": (
        "up to 64 letters, digits, dots, dashes and underscores",
        lambda value: isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value) is not None,
    ),
    "sample_rate": _whole(1, 384000),
    "kbps": (
        "up to 64 ascending bit rates in (0, 10000]",
        lambda value: _is_list(value, 64, lambda rate: _is_number(rate, 0.001, 10000)) and value == sorted({*value}),
    ),
    "seanet": OBJECT,
    "entries": (
        "a power of two from 2 to 65536",
        lambda value: type(value) is int and 2 <= value <= 65536 and value & (value - 1) == 0,
    ),
    "segment": ("null or seconds up to 3600", lambda value: value is None or _is_number(value, 0.001, 3600)),
    "overlap": ("a share up to 0.5", lambda value: _is_number(value, 0, 0.5)),
    "normalize": FLAG,
    "quantizer": (f"one of {', '.join(get_args(Quantizer))}", lambda value: value in get_args(Quantizer)),
    "codebook_dim": _whole(0, 4096),
}
SEANET_RULES: dict[str, Rule] = {
    "channels": _whole(1, 64),
    "dimension": _whole(1, 4096),
    "filters": _whole(1, 1024),
    "ratios": (
        "up to 8 whole numbers from 1 to 64",
        lambda value: _is_list(value, 8, lambda ratio: type(ratio) is int and 1 <= ratio <= 64),
    ),
    "residual_layers": _whole(0, 16),
    "kernel_size": _whole(1, 255),
    "last_kernel_size": _whole(1, 255),
    "residual_kernel_size": _whole(1, 255),
    "dilation_base": _whole(1, 16),
    "compress": _whole(1, 1024),
    "true_skip": FLAG,
    "lstm": _whole(0, 16),
    "norm": (f"one of {', '.join(get_args(Norm))}", lambda value: value in get_args(Norm)),
    "causal": FLAG,
    "tanh": FLAG,
    "pad_mode": (f"one of {', '.join(get_args(PadMode))}", lambda value: value in get_args(PadMode)),
    "film": FLAG,
    "activation": NAME,
    "encoder_block": NAME,
    "decoder_block": NAME,
}
LATER = {"codebook_dim": 0}  # fields that older files lack
LATER_SEANET = {
    "pad_mode": "reflect", "film": False, "activation": "elu", "encoder_block": "residual", "decoder_block": "residual",
}  # fmt: skip
RVQ = {"quantizer": "rvq"}  # left out, so that earlier versions read the file


def config_to_json(config: EncodecConfig) -> str:
    """A model's shape as one line of JSON."""
    stored = {name: value for name, value in to_stored(config).items() if (name, value) not in RVQ.items()}
    if not config.seanet.film:
        stored["seanet"] = {name: value for name, value in stored["seanet"].items() if name != "film"}
    return json.dumps(stored, allow_nan=False)


def config_from_json(text: str) -> EncodecConfig:
    """A model's shape from JSON.

    Raises:
        UserError: not JSON; a field is missing, unknown or out of range; or fields contradict each other.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"the model's description is not JSON ({type(error).__name__})") from error
    data = {**RVQ, **LATER, **data} if isinstance(data, dict) else data
    _check(data, MODEL_RULES, "config")
    data = {**data, "seanet": {**LATER_SEANET, **data["seanet"]}}
    _check(data["seanet"], SEANET_RULES, "config.seanet")
    seanet = SEANetConfig(**{**data["seanet"], "ratios": tuple(data["seanet"]["ratios"])})
    config = EncodecConfig(**{**from_stored(data), "kbps": tuple(map(float, data["kbps"])), "seanet": seanet})
    if seanet.causal and seanet.norm == "time_group_norm":
        raise UserError("config.seanet.norm must not be time_group_norm in a causal model: it looks ahead")
    if seanet.hop > config.sample_rate:
        raise UserError("config.seanet.ratios must make at least one step per second")
    if seanet.dilation_base ** max(0, seanet.residual_layers - 1) > LONGEST_DILATION:
        raise UserError(f"config.seanet.dilation_base must make dilations up to {LONGEST_DILATION}")
    if seanet.compress > seanet.filters:
        raise UserError("config.seanet.compress must not exceed config.seanet.filters")
    if not 1 <= config.codebooks(config.kbps[0]) <= config.codebooks() <= MOST_CODEBOOKS:
        raise UserError(f"config.kbps must be worth 1 to {MOST_CODEBOOKS} codebooks")
    return config


def _check(data: object, rules: dict[str, Rule], path: str) -> None:
    """Check an object field by field; `path` is its position in the JSON, for messages."""
    if not isinstance(data, dict):
        raise UserError(f"{path} must be an object")
    for name, (rule, fits) in rules.items():
        if name not in data:
            raise UserError(f"{path}.{name} is missing")
        if not fits(data[name]):
            raise UserError(f"{path}.{name} must be {rule}")
    for name in data:
        if name not in rules:
            raise UserError(f"{path}.{name[:64]!r} is unknown")
