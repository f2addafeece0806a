"""The command tree of the top level: where each command is defined, and its line in `earmark --help`.

The lines stand here, and not with the commands, so that the help imports none of their modules.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A command.

    Args:
        module: module of `earmark` that defines it.
        attribute: its name there.
        arguments: what to write behind the name, as far as the list shows it.
        line: what it does.
    """

    module: str
    attribute: str
    arguments: str
    line: str


SECTIONS: dict[str, dict[str, Entry]] = {
    "Judge": {
        "compare": Entry("eval.compare_cli", "compare", "AUDIO -s SYSTEMS -o RUN", "Code and score audio"),
        "score": Entry("eval.score_cli", "score", "REFERENCE DECODED", "Score decoded audio against its reference"),
        "probe": Entry("eval.probe.cli", "probe", "SYSTEM", "Measure one codec with test signals"),
        "bench": Entry("eval.speed.cli", "bench", "-s SYSTEMS", "Time codecs: speed, latency, memory"),
        "level": Entry("eval.level_cli", "level", "FILE...", "Measure speech level (ITU-T P.56)"),
    },
    "Read a run": {
        "tables": Entry("eval.tables_cli", "tables", "RUN", "Print mean scores"),
        "differences": Entry("eval.tables_cli", "differences", "RUN", "Test which codecs differ"),
        "worst": Entry("eval.worst_cli", "worst", "RUN", "List the worst recordings of a codec"),
        "run": Entry("eval.run.cli", "run_group", "COMMAND", "Show, change, join or clean runs"),
    },
    "Listen": {
        "study": Entry("mushra_app.cli", "study_group", "COMMAND", "Make, serve and report a listening test"),
    },
    "Code": {
        "encode": Entry("codec.commands.encode_cli", "encode", "IN OUT", "Code audio to an .ecdc file"),
        "decode": Entry("codec.commands.decode_cli", "decode", "IN OUT", "Decode an .ecdc file to audio"),
        "inspect": Entry("codec.commands.inspect_cli", "inspect", "FILE", "Show what an .ecdc file holds"),
    },
    "Train": {
        "data": Entry("codec.training.data_cli", "data", "COMMAND", "Prepare recordings to train on"),
        "train": Entry("eval.training_cli", "train", "RECIPE -o DIR", "Train a codec"),
        "train-lm": Entry(
            "codec.training.language_model_cli", "train_lm", "CODEC -o DIR", "Train a language model for codes"
        ),
        "sweep": Entry("eval.sweep.cli", "sweep", "GRID -o DIR", "Train over a grid of settings"),
        "reproduce": Entry("mushra_app.paper.cli", "reproduce", "ITEM -o DIR", "Make a table or figure of the paper"),
        "export": Entry("codec.export_cli", "export", "MODEL -o PATH", "Write a codec for other programs"),
    },
    "Set up": {
        "systems": Entry("baselines.cli", "systems", "[NAME]", "List codecs; NAME explains one"),
        "metrics": Entry("eval.metrics_cli", "metrics", "[NAME]", "List metrics; NAME explains one"),
        "download": Entry("baselines.download_cli", "download", "[NAME]...", "Fetch weights; no NAME lists them"),
        "doctor": Entry("doctor", "doctor", "", "Check what is installed and what is missing"),
        "completion": Entry("completion", "completion", "SHELL", "Print the shell completion script"),
        "help": Entry("cli", "help_command", "[COMMAND]", "Show help for a command"),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
HIDDEN = {"demo-audio": Entry("eval.demo_cli", "demo_audio", "FOLDER", "Write a small synthetic set of recordings")}
NESTED = {"data": {"demo": HIDDEN["demo-audio"]}}  # commands that a group has from a package above its own
ALIASES = {"mushra": "study"}  # former names, which work and are not listed

PATH = (
    "earmark compare clips/ -s opus@6,opus@12 -o run/",
    "earmark differences run/",
    "earmark study build run/ -o study/",
    "earmark study serve study/",
    "earmark study report study/",
)
