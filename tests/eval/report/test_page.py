"""report.html of a small run: its content, its safety, and its players in a browser."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from earmark.codec import audio
from earmark.eval.comparison.run_folder import audio_path
from earmark.eval.report import plots
from earmark.eval.report.choice import Choice, choices, choose, headline_metric, outlying
from earmark.eval.report.cutting import loudest
from earmark.eval.report.excerpts import Excerpt, most_different
from earmark.eval.report.excerpts import cut as cut_chosen
from earmark.eval.report.missing import missing
from earmark.eval.report.page import write_report
from earmark.eval.report.templating import clock
from earmark.eval.statistics.aggregate import summarise
from earmark.eval.tables.columns import describe

RATE = 16_000
SECONDS = 1.5
NASTY = "music/<script>alert(1)</script> & 'co'.wav"
BROKEN = "music/broken.wav"
SYSTEMS = ("reference", "opus@6", "opus@12", "mp3@64", "anchor@3.5k")
QUALITY = dict(zip(SYSTEMS, (4.7, 2.0, 3.5, 4.4, 2.8), strict=True))
RATES = {"opus@6": 6.0, "opus@12": 12.0, "mp3@64": 64.0}
FILES = ("speech/a.wav", "speech/b.wav", NASTY, BROKEN)


def row(file: str, system: str, metric: str, value: float, status: str = "ok", reason: str = "") -> dict[str, Any]:
    rate = RATES.get(system, np.nan)
    return {
        "file": file, "category": file.split("/")[0], "system": system, "metric": metric, "value": value,
        "status": status, "reason": reason, "kbps_nominal": rate, "kbps": np.nan if status == "error" else rate * 1.02,
        "lag": 0, "encode_seconds": 0.01, "decode_seconds": 0.005, "duration": SECONDS,
    }  # fmt: skip


@pytest.fixture
def scores() -> pd.DataFrame:
    rows = []
    for number, file in enumerate(FILES):
        for system, quality in QUALITY.items():
            if file == BROKEN:
                rows += [row(file, system, name, np.nan, "error", "not audio") for name in ("visqol", "si_snr")]
                continue
            rows.append(row(file, system, "visqol", quality - 0.1 * number))
            if system == "reference":
                rows.append(row(file, system, "si_snr", np.nan, "undefined", "the decoded signal equals the reference"))
            else:
                rows.append(row(file, system, "si_snr", 5 * quality + number))
    return pd.DataFrame(rows)


@pytest.fixture
def info() -> dict[str, Any]:
    usable = {"error": None, "sample_rate": RATE, "channels": 1, "seconds": SECONDS}
    recordings = [
        {"file": file, "category": file.split("/")[0], "sha256": "ab" * 32}
        | ({"error": "not audio"} if file == BROKEN else usable)
        for file in FILES
    ]
    return {
        "command": "earmark compare '<folder>' --out RUN", "created": "2026-01-02T03:04:05+00:00", "earmark": "0.1.0",
        "versions": {"numpy": "2.0", "opus@6": "libopus 1.6.1"}, "systems": list(SYSTEMS), "audio_dir": "<folder>",
        "metrics": ["visqol", "si_snr"], "speech_categories": ["speech"], "recordings": recordings,
        "notes": ["a.wav: <b>clipped</b>"], "sample_rate": None, "mono": False, "machine": "Abacus, 2 cores",
    }  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Decoded audio: a tone per system, so that players and spectrograms can be told apart."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    for file in FILES[:3]:
        for number, system in enumerate(SYSTEMS):
            tone = 0.3 * np.sin(2 * np.pi * 200 * (number + 1) * time)
            audio.write(audio_path(tmp_path, system, file), tone[np.newaxis].astype(np.float32), RATE)
    return tmp_path


@pytest.fixture
def page(run: Path, scores: pd.DataFrame, info: dict[str, Any]) -> str:
    return write_report(run, scores, info).read_text(encoding="utf-8")


def test_the_report_is_one_file_that_asks_the_network_for_nothing(page):
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert "http" not in without_namespaces.replace("http-equiv", "")
    assert not re.search(r"<(link|img|audio|iframe)[^>]*(src|href)=(?!\"data:)", page)
    assert not re.search(r"^import ", page, flags=re.MULTILINE)
    assert "default-src 'none'" in page


def test_names_are_text_not_markup(page):
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#39;co&#39;.wav" in page
    assert "&lt;b&gt;clipped&lt;/b&gt;" in page
    assert "&#39;&lt;folder&gt;&#39; --out RUN" in page


def test_times_name_the_machine_that_took_them(page):
    speed = page[page.index('id="speed"') : page.index('id="metrics"')]
    assert "in parallel with its other work. Abacus, 2 cores." in speed
    assert "by Earmark 0.1.0 on Abacus, 2 cores." in page


def test_no_two_elements_share_an_id(page):
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_the_table_shows_mean_interval_and_n(page):
    """SI-SNR of opus@6 in speech is 10 and 11: mean 10.5, s = 0.7071, t(0.975, 1) = 12.7062, half width 6.3531."""
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert re.search(r"opus@6 6 6\.12 \S+ ± \S+ \(2\) 10\.50 ± – \(2\)", text)
    assert "ViSQOL over all files mixes two scales: speech mode (speech) and audio mode (music)" in text


def test_the_page_opens_with_what_came_out(page):
    text = " ".join(re.sub(r"<[^>]+>", " ", page[page.index("<h1>") : page.index("<nav")]).split())
    assert text.startswith("opus, mp3 on 3 recordings Best system by ViSQOL (MOS-LQO) up to each bit rate:")
    assert "speech: opus@6 (1.95) up to 6.1 kbps; opus@12 (3.45) up to 12.2 kbps, 1.50 ahead of opus@6; mp3@64" in text
    assert "Too few files for significance." in text
    assert "all files" not in text  # ViSQOL has different scales for speech and music


def test_pairs_of_systems_and_worst_recordings_are_listed(page):
    """opus@12 is 1.5 above opus@6 on both speech recordings; ViSQOL has another scale for music."""
    section = page[page.index('<section id="differences">') : page.index('<section id="worst">')]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in section.splitlines() if "<td>" in line]
    result = {tuple(cells[:3]): cells for cells in reversed(rows)}  # ViSQOL comes first
    assert result["speech", "opus@6", "opus@12"][3:5] == ["2", "−1.50"]
    assert "falls farthest behind" not in section
    assert "anchor" not in page[page.index('<section id="worst">') : page.index('<section id="speed">')]


def test_what_failed_comes_first_with_its_reason(page):
    listed = page[page.index('id="missing"') :]
    order = ("Failed recordings", BROKEN, "not audio", "Undefined scores", "equals the reference")
    positions = [listed.index(text) for text in order]
    assert positions == sorted(positions)
    assert "1 recording could not be used." in page


def test_missing_scores_are_grouped_by_reason(scores, info):
    lacking = missing(scores, info)
    assert lacking.recordings == ((BROKEN, "not audio"),)
    assert lacking.failed == ()
    (group,) = lacking.undefined
    assert (group.metrics, group.systems, group.cells) == (("si_snr",), ("reference",), 3)
    assert group.files == FILES[:3]


def test_long_lists_of_files_are_cut_short(info):
    rows = [row(f"speech/{index}", "opus@6", "pesq", np.nan, "error", "no C compiler") for index in range(15)]
    (group,) = missing(pd.DataFrame(rows), info).failed
    assert (len(group.files), group.more, group.cells) == (12, 3, 15)


def cut(run: Path, scores: pd.DataFrame, **settings: Any) -> list[Excerpt]:
    """The excerpts of a report, by its headline metric."""
    metric = headline_metric(scores)
    return cut_chosen(run, scores, choices(scores, metric), metric, **settings)


def test_excerpts_are_the_decoded_samples_with_the_source_first(run, scores):
    excerpt = next(excerpt for excerpt in cut(run, scores) if excerpt.choice.file == "speech/a.wav")
    assert [clip.system for clip in excerpt.clips] == ["source", *SYSTEMS[1:]]
    assert [clip.score for clip in excerpt.clips] == ["", "2.00", "3.50", "4.40", "2.80"]
    for clip, system in zip(excerpt.clips, SYSTEMS, strict=True):
        heard, rate = soundfile.read(io.BytesIO(clip.flac))
        stored = audio.read(audio_path(run, system, "speech/a.wav")).samples[0]
        assert rate == RATE
        np.testing.assert_allclose(heard, stored * 10 ** (clip.gain / 20), rtol=0, atol=0.51 / 2**15)


def test_a_score_in_a_player_has_the_decimals_of_its_metric(run, scores):
    stoi = scores.assign(metric="stoi", value=scores["value"] / 10)[scores["metric"] == "visqol"]
    excerpt = next(excerpt for excerpt in cut(run, stoi) if excerpt.choice.file == "speech/a.wav")
    assert [clip.score for clip in excerpt.clips] == ["", "0.200", "0.350", "0.440", "0.280"]


def test_all_versions_are_equally_loud(run, scores):
    """A copy of the source at half its amplitude, -6.02 dB, gets 6.02 dB more gain."""
    source = audio.read(audio_path(run, "reference", "speech/a.wav")).samples
    audio.write(audio_path(run, "opus@6", "speech/a.wav"), 0.5 * source, RATE)
    excerpt = next(excerpt for excerpt in cut(run, scores) if excerpt.choice.file == "speech/a.wav")
    assert excerpt.clips[1].gain - excerpt.clips[0].gain == pytest.approx(6.02, abs=0.01)
    first, second = (soundfile.read(io.BytesIO(clip.flac))[0] for clip in excerpt.clips[:2])
    np.testing.assert_allclose(second, first, rtol=0, atol=1.01 / 2**15)


def test_samples_beyond_full_scale_are_turned_down_not_clipped(run, scores):
    """A click of 1.5 in a soft tone would clip at the target loudness, so all versions are lowered to -1 dBFS."""
    click = 0.001 * audio.read(audio_path(run, "reference", "speech/a.wav")).samples
    click[0, 5000] = 1.5
    audio.write(audio_path(run, "opus@6", "speech/a.wav"), click, RATE)
    excerpt = next(excerpt for excerpt in cut(run, scores) if excerpt.choice.file == "speech/a.wav")
    heard, _ = soundfile.read(io.BytesIO(excerpt.clips[1].flac))
    assert heard.max() == pytest.approx(10 ** (-1 / 20), abs=0.001)


def test_a_system_without_audio_is_left_out_of_the_player(run, scores):
    audio_path(run, "opus@12", "speech/a.wav").unlink()
    excerpt = next(excerpt for excerpt in cut(run, scores) if excerpt.choice.file == "speech/a.wav")
    assert "opus@12" not in [clip.system for clip in excerpt.clips]


def test_excerpts_keep_to_their_budget(run, scores):
    sizes = [excerpt.size for excerpt in cut(run, scores)]
    assert len(sizes) == 3
    fitting = cut(run, scores, budget=sum(sizes) - 1)
    assert len(fitting) == 2
    assert cut(run, scores, budget=0) == []


def test_recordings_are_chosen_from_both_ends_and_the_middle():
    values = {"e": 5.0, "c": 3.0, "a": 1.0, "d": 4.0, "b": 2.0}
    rows = [row(f"speech/{name}", "opus@6", "visqol", value) for name, value in values.items()]
    chosen = choose(pd.DataFrame(rows), "visqol")
    assert [(choice.file, choice.rank) for choice in chosen] == [
        ("speech/a", "worst"), ("speech/e", "best"), ("speech/c", "middle"),
    ]  # fmt: skip


def test_where_less_is_better_the_highest_score_is_the_worst():
    rows = [
        row(f"speech/{name}", "opus@6", "mel_distance", value) for name, value in zip("abc", (9, 1, 5), strict=True)
    ]
    chosen = {choice.rank: choice.file for choice in choose(pd.DataFrame(rows), "mel_distance")}
    assert chosen == {"worst": "speech/a", "best": "speech/b", "middle": "speech/c"}


def test_every_category_is_played_before_any_is_played_twice():
    rows = [row(f"{category}/{index}", "opus@6", "visqol", index) for category in "abcd" for index in range(5)]
    chosen = choose(pd.DataFrame(rows), "visqol")
    assert len(chosen) == 9
    assert [choice.category for choice in chosen[:4]] == ["a", "b", "c", "d"]


def test_the_worst_recording_of_each_codec_is_played_once_with_all_codecs_that_fail_on_it():
    """Medians are 3: opus@6 falls 2 below on "a", mp3@64 1.5 below on "a" too, opus@12 1 below on "b"."""
    values = {"opus@6": (1.0, 3.0, 4.0), "mp3@64": (1.5, 3.0, 4.0), "opus@12": (3.0, 2.0, 4.0)}
    rows = [
        row(f"speech/{name}", system, "visqol", value)
        for system, each in values.items()
        for name, value in zip("abc", each, strict=True)
    ]
    result = outlying(pd.DataFrame(rows), "visqol")
    assert [(choice.file, choice.behind, choice.best) for choice in result] == [
        ("speech/a", ("opus@6", "mp3@64"), "opus@12"), ("speech/b", ("opus@12",), "opus@6"),
    ]  # fmt: skip
    assert [system for system in values if result[1].plays(system)] == ["opus@6", "opus@12"]
    assert outlying(pd.DataFrame([row("speech/a", "opus@6", "visqol", 1.0)]), "visqol") == []  # it is its own median


def test_a_recording_chosen_twice_occurs_once_with_both_reasons():
    """Means 1, 3, 4: "a" is the worst of the category, and opus@6 falls farthest behind its median there."""
    rows = [row(f"speech/{name}", "opus@6", "visqol", value) for name, value in zip("abc", (1, 3, 4), strict=True)]
    result = [(choice.file, choice.rank, choice.behind) for choice in choices(pd.DataFrame(rows), "visqol")]
    assert result == [
        ("speech/a", "worst", ("opus@6",)), ("speech/c", "best", ()), ("speech/b", "middle", ()),
    ]  # fmt: skip
    assert choices(pd.DataFrame(rows), "visqol")[0].plays("mp3@64")


def test_a_metric_without_any_score_chooses_nothing():
    rows = [
        row("speech/a", "opus@6", "pesq", np.nan, "error", "needs a C compiler"),
        row("speech/a", "opus@6", "si_snr", 3.0),
    ]
    assert headline_metric(pd.DataFrame(rows)) == "si_snr"
    assert [choice.file for choice in choose(pd.DataFrame(rows), "si_snr")] == ["speech/a"]
    assert headline_metric(pd.DataFrame(rows[:1])) is None
    assert choices(pd.DataFrame(rows[:1]), None) == []


def test_recordings_are_chosen_by_the_metric_of_the_headline_or_by_another(run, scores, info):
    """By ViSQOL the first recording is the best, by SI-SNR the last."""
    shown = {}
    for name in (None, "si_snr", "pesq"):  # the run has no PESQ
        text = write_report(run, scores, info, listen_by=name).read_text(encoding="utf-8")
        shown[name] = (
            re.findall(r"chosen by ([\w-]+)\.", text),
            re.findall(r"speech/(.)\.wav</h3>\s*<p>.*?(worst|best)", text),
        )
    assert shown[None] == (["ViSQOL"], [("b", "worst"), ("a", "best")])
    assert shown["si_snr"] == (["SI-SNR"], [("a", "worst"), ("b", "best")])
    assert shown["pesq"] == shown[None]


def test_rows_of_worst_recordings_link_to_players_or_to_the_files(run, scores, info):
    """On "b" opus@6 is 0.05 below its median; the report plays it, as version 1 after the source."""
    text = write_report(run, scores, info).read_text(encoding="utf-8")
    listed = text[text.index('<section id="worst">') : text.index('<section id="speed">')]
    target, version = re.search(
        r"opus@6</th>.*?speech/b\.wav</td>.*?href=\"#([\w-]+)\" data-version=\"(\d)\"", listed
    ).groups()
    card = text[text.index(f'<article id="{target}"') :]
    assert "<h3>speech/b.wav</h3>" in card[: card.index("</header>")]
    assert re.search(rf'value="{version}"[^>]*><span><kbd>\d</kbd> opus@6 ', card)
    audio_path(run, "reference", "speech/b.wav").unlink()  # no player without its source
    text = write_report(run, scores, info).read_text(encoding="utf-8")
    assert '<a href="audio/opus%406/speech/b.wav">decoded</a> <a href="audio/reference/speech/b.wav">source</a>' in text


def test_an_excerpt_of_a_worst_recording_is_where_it_differs_most(tmp_path):
    """Ten seconds of noise, of which the codec silences the eighth; the first second is the loudest."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 10 * RATE)).astype(np.float32)
    noise[:, :RATE] *= 3
    broken = noise.copy()
    broken[:, 7 * RATE : 8 * RATE] = 0
    audio.write(audio_path(tmp_path, "opus@6", "a.wav"), broken, RATE)
    start = most_different(tmp_path, "opus@6")(Choice("a.wav", "speech", ""), noise, RATE, 2 * RATE)
    assert 5.9 * RATE <= start <= 7.1 * RATE
    assert loudest(noise, 2 * RATE) < RATE


