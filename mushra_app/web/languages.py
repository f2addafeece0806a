"""Translation of the listener's pages by gettext catalogues, one per language besides English.

In templates, write {{ _("Next") }}, or {{ _("Trial %(number)s of %(count)s", number=3, count=12) }} with values, or
{{ ngettext("%(num)s trial", "%(num)s trials", count) }} if the wording depends on a count. In Python, write
gettext(...), or marked(...) where the message is created and gettext(...) where it is shown.
tests/mushra_app/web/test_languages.py finds messages that a catalogue lacks.
"""

from __future__ import annotations

import gettext as standard
from collections.abc import Mapping
from functools import cache
from io import BytesIO

import polib
from flask import Flask, g, request

from earmark.mushra_app.study.translations import LANGUAGES, catalogue_file
from earmark.mushra_app.web.served import served

# Values of <html lang>: BCP 47, with the script if the language has several.
TAGS: Mapping[str, str] = {"zh": "zh-Hans"}
RIGHT_TO_LEFT = ("ar",)
WITHOUT_SPACES = ("ja", "zh")  # between sentences


def translate(app: Flask) -> None:
    """Give the app's templates the functions `_` and `ngettext`, and the variables of `_variables`."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    app.context_processor(_variables)


def _variables() -> dict[str, str]:
    """Values of the attributes lang and dir of a page, and what stands between two sentences."""
    current = language()
    return {
        "language": TAGS.get(current, current), "direction": "rtl" if current in RIGHT_TO_LEFT else "ltr",
        "space": "" if current in WITHOUT_SPACES else " ",
    }  # fmt: skip


def language() -> str:
    """Language of this request: the study's, else the browser's preference; always English on the admin page."""
    if request.blueprint == "admin":
        return "en"
    return served().study.texts.language or request.accept_languages.best_match(LANGUAGES, "en")


def gettext(message: str) -> str:
    """Translate a message into the language of this request."""
    return _translations().gettext(message)


def ngettext(one: str, several: str, count: int) -> str:
    """Translate the singular or plural of a message, depending on `count`."""
    return _translations().ngettext(one, several, count)


def _translations() -> standard.NullTranslations:
    """Catalogue of this request, chosen once: a page has a hundred messages."""
    if "translations" not in g:
        g.translations = catalogue(language())
    translations: standard.NullTranslations = g.translations
    return translations


@cache
def catalogue(language: str) -> standard.NullTranslations:
    """Catalogue of a language, compiled in memory from its .po file."""
    if language == "en":
        return standard.NullTranslations()
    source = polib.pofile(str(catalogue_file(language)))
    return standard.GNUTranslations(BytesIO(source.to_binary()))
