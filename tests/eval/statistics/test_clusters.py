"""Groups of recordings: by folder, by a pattern in the name, and by a table."""

from __future__ import annotations

import pytest

from earmark.codec.errors import UserError
from earmark.eval.statistics.clusters import clusters_of

FILES = ["clean/1089-134686-0001.flac", "clean/1089-134691-0004.flac", "other/1188-133604-0000.flac"]


def test_by_folder_and_by_pattern():
    assert list(clusters_of(FILES, "folder").values()) == ["clean", "clean", "other"]
    assert list(clusters_of(FILES, r"/(\d+)-").values()) == ["1089", "1089", "1188"]
    assert list(clusters_of(FILES, "clean|other").values()) == ["clean", "clean", "other"]


def test_by_a_table(tmp_path):
    table = tmp_path / "talkers.csv"
    table.write_text("file,cluster\n" + "".join(f"{file},{index % 2}\n" for index, file in enumerate(FILES)))
    assert list(clusters_of(FILES, str(table)).values()) == ["0", "1", "0"]
    with pytest.raises(UserError, match=r"has no row for new\.wav"):
        clusters_of(["new.wav"], str(table))
    table.write_text("name,talker\na,b\n")
    with pytest.raises(UserError, match="needs the columns file and cluster; it has name, talker"):
        clusters_of(FILES, str(table))


def test_a_pattern_that_is_wrong_or_does_not_match():
    with pytest.raises(UserError, match=r"--cluster-by \(: no CSV file, and no regular expression"):
        clusters_of(FILES, "(")
    with pytest.raises(UserError, match="not found in other/1188-133604-0000"):
        clusters_of(FILES, "clean")
