"""The cache policy as forms. What is written there is checked by the API's own serializer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.contrib import messages
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from rest_framework.exceptions import APIException, ValidationError

from analytics.figures import count, percent, usd
from gateway.api import cache_policy, cache_settings
from gateway.api.cache_settings import MAX_RULES, CacheSettingsBody
from gateway.pages import durations, sent
from gateway.pages.durations import UNIT_NAMES, UNITS
from gateway.pages.told import tell
from tenants.access import allowed, by_of, membership_of
from tenants.api import first_error
from tenants.management_views import read
from tenants.roles import Action

BLANK_RULES = 3
# How questions with a workspace's own words are kept, the most wanted first.
KINDS = [
    ("never", gettext_lazy("never cached")),
    ("personal", gettext_lazy("personal: same request only, 5 min")),
    ("action", gettext_lazy("a command: same request only, 5 min")),
    ("fresh", gettext_lazy("of the moment: same request only, 60 s")),
    ("plain", gettext_lazy("plain: both tiers")),
]
_FLAGS = {
    "answers": ("exact", "semantic", "shadow", "per_end_user"),
    "words": (),
    "budget": ("learn", "review"),
    "privacy": ("skip_redacted", "mask_answers"),
}
# What each rule of gateway.redaction knows.
REDACTED = [
    ("email", gettext_lazy("Email addresses")),
    ("phone", gettext_lazy("Phone numbers")),
    ("card", gettext_lazy("Payment cards, by their check digit")),
    ("iban", gettext_lazy("IBANs, by their check sum")),
    ("ip", gettext_lazy("IP addresses")),
    ("ssn", gettext_lazy("US social security numbers")),
    ("secret", gettext_lazy("API keys, tokens, passwords")),
]


class Wrong(NamedTuple):
    """What was sent and not taken: the form is shown again, with the reason where it belongs."""

    part: str
    given: QueryDict
    field: str
    message: str
    rule: int | None = None


@allowed(Action.FIGURES)
@require_GET
def policy(request: HttpRequest, slug: str) -> HttpResponseBase:
    return _page(request)


@allowed(Action.CACHE)
@require_POST
def change(request: HttpRequest, slug: str) -> HttpResponseBase:
    """One of the page's forms."""
    part = request.POST.get("part", "")
    if part not in _FLAGS:
        return redirect("cache-policy", slug)
    try:
        values = read(CacheSettingsBody(data=_READ[part](request.POST)))
        cache_settings.change(membership_of(request).tenant, values, by_of(request))
    except ValidationError as error:
        path, message = first_error(error.detail)
        field, _dot, rest = path.removeprefix(".").partition("[")
        at = rest.partition("]")[0]
        rule = _sent_rules(request.POST)[int(at)][0] if part == "words" and at.isdecimal() else None
        return _page(request, Wrong(part, request.POST, field, message, rule))
    except APIException as error:
        tell(request, error)
    else:
        messages.success(request, _("Saved, and in effect within a second."))
    return redirect("cache-policy", slug)


