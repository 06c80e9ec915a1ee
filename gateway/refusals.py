"""What a client is told of its limits: the refusal in words, and the headers on every answer. Pure."""

from __future__ import annotations

import datetime as dt

from django.conf import settings

from billing.accounts import Account
from billing.ledger import UNIT_USD
from billing.policies import Policy
from billing.quota import Busy, RateLimited, Spent, Unpriced, Window
from gateway.errors import GatewayError, PaymentRequired, TooManyRequests
from gateway.types import Call, Headers

Refusal = RateLimited | Busy | Spent | Unpriced


def of(call: Call, refusal: Refusal) -> GatewayError:
    error = _error(call, refusal)
    error.extra_headers = headers(call.account, refusal.window)
    return error


def _error(call: Call, refusal: Refusal) -> GatewayError:
    if isinstance(refusal, Unpriced):
        return PaymentRequired(
            f"The price of “{call.request.model}” is not known, so it cannot be held against the workspace's budget."
            f" Ask for a model with a known price, or allow such models at {_billing(call)}.",
            code="unpriced_model",
        )
    told = _told(refusal.policy)
    if isinstance(refusal, RateLimited):
        return TooManyRequests(
            f"The limit of {told} is reached. Try again in {max(1, -(-refusal.retry_after_ms // 1000))} s.",
            retry_after_s=refusal.retry_after_ms / 1000,
        )
    if isinstance(refusal, Busy):
        return TooManyRequests(
            f"The limit of {told} is reached. Try again when one has ended.", code="too_many_in_flight", retry_after_s=1
        )
    if refusal.held:
        left = _amount(refusal.policy, refusal.policy.limit - refusal.used)
        return TooManyRequests(
            f"Of {told}, what is left ({left}) is held by requests in flight. Try again when those have ended.",
            code="quota_held",
            retry_after_s=1,
        )
    code = "budget_exceeded" if refusal.policy.what == "budget" else None
    return PaymentRequired(_spent(call, refusal.policy, refusal.used), code=code)


def _spent(call: Call, policy: Policy, used: int) -> str:
    spent = _amount(policy, min(used, policy.limit))
    text = f"Of {_told(policy)}, {spent} {'is' if policy.what == 'budget' else 'are'} used"
    if policy.what != "requests" and used < policy.limit:
        text += f", and this request's messages alone may need {call.request.prompt_tokens:,} tokens"
    resets = call.account.period.end
    if policy.per == "day":
        resets = dt.datetime.fromtimestamp((call.day + 1) * 86400, dt.UTC)
    more = "budget can be raised" if policy.what == "budget" else "plan can be changed"
    return f"{text}. It resets on {resets:%Y-%m-%d %H:%M} UTC; the {more} at {_billing(call)}."


def _told(policy: Policy) -> str:
    """For example “1,000 tokens a minute for this key”."""
    whose = " for this key" if policy.of_key else ""
    if policy.what == "budget":
        return f"the budget of {_amount(policy, policy.limit)} a {policy.per}{whose}"
    if policy.what == "concurrency":
        return f"{policy.limit:,} requests in flight{whose}"
    bursts = f" (bursts of {policy.burst:,})" if policy.burst else ""
    return f"{_amount(policy, policy.limit)} a {policy.per}{bursts}{whose}"


def _amount(policy: Policy, number: int) -> str:
    if policy.what != "budget":
        return f"{number:,} {policy.what}"
    usd = number * UNIT_USD
    return f"${usd:,.2f}" if usd == round(usd, 2) else f"${usd:,.6f}"


def _billing(call: Call) -> str:
    return f"{settings.PUBLIC_URL}/t/{call.principal.slug}/billing/"


def headers(account: Account, window: Window) -> Headers:
    """OpenAI's x-ratelimit headers, and the IETF's RateLimit and RateLimit-Policy; none where there is no limit."""
    if window.requests_limit < 0 and window.tokens_limit < 0:
        return []
    told: Headers = []
    states = []
    sides = ((b"requests", window[:4]), (b"tokens", window[4:]))
    for what, (limit, left, reset_ms, policy) in sides:
        if limit >= 0:
            told += [
                (b"x-ratelimit-limit-" + what, b"%d" % limit),
                (b"x-ratelimit-remaining-" + what, b"%d" % left),
                (b"x-ratelimit-reset-" + what, _duration(reset_ms)),
            ]
            states.append(b'"%b";r=%d;t=%d' % (account.policies[policy].header_name, left, -(-reset_ms // 1000)))
    return [*told, (b"ratelimit-policy", account.policy_header), (b"ratelimit", b", ".join(states))]


def _duration(milliseconds: int) -> bytes:
    """As OpenAI writes it: 59.8s, 6m0s, 12h3m0s."""
    if milliseconds < 60_000:
        return b"%gs" % (milliseconds / 1000)
    minutes, seconds = divmod(-(-milliseconds // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return b"%dh%dm%ds" % (hours, minutes, seconds) if hours else b"%dm%ds" % (minutes, seconds)
