"""Names of listeners."""

from __future__ import annotations

import re

import pytest

from earmark.mushra_app.database.labels import listener_label, new_study_id


@pytest.mark.parametrize(
    ("number", "label"), [(1, "L0001-7f3a2c"), (9999, "L9999-7f3a2c"), (12345, "L12345-7f3a2c")]
)  # fmt: skip
def test_a_label_holds_the_number_and_the_study(number: int, label: str):
    assert listener_label(number, "7f3a2c") == label


def test_studies_have_different_ids():
    """24 random bits: two of 20 ids are equal with a probability of 190 / 2**24, about one in 88,000."""
    ids = {new_study_id() for _ in range(20)}
    assert len(ids) == 20
    assert all(re.fullmatch("[0-9a-f]{6}", one) for one in ids)
