"""Which language an answer is in: pages in the browser's, of those in settings.LANGUAGES; programs get English."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

# Whatever reads these compares texts, or writes them to a log that others search.
PROGRAMS = ("/api/", "/v1/", "/chat", "/stats", "/stripe/")


class LanguageMiddleware(LocaleMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        if not request.path_info.startswith(PROGRAMS):
            super().process_request(request)
            return
        translation.activate(settings.LANGUAGE_CODE)
        request.LANGUAGE_CODE = settings.LANGUAGE_CODE
