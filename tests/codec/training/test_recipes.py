"""Recipes: the paper's settings, inheritance, and one-line errors that name the key."""

from __future__ import annotations

import pytest
import torch

from earmark.codec.encodec.config import PRESETS
from earmark.codec.errors import UserError
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.recipe_files import load, names, table, tables
from earmark.codec.training.trainer import Trainer


@pytest.mark.parametrize("name", ["encodec_24khz", "encodec_48khz"])
def test_the_recipe_trains_the_preset(name):
    assert load(name).model == PRESETS[name]


def test_the_papers_settings():
    """Sections 3.4, 4.1 and 4.4 of arXiv 2210.13438."""
    recipe = load("encodec_24khz")
    weights = recipe.losses
    assert (weights.time, weights.mel, weights.adversarial, weights.features) == (0.1, 1, 3, 3)
    assert (recipe.optimizer.learning_rate, recipe.optimizer.betas) == (3e-4, (0.5, 0.9))
    assert (recipe.data.batch, recipe.data.seconds, recipe.training.total) == (64, 1, 300 * 2000)
    assert (recipe.balancer.reference_norm, recipe.balancer.decay) == (1, 0.999)
    data = recipe.data
    strategies = (data.single_music, data.single_other, data.mix_two, data.mix_three_without_music)
    assert strategies == (0.32, 0.32, 0.24, 0.12)
    assert (data.gain_db, data.reverb, data.rt60) == ((-10, 6), 0.2, (0.3, 1.3))
    assert recipe.discriminators.update_probability == pytest.approx(2 / 3, abs=1e-4)
    fullband = load("encodec_48khz")
    assert (fullband.losses.adversarial, fullband.losses.features) == (4, 4)
    assert fullband.discriminators.update_probability == 0.5


def test_every_recipe_and_every_row_loads():
    for name in names():
        load(name)
    for name in tables():
        for row in table(name).rows:
            assert load(row.recipe).name == row.recipe


def test_rows_of_the_papers_tables():
    """4 discriminators, 3 quantisers, 6 architectures, 14 sets of weights with and without the balancer."""
    assert {name: len(table(name).rows) for name in tables()} == {
        "table2": 4, "table3": 1, "tableA2": 3, "tableA3": 6, "tableA4": 28,
    }  # fmt: skip
    assert {row.label: row.paper["si_snr"] for row in table("table2").rows}["MPD"] == "7.35"
    off = load("tableA4:1_2_100_1_off")
    assert (off.losses.adversarial, off.balancer.enabled, off.quantizer.kind) == (100, False, "diffq")
    assert load("tableA2:soundstream").discriminators.kinds == ("msd", "mono_stft")
    assert load("tableA3:residual_3_no_lstm").model.seanet.residual_layers == 3


