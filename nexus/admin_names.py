"""What the operators' admin calls the columns of our tables: as people say it, where Django only has a name in code."""

from __future__ import annotations

import re

from django.contrib import admin

# In this order; a field that was given a name of its own keeps it, but for these.
SPOKEN = [
    (re.compile(r" usd per mtok$"), ", USD per million tokens"),
    (re.compile(r" usd$"), ", USD"),
    (re.compile(r"^api key"), "API key"),
    (re.compile(r"^(key |public |stripe \w+ |)id$"), r"\1ID"),
    (re.compile(r"^ip address$"), "IP address"),
    (re.compile(r" last4$"), ", last four digits"),
]


def spoken(name: str) -> str:
    for pattern, words in SPOKEN:
        name = pattern.sub(words, name)
    return name


def name_columns(*app_labels: str) -> None:
    """Of the models that are registered by now. Migrations do not see it."""
    for model in admin.site._registry:
        options = model._meta
        if options.app_label not in app_labels:
            continue
        for field in options.fields:
            if isinstance(field.verbose_name, str):
                field.verbose_name = spoken(field.verbose_name)
        name = str(options.verbose_name)
        if spoken(name) != name:
            options.verbose_name, options.verbose_name_plural = spoken(name), f"{spoken(name)}s"
