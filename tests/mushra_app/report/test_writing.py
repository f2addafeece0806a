"""The report: its tables, plots and page."""

from __future__ import annotations

import csv
import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from earmark.codec.errors import UserError
from earmark.mushra_app.ratings.importers import read_ratings
from earmark.mushra_app.ratings.table import Ratings
from earmark.mushra_app.report.writing import terminal_table, write_report

ROLES = {"reference": "hidden reference", "anchor@3.5k": "low anchor", "opus@6": "system"}


def small_test(reference: dict[str, float], *, categories: tuple[str, ...] = ()) -> Ratings:
    """Ratings of two items per listener. The codec scores 40 and 60.

    Args:
        reference: listener -> score of the hidden reference.
        categories: categories of the two items; none by default.
    """
    rows = [
        (listener, f"item{item}", condition, score)
        for listener, best in reference.items()
        for condition, scores in {"reference": (best, best), "anchor@3.5k": (10, 20), "opus@6": (40, 60)}.items()
        for item, score in enumerate(scores)
    ]
    frame = pd.DataFrame(rows, columns=["listener", "item", "condition", "score"]).astype({"score": float})
    if categories:
        frame["category"] = [categories[int(item[-1])] for item in frame["item"]]
    return Ratings(frame, ROLES, "small.csv", ("Read as a long table.",))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def text_of(page: Path) -> str:
    """Text of the page without style sheet and tags."""
    html = re.sub(r"<style>.*?</style>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_files(tmp_path, every_format):
    """A rates the hidden reference 100 and B 50, so B is dropped and each condition keeps two ratings."""
    report = write_report(small_test({"A": 100, "B": 50}), "paper", tmp_path / "deep/report")
    assert {path.name for path in (tmp_path / "deep/report").iterdir()} == {
        "report.html", "summary.csv", "listeners.csv", "comparisons.csv", "method.txt",
        *(f"{name}.{suffix}" for name in ("plot", "distribution") for suffix in ("svg", "pdf", "png")),
    }  # fmt: skip
    assert (report.kept, report.listeners) == (1, 2)
    reference, codec, anchor = table(report.summary_csv)
    assert list(codec) == [
        "condition", "role", "category", "n", "listeners", "mean", "ci95_low", "ci95_high", "sd", "median", "q1", "q3",
        "boot95_low", "boot95_high", "crossed95_low", "crossed95_high", "mixed_mean", "mixed95_low", "mixed95_high",
    ]  # fmt: skip
    assert (reference["condition"], reference["role"], reference["mean"]) == ("reference", "hidden reference", "100")
    assert (codec["condition"], codec["n"], codec["listeners"], codec["mean"]) == ("opus@6", "2", "1", "50")
    assert (codec["sd"][:6], codec["ci95_high"]) == ("14.142", "")  # 40 and 60; two ratings have no interval
    assert (codec["q1"], codec["median"], codec["q3"], codec["boot95_low"]) == ("45", "50", "55", "")  # one listener
    assert anchor["condition"] == "anchor@3.5k"
    assert [(row["listener"], row["kept"], row["n"]) for row in table(report.listeners_csv)] == [
        ("A", "True", "6"), ("B", "False", "6")
    ]  # fmt: skip
    assert table(report.listeners_csv)[1]["reason"] == "hidden reference below 90 in 2 of 2 ratings (100.0 %)"
    assert report.plot_png.read_bytes().startswith(b"\x89PNG")
    assert report.plot_svg.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


def test_page_describes_the_test_and_its_screening(tmp_path):
    words = text_of(write_report(small_test({"A": 100, "B": 50}), "paper", tmp_path, "paper").page)
    assert "Listening test small.csv 1 of 2 listeners kept, 6 of 12 ratings, 2 items, 3 conditions" in words
    assert "arXiv 2210.13438, section 4.3" in words
    assert "B hidden reference below 90 in 2 of 2 ratings (100.0 %) 6" in words
    assert "reference 75.0 ± 45.9 4 100.0 2 +25.0" in words  # 3.18245 * 28.8675 / 2 = 45.934
    assert "Low anchor anchor@3.5k Mid anchor none" in words
    assert "Read as a long table." in words
    assert "x̄ ± t" in words


def panel(listeners: int = 12) -> Ratings:
    """Ratings around 50 for the codec and 10 for the anchor, with an offset of a few points per listener."""
    rng = np.random.default_rng(0)
    rows = [
        (
            f"L{listener:02d}",
            f"item{item}",
            condition,
            float(np.clip(round(quality + offset + rng.normal(0, 4)), 0, 100)),
        )
        for listener in range(listeners)
        for offset in [rng.normal(0, 5)]
        for item in range(4)
        for condition, quality in {"reference": 110, "opus@6": 50, "anchor@3.5k": 10}.items()
    ]
    return Ratings(pd.DataFrame(rows, columns=["listener", "item", "condition", "score"]), ROLES, "panel.csv")


def test_page_shows_significance_and_agreement(tmp_path):
    """Twelve listeners who all rank three conditions alike: chi-squared = 12 * 2 = 24, W = 1, and each of the three
    exact Wilcoxon tests has p = 2 / 2^12 = 0.00049, by Holm 0.0015."""
    report = write_report(panel(), "paper", tmp_path, "paper")
    words = text_of(report.page)
    assert "over 12 listeners and 3 conditions gives χ² = 24.00 with 2 degrees of freedom, p &lt; 0.001." in words
    assert "coefficient of concordance is W = 1.00" in words
    pairs = table(report.comparisons_csv)
    assert [(row["better"], row["worse"]) for row in pairs] == [
        ("reference", "opus@6"), ("reference", "anchor@3.5k"), ("opus@6", "anchor@3.5k")
    ]  # fmt: skip
    for row in pairs:
        for name in ("p", "p_wilcoxon"):  # all patterns but two are less extreme, by ranks or by means
            assert float(row[name]) == pytest.approx(2 / 2**12)
            assert float(row[f"{name}_holm"]) == pytest.approx(3 * 2 / 2**12)
        assert float(row["rank_biserial"]) == 1
    assert "Krippendorff’s α is 0.9" in words
    assert "29 more listeners like these 12 would halve" in words  # 2.201 / sqrt(12) is over 2 * 2.021 / sqrt(41)
    assert "The standard deviations of the mixed model are " in words
    rows = table(report.summary_csv)
    mixed = [[float(row[f"mixed{name}"]) for name in ("95_low", "_mean", "95_high")] for row in rows]
    assert all(low < mean <= high <= 100 for low, mean, high in mixed)
    assert all(float(row["boot95_low"]) <= float(row["mean"]) <= float(row["boot95_high"]) for row in rows)


def test_conditions_that_no_listener_rated_together_are_not_compared(tmp_path):
    frame = panel().frame
    odd = frame["listener"].str.endswith(("1", "3", "5", "7", "9"))
    report = write_report(Ratings(frame[odd == (frame["condition"] == "opus@6")], ROLES, "split.csv"), "none", tmp_path)
    pairs = [(row["better"], row["worse"]) for row in table(report.comparisons_csv)]
    assert pairs == [("reference", "anchor@3.5k")]
    frame = frame[odd == (frame["condition"] == "opus@6")]
    report = write_report(Ratings(frame[frame["condition"] != "reference"], ROLES, "split.csv"), "none", tmp_path)
    assert "No listener rated two conditions in one trial" in text_of(report.page)
    assert table(report.comparisons_csv) == []


def test_page_shows_the_result_of_each_rule_and_the_flags(tmp_path):
    ratings = panel()
    ratings.frame.loc[ratings.frame["listener"] == "L03", "score"] = 50
    report = write_report(ratings, "none", tmp_path)
    words = text_of(report.page)
    assert "--screen paper the rule of the EnCodec paper 1 11" in words
    assert "--screen bs1534 the post-screening of ITU-R BS.1534-3 (1 clause not applied) 1 11" in words
    assert "L03 one score for all conditions in 4 of 4 trials" in words
    (flagged,) = (row for row in table(report.listeners_csv) if row["listener"] == "L03")
    assert (flagged["listener"], flagged["kept"], flagged["items"], flagged["agreement"]) == ("L03", "True", "4", "")


def test_page_is_self_contained(tmp_path):
    html = write_report(small_test({"A": 100}), "paper", tmp_path).page.read_text()
    assert not re.search(r"<(script|link|img|iframe)|\b(src|href)=\"(?!#)|@import|url\((?!#)", html)
    assert "<svg" in html


def test_page_has_a_column_and_a_panel_per_category(tmp_path):
    report = write_report(small_test({"A": 100, "B": 95}, categories=("music", "speech")), "none", tmp_path, "paper")
    assert [row["category"] for row in table(report.summary_csv)] == ["all"] * 3 + ["music"] * 3 + ["speech"] * 3
    words = text_of(report.page)
    assert "Condition music speech" in words
    assert "opus@6 40.0 (2) 60.0 (2)" in words
    drawn = "".join(ElementTree.parse(report.plot_svg).getroot().itertext())
    assert all(title in drawn for title in ("all categories", "music", "speech"))
    assert "Listeners were not screened" in words


def test_one_category_is_not_shown_twice(tmp_path):
    report = write_report(small_test({"A": 100}, categories=("music", "music")), "none", tmp_path)
    assert "music" not in text_of(report.page)
    assert "all categories" not in report.plot_svg.read_text()


def test_plot_names_bands_conditions_and_roles(tmp_path):
    svg = write_report(small_test({"A": 100, "B": 95}), "paper", tmp_path).plot_svg
    drawn = [text.strip() for text in ElementTree.parse(svg).getroot().itertext() if text.strip()]
    for word in ("Bad", "Poor", "Fair", "Good", "Excellent", *ROLES, *ROLES.values()):
        assert word in drawn


def test_a_skipped_clause_is_noted_at_the_top_of_the_page(tmp_path):
    ratings = small_test({"A": 100})
    ratings = Ratings(ratings.frame, dict.fromkeys(ROLES, "system"), ratings.source)
    report = write_report(ratings, "paper", tmp_path)
    words = text_of(report.page)
    assert words.index("no condition is the low anchor") < words.index("Result")
    assert "None of its clauses could be applied, so everybody was kept." in words
    assert any("no condition is the hidden reference" in note for note in report.notes)


def test_nobody_dropped(tmp_path):
    assert "Nobody was dropped" in text_of(write_report(small_test({"A": 100}), "paper", tmp_path).page)


def test_report_of_a_test_whose_listeners_were_all_dropped(tmp_path, every_format):
    report = write_report(small_test({"A": 50, "B": 60}), "paper", tmp_path, "paper")
    assert (report.kept, report.listeners) == (0, 2)
    assert report.summary.empty
    assert table(report.summary_csv) == []
    assert "No listener was kept, so there are no means after screening." in report.notes
    words = text_of(report.page)
    assert "No listener was kept" in words
    assert "opus@6 50.0 ± 18.4 4 – 0 –" in words  # 3.18245 * 11.5470 / 2 = 18.374
    assert report.plot_png.exists()
    Console(file=open(os.devnull, "w")).print(terminal_table(report.summary, report.intervals))  # noqa: SIM115, PTH123


def test_single_rating_shows_no_interval(tmp_path):
    frame = small_test({"A": 100}).frame.drop_duplicates("condition")
    report = write_report(Ratings(frame, ROLES, "one.csv"), "none", tmp_path, "paper")
    assert "opus@6 system 1 1 40.0 – – – 40.0 40.0 to 40.0" in text_of(report.page)
    assert "cut at its edge" not in text_of(report.page)
    assert [row["ci95_low"] for row in table(report.summary_csv)] == ["", "", ""]


HOSTILE = "</style></svg><script>alert(1)</script>"


def test_names_are_escaped_everywhere(tmp_path, every_format):
    """Names with HTML, TeX or rich markup appear verbatim in the page, the plot and the terminal."""
    names = {"reference": HOSTILE, "opus@6": "$x^2$ [red]opus[/red]", "anchor@3.5k": "a & b"}
    base = small_test({"A": 100, "B": 50}, categories=("music", "speech"))
    frame = base.frame.replace({"listener": {"B": HOSTILE}, "category": {"music": HOSTILE}, "condition": names})
    ratings = Ratings(frame, {names[name]: role for name, role in ROLES.items()}, HOSTILE, (HOSTILE,))
    report = write_report(ratings, "paper", tmp_path)
    plain = write_report(base, "paper", tmp_path / "plain").page.read_text()
    for tag in ("<script", "</script", "</style>", "</svg>"):
        assert report.page.read_text().count(tag) == plain.count(tag)
    drawn = [text.strip() for text in ElementTree.parse(report.plot_svg).getroot().itertext()]
    assert {HOSTILE, "$x^2$ [red]opus[/red]", "a & b"} <= set(drawn)
    console = Console(width=160, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    console.print(terminal_table(report.summary, report.intervals))
    assert "$x^2$ [red]opus[/red]" in console.export_text()


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_csv_cell_is_a_formula(tmp_path, name):
    base = small_test({name: 100})
    frame = base.frame.replace({"condition": {"opus@6": name}})
    frame["category"] = name
    roles = {**ROLES, name: "system"}
    report = write_report(Ratings(frame, roles, "f.csv"), "none", tmp_path)
    assert [row["condition"] for row in table(report.summary_csv)][1] == f"'{name}"
    assert {row["category"] for row in table(report.summary_csv)} == {"all", f"'{name}"}
    assert table(report.listeners_csv)[0]["listener"] == f"'{name}"


def test_names_in_any_script(tmp_path, every_format, capfd, recwarn):
    base = small_test({"ユーザー": 100})
    frame = base.frame.replace({"condition": {"opus@6": "编解码器"}})
    report = write_report(Ratings(frame, {**ROLES, "编解码器": "system"}, "世界.csv"), "none", tmp_path)
    assert "编解码器" in text_of(report.page)
    assert table(report.listeners_csv)[0]["listener"] == "ユーザー"
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_same_ratings_give_the_same_files(tmp_path):
    first, second = (write_report(small_test({"A": 100}), "paper", tmp_path / name) for name in "ab")
    for name in ("page", "summary_csv", "listeners_csv", "plot_svg"):
        assert getattr(first, name).read_bytes() == getattr(second, name).read_bytes()


def test_file_that_cannot_be_written(tmp_path):
    (tmp_path / "summary.csv").mkdir()
    with pytest.raises(UserError, match=r"summary\.csv: cannot be written"):
        write_report(small_test({"A": 100}), "paper", tmp_path)


def printed(report) -> list[list[str]]:
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    console.print(terminal_table(report.summary, report.intervals))
    return [line.split() for line in console.export_text().splitlines()]


def test_terminal_table_as_in_the_paper(tmp_path):
    ratings = small_test({"A": 100, "B": 50}, categories=("music", "speech"))
    lines = printed(write_report(ratings, "paper", tmp_path, "paper"))
    assert ["opus@6", "system", "2", "1", "50.0", "–", "50.0"] in lines
    assert ["opus@6", "system", "1", "1", "40.0", "–", "40.0"] in lines
    assert ["music"] in lines


def test_the_bootstrap_leads_and_the_crossed_interval_stands_beside_it(tmp_path):
    report = write_report(panel(), "paper", tmp_path)
    row = next(row for row in table(report.summary_csv) if row["condition"] == "opus@6")
    numbers = {name: f"{float(row[name]):.1f}" for name in row if name.endswith(("_low", "_high"))}
    for_these = [numbers["boot95_low"], "to", numbers["boot95_high"]]
    for_others = [numbers["crossed95_low"], "to", numbers["crossed95_high"]]
    mean = f"{float(row['mean']):.1f}"
    lines = printed(report)
    assert ["opus@6", "system", "48", "12", mean, *for_these, *for_others] in lines
    assert any(line[-5:] == ["these", "items", "other", "items", "too"] for line in lines)
    words = text_of(report.page)
    over_ratings = [numbers["ci95_low"], "to", numbers["ci95_high"]]
    assert " ".join(["opus@6 system 48 12", mean, *for_these, *for_others, *over_ratings]) in words
    assert "Thick bar: 95 % confidence interval for these items. Thin line: 95 % interval for other items too." in words


def systems(count: int, listeners: int) -> Ratings:
    """Ratings of systems 10 points apart, of four items, by listeners who agree within a point."""
    rng = np.random.default_rng(0)
    rows = [(f"L{listener}", f"item{item}", f"s{system}", 90.0 - 10 * system + rng.uniform(-0.5, 0.5))
            for listener in range(listeners) for item in range(4) for system in range(count)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["listener", "item", "condition", "score"])
    return Ratings(frame, {f"s{system}": "system" for system in range(count)}, "systems.csv")


def test_differences_have_both_p_values_and_say_what_they_generalise_to(tmp_path):
    report = write_report(systems(3, 12), "none", tmp_path)
    words = text_of(report.page)
    assert "Which differences are real" in words
    assert "if other listeners, asked about the same items, would confirm it" in words
    assert "if other listeners with other items of the same kind would" in words
    assert len(re.findall(r"\+\d+\.\d\*", words)) == 3  # 10, 20 and 10 points, all significant in both senses
    (row, *_) = table(report.comparisons_csv)
    assert (row["trials"], row["in_family"]) == ("48", "True")


def test_too_few_listeners_are_noted_on_the_page_and_in_the_notes(tmp_path):
    report = write_report(systems(8, 8), "none", tmp_path)
    sentence = "with 8 listeners the smallest p after Holm's correction for 28 pairs is 0.219"
    assert any(sentence in note for note in report.notes)
    assert sentence.replace("'", "&#39;") in text_of(report.page)


def test_the_method_is_a_paragraph_for_a_paper(tmp_path):
    method = write_report(panel(), "paper", tmp_path).method_txt.read_text()
    for words in (
        "12 listeners each rated all 4 items in 3 conditions (1 system, a hidden reference and a low anchor)",
        "Of 12 listeners, 0 were dropped by the rule of the EnCodec paper (Défossez et al. 2022, arXiv 2210.13438, "
        "section 4.3): those who rate the hidden reference below 90",
        "each trial with the same weight", "Hesterberg 2015", "Baayen, Davidson and Bates 2008", "Earmark 0.",
    ):  # fmt: skip
        assert words in method
    assert "Holm" not in method  # one system: no pair is corrected
    paper = write_report(panel(), "paper", tmp_path, "paper").method_txt.read_text()
    assert "Student's t over all ratings" in paper
    assert "Means are over all ratings, each with the same weight." in paper  # differences weight listeners alike
    assert "each listener with the same weight, by Wilcoxon's" in paper
    assert "signed-rank test, two-sided, with Holm's correction for 3 pairs of conditions, and" in paper


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (2, "Both are two-sided, and significant below 0.05."),  # one pair: nothing to correct
        (3, "corrected by Holm's method for the 3 pairs of"),
    ],
)
def test_the_method_gives_level_and_correction(tmp_path, count, said):
    assert said in write_report(systems(count, 6), "none", tmp_path).method_txt.read_text()


def test_unknown_intervals(tmp_path):
    with pytest.raises(UserError, match="--intervals t: no such intervals; there are listeners, paper"):
        write_report(panel(), "paper", tmp_path, "t")


@pytest.mark.parametrize(
    ("file", "kept", "listeners"),
    [("ambisonics_webmushra/webmushra_results.csv", 16, 22), ("s4_golisten/mushra.csv", 19, 19)],
)
def test_real_files(shared, tmp_path, file, kept, listeners):
    """By awk, 6 of 22 listeners rate the reference below 90 in 3 or more of 13 trials; GoListen has no reference."""
    report = write_report(read_ratings(shared / "mushra" / file), "paper", tmp_path)
    assert (report.kept, report.listeners) == (kept, listeners)
    assert len(table(report.listeners_csv)) == listeners
    assert any("no condition is the low anchor" in note for note in report.notes)
