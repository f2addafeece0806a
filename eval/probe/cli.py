"""`earmark probe`."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from earmark.baselines.interface import System
from earmark.codec.command_line import command, option, out_file, shared, show
from earmark.codec.command_line.types import SampleRate
from earmark.codec.errors import UserError
from earmark.codec.files import require_new
from earmark.eval.system_options import ENVIRONMENT, SystemList, chosen_systems, own_codecs, timeout

LOWEST, WIDEST = 60, 120  # columns of the page


@command(
    short_help="Measure one codec with test signals",
    examples=[
        "earmark probe opus@12",
        "earmark probe --codec 'my=enc {input} {bitstream} && dec {bitstream} {output}'",
        "earmark probe mp3@64 --rate 16k --format json -o mp3.json",
    ],
    environment=ENVIRONMENT,
    exit_status={1: "finished, and the codec has a fault"},
)
@click.argument("system", type=SystemList(), required=False, metavar="SYSTEM")
@own_codecs
@timeout
@option(
    "--rate", "sample_rate", type=SampleRate(4000, 384000), metavar="HZ",
    show_default="the highest that it accepts, up to 48k", help="Sample rate of the test signals, e.g. 16k.",
)  # fmt: skip
@shared.printed_format("text", "markdown", "csv", "json")
@out_file
@shared.force
@shared.quiet
def probe(
    system: list[System] | None, commands: list[System], timeout: float | None, sample_rate: int | None, output: str,
    out: Path | None, force: bool,
) -> int:  # fmt: skip
    """Measure a codec with sweeps, clicks, noise, synthetic speech and silence: what it changes, and what to mend.

    Run it first on a codec of your own. SYSTEM may be left out if --codec names the codec.
    """
    from earmark.eval.comparison.availability import refuse, unavailable_systems
    from earmark.eval.probe import session
    from earmark.eval.probe.findings import findings
    from earmark.eval.probe.page import grid, text_page
    from earmark.eval.tables.grid import RENDERERS

    if not system and not commands:
        raise UserError("probe: name one system, e.g. `earmark probe opus@12`; `earmark systems` lists them")
    chosen = chosen_systems(system, () if system else commands, timeout)
    if len(chosen) > 1:
        raise UserError(f"probe: one system at a time; write `earmark probe {chosen[0].text}`")
    if out is not None:
        require_new(out, force)
    refuse(unavailable_systems(chosen), rest=False)
    done = session.run(chosen[0], sample_rate)
    found = findings(done)
    if output == "text":
        width = min(WIDEST, max(LOWEST, shutil.get_terminal_size().columns))
        show(text_page(done, found, width), out)
    else:
        show(RENDERERS[output](grid(done, found, values=output == "json")), out)
    return 1 if any(one.verdict == "fault" for one in found) else 0
