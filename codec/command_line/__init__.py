"""How every command of Earmark reads its options and shows its help."""

from earmark.codec.command_line import shared
from earmark.codec.command_line.command import Command, Group, command, group
from earmark.codec.command_line.option import Option, option
from earmark.codec.command_line.output import out_file, show
from earmark.codec.command_line.preview import show_preview
from earmark.codec.command_line.types import Choice, SampleRate

__all__ = [
    "Choice",
    "Command",
    "Group",
    "Option",
    "SampleRate",
    "command",
    "group",
    "option",
    "out_file",
    "shared",
    "show",
    "show_preview",
]