def test_the_excerpt_is_where_the_source_is_loud():
    source = np.zeros((2, 8000), np.float32)
    source[1, 5000:6000] = 0.5
    assert 4400 <= loudest(source, 1600) <= 5000
    assert loudest(source, 8000) == 0


def test_times_are_read_as_on_a_clock():
    assert [clock(seconds) for seconds in (0, 7.54, 59.96, 3723)] == ["0:00.0", "0:07.5", "1:00.0", "1:02:03"]


def test_a_run_in_which_everything_failed_still_has_a_report(tmp_path, scores, info):
    failed = scores[scores["file"] == BROKEN]
    info["recordings"] = info["recordings"][-1:]
    text = write_report(tmp_path, failed, info).read_text(encoding="utf-8")
    assert "not audio" in text
    assert 'class="player"' not in text
    assert 'id="curves"' not in text


def test_a_run_without_its_audio_has_a_report_without_players(tmp_path, scores, info):
    text = write_report(tmp_path, scores, info).read_text(encoding="utf-8")
    assert 'class="player"' not in text
    assert 'id="curves"' in text


def test_a_player_that_cannot_be_cut_is_listed_under_what_is_missing(run, scores, info):
    audio_path(run, "opus@6", "speech/b.wav").write_bytes(b"no audio")
    text = write_report(run, scores, info).read_text(encoding="utf-8")
    listed = text[text.index('<section id="missing">') :]
    assert "<h2>Missing scores and players</h2>" in listed
    failed = listed[listed.index("<h3>Failed players</h3>") : listed.index("</section>")]
    assert re.search(r"<li><strong>speech/b\.wav</strong><br>LibsndfileError: [^<]*opus@6", failed)
    assert failed.count("<li>") == 1
    assert "<dt>players failed</dt><dd>1</dd>" in text


