"""`manage.py showcase`: the workspace behind the front page's example. Nobody can log in to it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gateway import showcase
from tenants.provisioning import SlugTaken


class Command(BaseCommand):
    help = "Makes the workspace in which the front page's example runs, or leaves it as it is."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            showcase.prepare()
        except SlugTaken as error:
            raise CommandError(f"{error} The front page shows recorded figures.") from None
