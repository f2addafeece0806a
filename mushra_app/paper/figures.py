"""Figures 1, 2 and 3 of the paper as files."""

from __future__ import annotations

from pathlib import Path

from earmark.codec.files import write_text, written_whole
from earmark.mushra_app.paper import listening
from earmark.mushra_app.paper.items import Item
from earmark.mushra_app.paper.making import Job, Made, compared

NAME = "figure"


def make_drawing(item: Item, out: Path) -> Made:
    """Draw Figure 1 or 2 from the modules of the paper's model."""
    from earmark.codec.diagrams.models import diagram

    path = out / f"{NAME}.svg"
    write_text(path, diagram("encodec_24khz", "model" if item.name == "figure1" else "discriminators"))
    return Made(item, f"{path}\n")


def make_plot(item: Item, out: Path, home: Path, job: Job) -> Made:
    """Draw Figure 3: listeners' scores against measured bit rates, beside the paper's points.

    Args:
        out: folder of the figure.
        home: folder of Table 1, which has the run and the listening test.
    """
    from earmark.mushra_app.report import bandwidth_plot, intervals, plot_style

    made = Made(item)
    heard = compared(item, home, job, made)
    if heard is None:
        made.text = "not drawn: it needs listeners\n"
        return made
    summary = heard.summary[heard.summary["role"].isin(["system", "hidden reference", "low anchor"])]
    remark = listening.SIMULATED if heard.is_simulated else ""
    figure = bandwidth_plot.plot(summary, heard.rates, intervals.find("paper"), job.published, remark)
    write_text(out / f"{NAME}.svg", plot_style.svg(figure))
    for suffix, render in ((".pdf", plot_style.pdf), (".png", plot_style.png)):
        with written_whole(out / f"{NAME}{suffix}") as aside:
            aside.write_bytes(render(figure))
    made.text = f"{out / f'{NAME}.svg'}\n"
    return made
