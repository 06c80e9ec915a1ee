"""Forms that make a secret are taken once: who loads the page with it again, sends the form again, and would make
another. Marks of forms are in Redis; with it away, nothing is kept from anybody.
"""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.cache import cache
from django.http import HttpRequest
from django.utils.translation import gettext as _

FIELD = "once"
# Browsers bring back pages of days ago.
KEPT_S = 7 * 86_400


def mark() -> str:
    """Of a form that is shown."""
    return str(uuid.uuid4())


def is_again(request: HttpRequest) -> bool:
    """Whether this person has sent this form before: the page that comes next says so. One without a mark is none of
    ours, and never is.
    """
    try:
        of_form = uuid.UUID(request.POST.get(FIELD, ""))
    except ValueError:
        return False
    if cache.add(f"once:{request.user.pk}:{of_form}", 1, KEPT_S):
        return False
    messages.warning(request, _("This form was sent before. What it made was shown then; nothing was made again."))
    return True
