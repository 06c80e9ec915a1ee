"""Whether this gateway can take payments, and what to set if not."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.conf import settings
from django.core import checks
from django.db import DatabaseError
from django.utils.translation import gettext as _

from billing.stripe.errors import NotConfigured


class Missing(NamedTuple):
    setting: str
    what_to_do: str


def missing() -> list[Missing]:
    """What stands between this gateway and payments. Without the first of these nothing can be bought."""
    if not settings.STRIPE_SECRET_KEY:
        return [
            Missing(
                "STRIPE_SECRET_KEY",
                _(
                    "Set it to the secret key that Stripe shows under Developers > API keys (sk_test_… is for trying),"
                    " and restart."
                ),
            )
        ]
    if not _hears_events():
        what_to_do = _("Run “manage.py stripe_sync”: Stripe must know %(url)s to tell of payments.")
        return [Missing(_("the webhook endpoint"), what_to_do % {"url": settings.PUBLIC_URL})]
    return []


def _hears_events() -> bool:
    from djstripe.models import WebhookEndpoint

    return bool(WebhookEndpoint.objects.filter(url__startswith=f"{settings.PUBLIC_URL}/").exclude(secret="").exists())


def configured() -> bool:
    return bool(settings.STRIPE_SECRET_KEY)


def require() -> None:
    """Raises NotConfigured."""
    if not configured():
        steps = " ".join(f"{each.setting}: {each.what_to_do}" for each in missing())
        text = _("This gateway takes no payments yet. Its operator can change that. %(steps)s")
        raise NotConfigured(text % {"steps": steps})


@checks.register("billing", deploy=True)
def check_endpoint(app_configs: Any = None, **options: Any) -> list[checks.CheckMessage]:
    """`manage.py check --deploy` tells of a key without an endpoint."""
    try:
        lacking = missing() if configured() else []
    except DatabaseError:
        # Not migrated yet.
        return []
    return [
        checks.Warning(f"Payments lack {each.setting}.", hint=each.what_to_do, id="billing.W001") for each in lacking
    ]