def test_linked_audio_lies_beside_the_page_and_goes_with_it(run, scores, info):
    inside = write_report(run, scores, info).stat().st_size
    text = write_report(run, scores, info, linked=True).read_text(encoding="utf-8")
    links = re.findall(r'<audio[^>]* src="([^"]+)"', text)
    assert len(links) == 3 * 5
    assert {run / link for link in links} == set((run / "excerpts").iterdir())
    assert len(text) < inside
    assert 'class="clip"' not in text
    write_report(run, scores, info)
    assert not (run / "excerpts").exists()


def test_the_report_replaces_an_older_one_and_leaves_nothing_beside_it(run, scores, info):
    before = {path.name for path in run.iterdir()}
    for _ in range(2):
        write_report(run, scores, info)
    assert {path.name for path in run.iterdir()} == before | {"report.html"}


@pytest.mark.parametrize(
    ("system", "series"), [("opus@6", "opus"), ("encodec_24khz@3:lm", "encodec_24khz:lm"), ("lyra", "lyra")]
)
def test_a_line_joins_the_rates_of_one_codec_with_one_set_of_options(system, series):
    assert plots.series_name(system) == series


def test_a_codec_looks_the_same_in_every_plot_and_unlike_the_others():
    systems = [f"codec{index}@{rate}" for index in range(12) for rate in (6, 12)]
    looks = plots.styles(systems)
    assert len(looks) == 12
    assert len(set(looks.values())) == 12


