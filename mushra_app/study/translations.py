"""The languages of the listeners' pages, and whether a native speaker has reviewed their texts.

The header of a catalogue says "X-Translation: machine" until a native speaker sets it to "reviewed".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polib

from earmark import mushra_app

CATALOGUES = Path(mushra_app.__file__).parent / "web" / "translations"
# The languages to choose from, by their names in English.
NAMES: Mapping[str, str] = {
    "en": "English", "de": "German", "fr": "French", "es": "Spanish", "zh": "Chinese", "ja": "Japanese", "ko": "Korean",
    "pt": "Portuguese", "it": "Italian", "pl": "Polish", "ar": "Arabic",
}  # fmt: skip
LANGUAGES = tuple(NAMES)


def catalogue_file(language: str) -> Path:
    """Path of the catalogue of a language other than English."""
    return CATALOGUES / language / "LC_MESSAGES" / "messages.po"


def is_reviewed(language: str) -> bool:
    """Whether a native speaker has reviewed the texts."""
    if language == "en":
        return True
    return polib.pofile(str(catalogue_file(language))).metadata.get("X-Translation") == "reviewed"


def review_note(language: str) -> str:
    """A note for the experimenter on texts that nobody has reviewed; "" if there are none.

    Args:
        language: of the study; "" if the listener's browser decides.
    """
    unreviewed = [NAMES[one] for one in LANGUAGES if (not language or one == language) and not is_reviewed(one)]
    if not unreviewed:
        return ""
    if language:
        return (
            f"{unreviewed[0]}: a machine translated the texts that listeners read, and no native speaker has reviewed "
            "them; read the pages before you invite anybody"
        )
    return (
        "listeners read the pages in the language of their browser; a machine translated "
        f"{', '.join(unreviewed[:-1])} and {unreviewed[-1]}, and no native speaker has reviewed them: "
        'language = "en" in session.toml shows English to everybody'
    )
