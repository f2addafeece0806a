"""What listeners read in their language: gettext catalogues, one for each language but English.

In templates {{ _("Next") }}, with values {{ _("Trial %(number)s of %(count)s", number=3, count=12) }}, and where a
count decides {{ ngettext("%(num)s trial", "%(num)s trials", count) }}. In Python gettext(...), or marked(...) where the
message is made and gettext(...) where it is shown. tests/mushra_app/test_languages.py finds what a catalogue lacks.
"""

from __future__ import annotations

import gettext as standard
from collections.abc import Mapping
from functools import cache
from io import BytesIO
from pathlib import Path

import polib
from flask import Flask, request

from earmark.mushra_app.study.session_file import LANGUAGES
from earmark.mushra_app.web.served import served

CATALOGUES = Path(__file__).parent / "translations"
# What <html lang> says: BCP 47, with the script where the language has two.
TAGS: Mapping[str, str] = {"zh": "zh-Hans"}


def translate(app: Flask) -> None:
    """Let the app's templates speak the listener's language."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    app.context_processor(lambda: {"language": TAGS.get(language(), language())})


def language() -> str:
    """The study's; where it has none, the one that the browser likes best; English for the experimenter."""
    if request.blueprint == "admin":
        return "en"
    return served().study.texts.language or request.accept_languages.best_match(LANGUAGES, "en")


def gettext(message: str) -> str:
    """The message in the language of this request."""
    return catalogue(language()).gettext(message)


def ngettext(one: str, several: str, count: int) -> str:
    """The message for that count."""
    return catalogue(language()).ngettext(one, several, count)


@cache
def catalogue(language: str) -> standard.NullTranslations:
    """The catalogue of a language, compiled in memory: a .po file is all there is to keep."""
    if language == "en":
        return standard.NullTranslations()
    source = polib.pofile(str(CATALOGUES / language / "LC_MESSAGES" / "messages.po"))
    return standard.GNUTranslations(BytesIO(source.to_binary()))
