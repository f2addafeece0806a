"""AWS Signature Version 4 against the examples that AWS published, and money in integers."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import pytest

from earmark.mushra_app.platforms.money import Amount, decimal, parse, shown
from earmark.mushra_app.platforms.signature import Credentials, signed_headers

# aws-sig-v4-test-suite: access key, time, region and service of all its examples.
KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
WHEN = datetime(2015, 8, 30, 12, 36, 0, tzinfo=UTC)
PLACE = {"region": "us-east-1", "service": "service", "when": WHEN}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("method", "query", "headers", "body", "names", "signature"),
    [
        ("GET", "", {}, b"", "host;x-amz-date",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("GET", "?Param2=value2&Param1=value1", {}, b"", "host;x-amz-date",
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        ("POST", "", {}, b"", "host;x-amz-date",
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ("POST", "", FORM, b"Param1=value1", "content-type;host;x-amz-date",
         "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
    ],
    ids=["get-vanilla", "get-vanilla-query-order-key-case", "post-vanilla", "post-x-www-form-urlencoded"],
)  # fmt: skip
def test_examples_of_the_test_suite(method, query, headers, body, names, signature):
    signed = signed_headers(method, f"https://example.amazonaws.com/{query}", headers, body, KEYS, **PLACE)
    assert signed["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def test_a_request_to_mechanical_turk_with_temporary_keys():
    """The expected signature is that of botocore 1.44.8 (botocore.auth.SigV4Auth) for the same request."""
    given = {
        "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "MTurkRequesterServiceV20170117.ListHITs",
    }  # fmt: skip
    signed = signed_headers(
        "POST", "https://mturk-requester.us-east-1.amazonaws.com/", given, b'{"a":1}',
        Credentials("AKID", "SECRET", "TOK/en=="), region="us-east-1", service="mturk-requester", when=WHEN,
    )  # fmt: skip
    assert signed["X-Amz-Security-Token"] == "TOK/en=="
    assert signed["Authorization"].endswith(
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, "
        "Signature=6de5512fb007210bf59371ac15c06c8e1241c91eae2be22130d29e2911066c2f"
    )


def test_keys_are_not_in_a_representation():
    assert "SECRET" not in repr(Credentials("AKID", "SECRET", "TOKEN"))


def test_money_is_in_integers():
    """0.29 * 100 is 28.999999999999996 in floating point."""
    assert [parse(text) for text in ("0.29", "3.20", "3", "0.01", "1234567.89")] == [29, 320, 300, 1, 123456789]
    assert (decimal(5), decimal(320), shown(123456, "USD")) == ("0.05", "3.20", "1234.56 USD")


@pytest.mark.parametrize("text", ["", "3.2", "3.200", "-1", "1e2", "3,20", "£3", "٣", "nan", "0", "10000.01"])
def test_what_is_no_amount_is_refused(text: str):
    with pytest.raises(click.BadParameter):
        Amount().convert(text, None, None)
