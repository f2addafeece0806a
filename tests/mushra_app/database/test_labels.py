"""Names of listeners."""

from __future__ import annotations

import pytest

from earmark.mushra_app.database.labels import listener_id, listener_label


@pytest.mark.parametrize(("number", "label"), [(1, "L0001"), (7, "L0007"), (9999, "L9999"), (12345, "L12345")])
def test_a_label_names_one_listener(number: int, label: str):
    assert listener_label(number) == label
    assert listener_id(label) == number
