"""What kinds of alerts and their thresholds are called on pages."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from analytics.alerts.kinds import EMAIL, TEST, WEBHOOK

KINDS: dict[str, Promise] = {
    "quota_requests": _("Requests of the month"),
    "quota_tokens": _("Tokens of the month"),
    "budget_daily": _("Budget of the day"),
    "budget_monthly": _("Budget of the month"),
    "spend_spike": _("Spending spikes"),
    "error_rate": _("Requests that fail"),
    "drift": _("Books that differ"),
    "cache_budget_exceeded": _("Too many wrong cached answers"),
    "payment_failed": _("Failed payments"),
    "payment_recovered": _("Recovered payments"),
    "trial_ends": _("End of the trial"),
    "plan_changed": _("Changes of the plan"),
    "webhook_failing": _("Webhook endpoints that fail"),
    TEST: _("Tests"),
}
THRESHOLDS: dict[str, Promise] = {
    "percents": _("Percent of the limit"),
    "factor": _("Times the mean hour"),
    "floor_usd": _("An hour costs at least, USD"),
    "share": _("Share that fails"),
    "minutes": _("Minutes it looks back"),
    "minimum_requests": _("At least so many requests"),
    "hours": _("Hours it has failed"),
}
CHANNELS: dict[str, Promise] = {EMAIL: _("Email"), WEBHOOK: _("Webhooks")}


def name_of(kind: str) -> str:
    """Rows of a kind that this version does not have say their own."""
    return str(KINDS.get(kind, kind))
