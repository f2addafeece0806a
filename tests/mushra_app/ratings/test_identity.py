"""Tables of two studies: one name must not mean two people."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from earmark.codec.errors import UserError
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.ratings.importers import read_ratings
from earmark.mushra_app.web import create_app
from earmark.mushra_app.web.downloads import as_csv
from tests.mushra_app.database.sessions import finish


def export(make_study, folder: Path, listeners: int, items: int) -> pd.DataFrame:
    make_study(folder, items=items, trials=2, annotations=100)
    store: Store = create_app(folder).extensions["earmark"].store
    for number in range(listeners):
        finish(store, str(number))
    return store.ratings()


def earlier(table: pd.DataFrame) -> pd.DataFrame:
    """The export as version 0.1 wrote it."""
    return table.assign(listener=table["listener"].str[:5]).drop(columns=["study", "study_version", "server_seconds"])


@pytest.fixture(scope="module")
def exports(make_study, tmp_path_factory: pytest.TempPathFactory) -> list[pd.DataFrame]:
    """Studies of 4 and 3 listeners, with other items."""
    folder = tmp_path_factory.mktemp("studies")
    one, two = export(make_study, folder / "one", 4, 2), export(make_study, folder / "two", 3, 2)
    return [one, two.assign(item="other-" + two["item"])]


def test_concatenated_exports_hold_all_listeners(exports: list[pd.DataFrame], tmp_path: Path):
    (tmp_path / "both.csv").write_bytes(as_csv(pd.concat(exports)))
    assert read_ratings(tmp_path / "both.csv").frame["listener"].nunique() == 7


def test_concatenated_exports_of_an_earlier_version_are_refused(exports: list[pd.DataFrame], tmp_path: Path):
    """4 + 3 listeners would become 4, without a word."""
    (tmp_path / "both.csv").write_bytes(as_csv(pd.concat(map(earlier, exports))))
    with pytest.raises(UserError, match=r"listener L000\d rated 2 items at position 1: tables of two studies in one"):
        read_ratings(tmp_path / "both.csv")


def test_a_column_study_separates_them(exports: list[pd.DataFrame], tmp_path: Path):
    tables = [earlier(table).assign(study=name) for table, name in zip(exports, ("one", "two"), strict=True)]
    (tmp_path / "both.csv").write_bytes(as_csv(pd.concat(tables)))
    names = set(read_ratings(tmp_path / "both.csv").frame["listener"])
    assert names == {*(f"L000{k} (one)" for k in (1, 2, 3)), *(f"L000{k} (two)" for k in (1, 2, 3)), "L0004"}


def test_two_files_of_an_earlier_version_are_refused(exports: list[pd.DataFrame], tmp_path: Path):
    for name, table in zip(("a.csv", "b.csv"), exports, strict=True):
        (tmp_path / name).write_bytes(as_csv(earlier(table)))
    with pytest.raises(UserError, match=r"a\.csv and .*b\.csv: both have a listener L0001, maybe two people"):
        read_ratings([tmp_path / "a.csv", tmp_path / "b.csv"])


def test_one_export_of_an_earlier_version_is_read(exports: list[pd.DataFrame], tmp_path: Path):
    (tmp_path / "a.csv").write_bytes(as_csv(earlier(exports[0])))
    assert read_ratings(tmp_path / "a.csv").frame["listener"].nunique() == 4
