"""Sentences that are kept in English as they were said once, such as why a webhook failed, and are read in the language
of whoever looks at them later.

Who keeps such sentences says here by which templates they are made: texts with {names}, marked with gettext_noop.
"""

from __future__ import annotations

import re

from django.utils.translation import gettext

_NAME = re.compile(r"\\\{(\w+)\\\}")
_templates: dict[str, re.Pattern[str]] = {}


def keep(*templates: str) -> None:
    for template in templates:
        _templates[template] = re.compile(_NAME.sub(r"(?P<\1>.+)", re.escape(template)), re.DOTALL)


def read(sentence: str) -> str:
    """As it stands, where no template has made it. What stands in it may be such a text itself."""
    for template, pattern in _templates.items():
        if (found := pattern.fullmatch(sentence)) is not None:
            return gettext(template).format(**{name: read(text) for name, text in found.groupdict().items()})
    return sentence