def test_a_file_states_only_what_differs(tmp_path):
    (tmp_path / "half.toml").write_text('parent = "tiny"\n[model.seanet]\nfilters = 4\n')
    (tmp_path / "quarter.toml").write_text('parent = "half"\n[model.seanet]\nlstm = 0\n')
    recipe = load(tmp_path / "quarter.toml", ("training.seed=7", "optimizer.schedule=cosine"))
    assert (recipe.model.seanet.filters, recipe.model.seanet.lstm, recipe.model.seanet.dimension) == (4, 0, 32)
    assert (recipe.training.seed, recipe.optimizer.schedule) == (7, "cosine")
    assert recipe.name == "quarter"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("training.epoch=3", "training.epoch is unknown; did you mean training.epochs?"),
        ("nothing.at=1", "nothing is unknown; there are model, quantizer"),
        ("data.batch=2.5", "data.batch must be a whole number, not 2.5"),
        ("data.batch=true", "data.batch must be a whole number, not True"),
        ("data.seconds=long", "data.seconds must be a number, not 'long'"),
        ("optimizer.schedule=linear", "optimizer.schedule must be one of constant, cosine"),
        ("optimizer.betas=[0.5, 1.0]", "optimizer.betas must be two numbers in [0, 1)"),
        ("discriminators.kinds=['stft']", "discriminators.kinds must be one of ms_stft"),
        ("data.single_music=0.5", "data.single_music must be such that"),
        ("data.gain_db=[6, -10]", "data.gain_db must be two ascending numbers"),
        ("model.seanet.filters=0", "model.seanet.filters must be a whole number from 1"),
        ("model.kbps=[6, 3]", "model.kbps must be up to 64 ascending bit rates"),
        ("validation.kbps=[7]", "validation.kbps must be among model.kbps"),
        ("losses.time=-1", "losses.time must be 0 or more"),
        ("data.seconds=0.05", "data.seconds must be 0.0853 or more, for the windows"),  # 2048 samples at 24 kHz
        ("training.seed=100000000000000000000000", "training.seed must be in [0, 2^63)"),
        ("validation.seconds=0.0001", "validation.seconds must be 0.1 or more"),
        ("model.nope=1", "model.nope is unknown; there are name, sample_rate"),
        ("model.entrys=16", "model.entrys is unknown; did you mean model.entries?"),
        ("model.seanet.filter=16", "model.seanet.filter is unknown; did you mean model.seanet.filters?"),
        ("parent=3", "write section.key=value"),
        ("training.seed.low=1", "seed is a value, not a section"),
        ("seed", "write section.key=value"),
    ],
)
def test_mistakes_are_one_line(setting, says):
    with pytest.raises(UserError) as caught:
        load("tiny", (setting,))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_example_fills_the_longest_window_at_48_khz():
    """The windows of discriminators are doubled: 4096 samples are 85.3 ms."""
    load("encodec_48khz", ("data.seconds=0.086",))
    with pytest.raises(UserError, match=r"data\.seconds must be 0\.0853 or more"):
        load("encodec_48khz", ("data.seconds=0.085",))
    load("encodec_48khz", ("data.seconds=0.085", "discriminators.kinds=['msd']"))


@pytest.mark.parametrize(("kinds", "samples"), [("['ms_stft', 'msd', 'mpd']", 2048), ("['mono_stft']", 2816)])
def test_the_shortest_example_can_be_trained_on(kinds, samples):
    """2048: longest window of MS-STFT; 2816: 8 frames of 1024 samples, 256 apart. Updates fail below that."""
    small = ("model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=4", "model.kbps=[0.6]",
             "validation.kbps=[0.6]", "discriminators.filters=2", "discriminators.start=0")  # fmt: skip
    trainer = Trainer(
        load("tiny", (*small, f"discriminators.kinds={kinds}", f"data.seconds={samples / 24000}")),
        ProcessGroup(0, 1, torch.device("cpu")),
    )
    trainer.update(0.1 * torch.randn(2, 1, samples))


def test_invalid_files(tmp_path):
    with pytest.raises(
        UserError,
        match="nowhere: no such recipe; give a TOML file or the name of a recipe; the recipes are",
    ):
        load("nowhere")
    with pytest.raises(UserError, match="table2: a table of recipes; name a row, one of table2:msd_mono_stft"):
        load("table2")
    with pytest.raises(UserError, match="table9: no such table"):
        table("table9")
    (tmp_path / "broken.toml").write_text("[model\n")
    with pytest.raises(UserError, match=r"broken\.toml: not TOML"):
        load(tmp_path / "broken.toml")
    (tmp_path / "c.toml").write_text("parent = 3\n")
    with pytest.raises(UserError, match="parent must be the name of a recipe, not 3"):
        load(tmp_path / "c.toml")
    (tmp_path / "a.toml").write_text('parent = "b"\n')
    (tmp_path / "b.toml").write_text('parent = "a"\n')
    with pytest.raises(UserError, match="is its own ancestor"):
        load(tmp_path / "a.toml")
