"""What a rule and a webhook endpoint may be set to: the API and the pages check it here."""

from __future__ import annotations

import math
import urllib.parse
from typing import Any

from django.conf import settings
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from analytics.alerts.kinds import CHANNELS, KINDS, Kind, Threshold
from analytics.alerts.models import URL_LENGTH
from tenants.bodies import Body
from tenants.management_views import printable
from tenants.models import Role
from tenants.network import NEVER, PrivateAddress, allowed, check_now, host_of
from tenants.writing import exact

MAX_PERCENTS = 10


@extend_schema_field({"type": "object", "additionalProperties": True})
class ThresholdsField(serializers.DictField):
    """By name; which there are, and their bounds, is the kind's own (`watches`)."""


def _unique(values: list[Any]) -> None:
    if len(set(values)) < len(values):
        raise serializers.ValidationError(gettext("Each once."))


class AlertRuleBody(Body):
    enabled = serializers.BooleanField(default=True)
    thresholds = ThresholdsField(required=False, help_text="Those that are left out have their defaults.")
    channels = serializers.ListField(
        child=serializers.ChoiceField(CHANNELS), required=False, validators=[_unique], help_text="Default: both."
    )
    roles = serializers.ListField(
        child=serializers.ChoiceField(Role.values),
        required=False,
        validators=[_unique],
        help_text="Members with these are written to, beside the workspace's own address.",
    )


def check_thresholds(kind: Kind, sent: dict[str, Any]) -> dict[str, Any]:
    """Raises ValidationError for the first that the kind does not have, or that is out of its bounds."""
    known = {one.name: one for one in kind.thresholds}
    for name, value in sent.items():
        if name not in known:
            there = gettext("There is no such threshold. This kind has none.")
            if known:
                there = gettext("There is no such threshold. There are: %(known)s.") % {"known": ", ".join(known)}
            raise serializers.ValidationError({"thresholds": {name: there}})
        if reason := _wrong(known[name], value):
            raise serializers.ValidationError({"thresholds": {name: reason}})
    return {name: sorted(value) if known[name].many else value for name, value in sent.items()}


def _wrong(threshold: Threshold, value: Any) -> str:
    if not threshold.many:
        return _wrong_number(threshold, value)
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_PERCENTS:
        return gettext("A list of 1 to %(most)s numbers.") % {"most": MAX_PERCENTS}
    if reason := next(filter(None, (_wrong_number(threshold, one) for one in value)), ""):
        return reason
    return gettext("Each once.") if len(set(value)) < len(value) else ""


def _wrong_number(threshold: Threshold, value: Any) -> str:
    kinds = int if threshold.whole else int | float
    right = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    if right and threshold.minimum <= value <= threshold.maximum:
        return ""
    text = gettext("A number from %(least)s to %(most)s.")
    if threshold.whole:
        text = gettext("A whole number from %(least)s to %(most)s.")
    return text % {"least": exact(threshold.minimum), "most": exact(threshold.maximum)}


class WebhookBody(Body):
    id = serializers.UUIDField(read_only=True)
    url = serializers.CharField(max_length=URL_LENGTH, help_text="https, at a public address.")
    description = serializers.CharField(max_length=200, required=False, allow_blank=True, validators=[printable])
    kinds = serializers.ListField(
        child=serializers.ChoiceField(sorted(KINDS)),
        required=False,
        max_length=len(KINDS),
        help_text="Alerts that are posted there; empty: all.",
    )
    enabled = serializers.BooleanField(required=False, help_text="What waits for one that is switched off is given up.")
    off_reason = serializers.CharField(read_only=True, help_text="Why it was switched off, where we did it.")
    failing_since = serializers.DateTimeField(read_only=True, allow_null=True)
    previous_secret_until = serializers.DateTimeField(
        read_only=True, allow_null=True, source="previous_until", help_text="Until then both secrets sign."
    )
    created_at = serializers.DateTimeField(read_only=True)

    def validate_url(self, url: str) -> str:
        _check_url(url)
        return url


def _check_url(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = host_of(url), parts.port
    except ValueError:
        raise serializers.ValidationError(gettext("This is not a URL.")) from None
    schemes = {"https", "http"} if settings.PRIVATE_WEBHOOKS else {"https"}
    if parts.scheme not in schemes or not host or not url.isprintable() or " " in url or "\\" in url:
        raise serializers.ValidationError(gettext("It must be a URL such as https://hooks.example.com/alerts."))
    if "@" in parts.netloc:
        raise serializers.ValidationError(gettext("It must hold no user or password; what is posted is signed."))
    if "#" in url:
        raise serializers.ValidationError(gettext("It must have no fragment."))
    try:
        check_now(url, allowed(private=settings.PRIVATE_WEBHOOKS))
    except PrivateAddress as error:
        if settings.PRIVATE_WEBHOOKS:
            raise serializers.ValidationError(NEVER) from None
        text = gettext("%(why)s; webhooks are posted to public addresses only.")
        raise serializers.ValidationError(text % {"why": error}) from None