def test_a_plot_joins_rates_and_draws_yardsticks_across(scores):
    summary = summarise(scores)
    looks = plots.styles(["opus@6", "mp3@64"])
    shared = plots.limits(summary, "visqol")
    assert shared is not None
    svg = plots.rate_plot(summary, describe("visqol"), "speech", looks, shared)
    assert svg.startswith("<svg")
    for text in ("opus", "mp3", "anchor@3.5k", "reference", "measured bit rate (kbps)", "ViSQOL (MOS-LQO) ↑"):
        assert f">{text}</text>" in svg
    assert "var(--series-0, #0072b2)" in svg


def test_axes_hold_every_mean_and_are_not_stretched_by_a_huge_interval(scores):
    """Means from 1.75 to 4.65; the interval of two files, 12.7 s / sqrt(2), must not set the scale."""
    wild = scores.copy()
    wild.loc[(wild["file"] == "speech/a.wav") & (wild["metric"] == "visqol"), "value"] += 2.0
    shared = plots.limits(summarise(wild), "visqol")
    means = summarise(wild).query("metric == 'visqol'")["mean"]
    assert shared is not None
    assert shared.score[0] < means.min()
    assert shared.score[1] > means.max()
    assert shared.score[1] - shared.score[0] < 2 * (means.max() - means.min())
    assert shared.kbps[0] < 6 < 64 < shared.kbps[1]


