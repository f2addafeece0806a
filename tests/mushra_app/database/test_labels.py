"""Names of listeners."""

from __future__ import annotations

import io
import re

import pandas as pd
import pytest

from earmark.mushra_app.database.labels import listener_label, new_study_id


@pytest.mark.parametrize(
    ("number", "label"), [(1, "L0001-b3a2c4"), (9999, "L9999-b3a2c4"), (12345, "L12345-b3a2c4")]
)  # fmt: skip
def test_a_label_holds_the_number_and_the_study(number: int, label: str):
    assert listener_label(number, "b3a2c4") == label


def test_studies_have_different_ids():
    """There are 5 * 16**5 = 5,242,880 ids and 190 pairs of 20: two are equal once in about 28,000 runs."""
    ids = {new_study_id() for _ in range(20)}
    assert len(ids) == 20
    assert all(re.fullmatch("[0-9a-f]{6}", one) for one in ids)


def test_no_id_is_read_as_a_number():
    """Ids of six hexadecimal digits would be: 605131 is an integer, 1e5123 a floating-point number."""
    ids = [new_study_id() for _ in range(500)]
    assert pd.read_csv(io.StringIO("\n".join(["study", *ids])))["study"].tolist() == ids