@allowed(Action.CACHE)
@require_http_methods(["GET", "POST"])
def reset(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Asks once: verdicts until now do not count any more."""
    tenant = membership_of(request).tenant
    if request.method == "GET":
        standing = cache_policy.standing(tenant)
        verdicts = sum(counts["right"] + counts["wrong"] for counts in standing["verdicts"].values())
        context = {"here": "policy", "standing": standing, "verdicts": count(verdicts)}
        return render(request, "gateway/cache/reset.html", context)
    try:
        cache_policy.reset(tenant, by_of(request))
    except APIException as error:
        tell(request, error)
    else:
        messages.success(request, _("Verdicts until now do not count any more; your own threshold holds."))
    return redirect("cache-policy", slug)


def _page(request: HttpRequest, refused: Wrong | None = None) -> HttpResponseBase:
    row = cache_settings.row_of_settings()
    standing = cache_policy.standing(membership_of(request).tenant)
    judge = standing["judge"]
    rules = [(rule["words"], rule["kind"], rule.get("ttl_s")) for rule in row.rules]
    context = {
        "here": "policy",
        "row": row,
        "ttl": durations.split(row.ttl_s),
        "stale": durations.split(row.stale_if_error_s),
        "budget": f"{100 * row.wrong_budget:g}",
        "rules": rules + [("", "never", None)] * min(BLANK_RULES, MAX_RULES - len(rules)),
        "kinds": KINDS,
        "units": UNIT_NAMES.items(),
        "standing": standing,
        "spent": usd(judge["spent_usd"]),
        "waiting": count(judge["waiting"]),
        "rate": percent(standing["wrong_rate"]["estimate"]),
        "redacted": REDACTED,
        "redact_words": "\n".join(row.redact_words),
        "refused": refused,
    }
    if refused is not None:
        context |= _as_sent(refused)
    return render(request, "gateway/cache/policy.html", context, status=200 if refused is None else 400)


# --- what was sent, as the API would be sent it ----------------------------------------------------------------------


def _seconds(given: Mapping[str, str], name: str) -> int | str:
    return sent.whole(given.get(name), UNITS.get(given.get(f"{name}_unit", ""), 1))


def _flags(given: Mapping[str, str], part: str) -> dict[str, bool]:
    return {name: name in given for name in _FLAGS[part]}


def _answers(given: QueryDict) -> dict[str, Any]:
    return {
        **_flags(given, "answers"),
        "threshold": sent.number(given.get("threshold")),
        "ttl_s": _seconds(given, "ttl_s"),
        "stale_if_error_s": _seconds(given, "stale_if_error_s"),
    }


def _sent_rules(given: QueryDict) -> list[tuple[int, dict[str, Any]]]:
    """Those with words, with their place in the form."""
    words, kinds, ends = (given.getlist(name) for name in ("words", "kind", "rule_ttl_s"))
    rules = []
    for at, text in enumerate(words[: MAX_RULES + BLANK_RULES]):
        if text.strip():
            rule: dict[str, Any] = {"words": text, "kind": kinds[at] if at < len(kinds) else ""}
            end = ends[at].strip() if at < len(ends) else ""
            if end:
                rule["ttl_s"] = end
            rules.append((at, rule))
    return rules


def _words(given: QueryDict) -> dict[str, Any]:
    return {"rules": [rule for _at, rule in _sent_rules(given)]}


def _budget(given: QueryDict) -> dict[str, Any]:
    share = sent.number(given.get("wrong_budget", ""))
    return {
        **_flags(given, "budget"),
        "wrong_budget": share / 100 if isinstance(share, float) else share,
        "judge_model": given.get("judge_model", ""),
        "judge_budget_usd": sent.number(given.get("judge_budget_usd", "")),
    }


def _privacy(given: QueryDict) -> dict[str, Any]:
    words = [line for line in given.get("redact_words", "").splitlines() if line.strip()]
    return {**_flags(given, "privacy"), "redact": given.getlist("redact"), "redact_words": words}


_READ = {"answers": _answers, "words": _words, "budget": _budget, "privacy": _privacy}


def _as_sent(refused: Wrong) -> dict[str, Any]:
    """What the form showed when it was sent. The row is not saved."""
    given, row = refused.given, cache_settings.row_of_settings()
    for name in _FLAGS[refused.part]:
        setattr(row, name, name in given)
    shown: dict[str, Any] = {"row": row}
    if refused.part == "answers":
        shown |= {
            "threshold": given.get("threshold", ""),
            "ttl": (given.get("ttl_s", ""), given.get("ttl_s_unit", "s")),
            "stale": (given.get("stale_if_error_s", ""), given.get("stale_if_error_s_unit", "s")),
        }
    elif refused.part == "budget":
        row.judge_model = given.get("judge_model", "")
        shown |= {"budget": given.get("wrong_budget", ""), "judge_budget": given.get("judge_budget_usd", "")}
    elif refused.part == "privacy":
        row.redact = given.getlist("redact")
        shown["redact_words"] = given.get("redact_words", "")
    else:
        words, *others = (given.getlist(name)[: MAX_RULES + BLANK_RULES] for name in ("words", "kind", "rule_ttl_s"))
        shown["rules"] = [
            (text, *(each[at] if at < len(each) else "" for each in others)) for at, text in enumerate(words)
        ]
    return shown