@pytest.mark.parametrize("name", ["$x$", "a_b", r"\frac", "<b>&"])
def test_plots_take_any_category_name(scores, name):
    renamed = scores.replace({"category": {"speech": name}})
    summary = summarise(renamed)
    shared = plots.limits(summary, "visqol")
    assert shared is not None
    assert plots.rate_plot(summary, describe("visqol"), name, plots.styles(QUALITY), shared).endswith("</svg>\n")


@pytest.mark.browser
def test_players_play_and_switch_in_a_browser_without_an_error(browser, run, page):
    """The versions are tones of 200, 400, 600, 800 and 1000 Hz, so the pitch shows which one plays."""
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    browser.get((run / "report.html").as_uri())

    def until(condition: Callable[[], bool]) -> None:
        WebDriverWait(browser, 20, poll_frequency=0.05).until(lambda _: condition())

    def until_heard(frequency: float) -> None:
        until(lambda: abs(browser.execute_script("return heard()") - frequency) < 10)

    def until_state(card: Any, state: str) -> None:
        until(lambda: card.get_attribute("data-state") == state)

    first, second = browser.find_elements("css selector", ".player")[:2]
    choices = first.find_elements("css selector", "input")
    assert len(choices) == 5  # the source and every system but the reference

    first.find_element("css selector", ".play").click()
    until_state(first, "playing")
    until_heard(200)
    bar = first.find_element("css selector", "progress")
    until(lambda: float(bar.get_attribute("value")) > 0.02)

    def seen() -> list[str]:
        pictures = first.find_elements("css selector", ".triptych img")
        return [picture.get_attribute("alt") for picture in pictures if picture.is_displayed()]

    assert seen()[1:] == ["Spectrogram of opus@6", "Difference of opus@6 from the source"]
    choices[2].find_element("xpath", "..").click()  # its label, as a mouse does
    until_heard(600)
    assert seen()[1:] == ["Spectrogram of opus@12", "Difference of opus@12 from the source"]
    choices[2].send_keys(Keys.ARROW_RIGHT)
    assert choices[3].is_selected()
    until_heard(800)
    choices[3].send_keys("4")
    assert choices[4].is_selected()
    until_heard(1000)
    choices[4].send_keys("0")
    until_heard(200)

    second.find_element("css selector", ".play").click()
    until_state(second, "playing")
    until_state(first, "paused")
    second.find_element("css selector", "input").send_keys(Keys.SPACE)
    until_state(second, "paused")
    until_heard(0)

    link = browser.find_element("css selector", "#worst a[data-version]")
    browser.execute_script("arguments[0].closest('details').open = true", link)
    link.click()
    card = browser.find_element("css selector", link.get_attribute("href").rpartition("#")[2].join(("#", "")))
    chosen = card.find_elements("css selector", "input")[int(link.get_attribute("data-version"))]
    assert chosen.is_selected()

    third = browser.find_elements("css selector", ".player")[2]
    browser.execute_script("arguments[0].querySelector('.clip').textContent = btoa('not audio')", third)
    third.find_element("css selector", ".play").click()
    until_state(third, "failed")
    assert "cannot play FLAC" in third.find_element("css selector", ".message").text
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []


@pytest.mark.browser
def test_linked_audio_plays_from_the_disk_one_at_a_time_without_an_error(browser, run, scores, info):
    from selenium.webdriver.support.wait import WebDriverWait

    browser.get(write_report(run, scores, info, linked=True).as_uri())
    first, second = browser.find_elements("css selector", ".linked audio")[:2]

    def until_plays(audio: Any) -> None:
        script = "return !arguments[0].paused && arguments[0].currentTime > 0"
        WebDriverWait(browser, 20, poll_frequency=0.05).until(lambda _: browser.execute_script(script, audio))

    browser.find_element("css selector", "h1").click()  # browsers play no sound before a user action
    for audio_element in (first, second):
        browser.execute_script("arguments[0].play()", audio_element)
        until_plays(audio_element)
    assert browser.execute_script("return arguments[0].paused", first)
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []


@pytest.mark.browser
def test_tables_sort_by_the_column_that_is_clicked_without_an_error(browser, run, page):
    """Measured ViSQOL of "speech": reference 4.65, mp3 4.35, opus@12 3.45, anchor 2.75, opus@6 1.95."""
    browser.get((run / "report.html").as_uri())

    def order() -> list[str]:
        rows = browser.find_elements("css selector", "table.scores tbody:first-of-type tr:not(.category) th")
        return [row.text for row in rows]

    assert order() == list(SYSTEMS)
    button = browser.find_elements("css selector", "table.scores thead button")[3]
    button.click()
    assert order() == ["reference", "mp3@64", "opus@12", "anchor@3.5k", "opus@6"]
    button.click()
    assert order() == ["opus@6", "anchor@3.5k", "opus@12", "mp3@64", "reference"]
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.browser
def test_fifty_recordings_in_eight_systems_open_without_an_error_and_stay_below_30_mb(browser, tmp_path, info):
    """All versions are noise, which FLAC cannot compress: players become fewer and shorter."""
    files = [f"{category}/{number}.wav" for category in ("speech", "music", "sounds") for number in range(17)][:50]
    rates = {f"{codec}@{kbps}": float(kbps) for codec in ("opus", "mp3") for kbps in (16, 32, 64, 96)}
    rng = np.random.default_rng(0)
    for system in ("reference", *rates):
        noise = tmp_path / "noise" / f"{system}.wav"
        audio.write(noise, rng.uniform(-0.5, 0.5, (1, 8 * 24000)).astype(np.float32), 24000)
        for file in files:
            path = audio_path(tmp_path, system, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(noise)
    cells = [(file, system, metric) for file in files for system in rates for metric in ("visqol", "si_snr")]
    scores = pd.DataFrame([row(*cell, value) for cell, value in zip(cells, rng.normal(3, 1, len(cells)), strict=True)])
    scores["kbps"] = scores["kbps_nominal"] = scores["system"].map(rates)
    usable = {"sha256": "ab" * 32, "error": None, "sample_rate": 24000, "channels": 1, "seconds": 8.0}
    recordings = [{"file": file, "category": file.partition("/")[0], **usable} for file in files]
    report = write_report(tmp_path, scores, info | {"systems": list(rates), "recordings": recordings})
    assert 15e6 < report.stat().st_size < 30e6
    browser.get(report.as_uri())
    assert len(browser.find_elements("css selector", ".player")) >= 3  # one of each category at least
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []


@pytest.mark.browser
def test_what_is_folded_is_printed_and_folded_again(browser, run, page):
    """The PDF of the page as opened equals that of the page with everything unfolded by hand, apart from dates."""
    browser.get((run / "report.html").as_uri())
    folded = "return document.querySelectorAll('details:not([open])').length"
    before = browser.execute_script(folded)
    assert before > 0

    def printed() -> int:
        return len(base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {})["data"]))

    result = printed()
    assert browser.execute_script(folded) == before
    browser.execute_script("document.querySelectorAll('details').forEach((details) => (details.open = true))")
    assert abs(result - printed()) < 100
    assert browser.execute_script(folded) == 0
