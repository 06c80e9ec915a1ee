"""Thresholds are told once each: by the ledger, whoever evaluates, however often, and after a crash."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics import alerts, booking
from analytics.alerts import schedule, watching
from analytics.alerts.models import AlertEvent, AlertRule
from analytics.alerts.telling import title_of
from analytics.models import HOUR_S, UsageRollup
from analytics.signals import drift_found
from analytics.tasks import evaluate_alerts, purge_records, sweep_alerts
from billing import signals as billing
from billing import subscriptions
from billing.models import Plan, Reconciliation, Subscription
from gateway.cache import tuning
from gateway.models import Verdict
from tenants.db import schema_of
from tenants.limits import BudgetMode
from tenants.models import ApiKey, Membership, Role, User
from tests.alerts import deliveries, forget_marks, letters, make_due, raised, send_until, spend, use
from tests.conftest import Workspace
from tests.together import at_once

pytestmark = pytest.mark.usefixtures("no_alerts_waiting")


def evaluate(workspace: Workspace) -> list[AlertEvent]:
    return watching.evaluate(workspace.tenant)


def percents(workspace: Workspace, kind: str) -> list[int]:
    return sorted(event.facts["percent"] for event in raised(workspace, kind))


def test_each_threshold_of_a_quota_is_told_once(make_workspace: Callable[..., Workspace]) -> None:
    workspace = make_workspace(monthly_requests=10)
    told = []
    for _ in range(12):
        use(workspace)
        told += [(event.kind, event.facts["percent"], event.facts["used"]) for event in evaluate(workspace)]
    assert told == [("quota_requests", 50, 5), ("quota_requests", 80, 8), ("quota_requests", 100, 10)]


def test_of_several_thresholds_at_once_the_highest_is_told_and_all_are_in_the_history(
    make_workspace: Callable[..., Workspace],
) -> None:
    workspace = make_workspace(monthly_tokens=100)
    use(workspace, 4)
    assert len(evaluate(workspace)) == 3
    assert percents(workspace, "quota_tokens") == [50, 80, 100]
    assert {one.event.facts["percent"] for one in deliveries(workspace)} == {100}


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_two_who_evaluate_at_once_tell_each_threshold_once(
    make_workspace: Callable[..., Workspace], parts: list[int]
) -> None:
    workspace = make_workspace(monthly_requests=10)
    for part in parts:
        use(workspace, part)
        at_once(*[lambda: evaluate(workspace)] * 2)
    reached = [percent for percent in (50, 80, 100) if sum(parts) * 10 >= percent]
    assert percents(workspace, "quota_requests") == reached
    told = [one for one in deliveries(workspace) if one.email]
    assert len({one.event_id for one in told}) == len(told) <= len(reached)
    assert not reached or max(one.event.facts["percent"] for one in told) == reached[-1]


def test_a_key_with_limits_of_its_own_is_told_of_by_name(alice: Workspace) -> None:
    ApiKey.objects.filter(pk=alice.api_key.pk).update(monthly_requests=4, daily_budget_usd=Decimal(1))
    use(alice, 2, cost_usd=Decimal("0.4"))
    evaluate(alice)
    found = {(event.kind, event.facts["percent"]): event for event in raised(alice)}
    assert set(found) == {("quota_requests", 50), ("budget_daily", 50), ("budget_daily", 80)}
    event = found["quota_requests", 50]
    assert event.subject == str(alice.api_key) and event.facts["key"] == alice.api_key.public_id


@pytest.mark.parametrize("mode", BudgetMode.values)
def test_budgets_are_watched_whether_they_refuse_or_warn(alice: Workspace, mode: str) -> None:
    Subscription.objects.filter(tenant=alice.tenant).update(
        daily_budget_usd=Decimal(10), monthly_budget_usd=Decimal(100), budget_mode=mode
    )
    spend(alice, "8.5")
    evaluate(alice)
    assert percents(alice, "budget_daily") == [50, 80]
    assert percents(alice, "budget_monthly") == []
    assert raised(alice, "budget_daily")[0].facts["mode"] == mode
    spend(alice, "42")
    evaluate(alice)
    assert percents(alice, "budget_daily") == [50, 80, 100]
    assert percents(alice, "budget_monthly") == [50]


def test_yesterdays_spending_counts_in_the_month_and_not_in_the_day(alice: Workspace) -> None:
    Subscription.objects.filter(tenant=alice.tenant).update(
        daily_budget_usd=Decimal(10), monthly_budget_usd=Decimal(10), anchor_at=timezone.now() - dt.timedelta(days=3)
    )
    alice.tenant.subscription.refresh_from_db()
    spend(alice, "6", at=(timezone.now() - dt.timedelta(days=1)).timestamp())
    evaluate(alice)
    assert (percents(alice, "budget_daily"), percents(alice, "budget_monthly")) == ([], [50])


def test_a_plans_budget_and_an_exception_from_it_are_watched(alice: Workspace) -> None:
    subscriptions.change_plan(alice.tenant, "scale", overrides={"monthly_budget_usd": "20.50"})
    spend(alice, "20.5")
    evaluate(alice)
    assert percents(alice, "budget_monthly") == [50, 80, 100]


def test_a_new_limit_is_a_new_question(make_workspace: Callable[..., Workspace]) -> None:
    workspace = make_workspace(monthly_requests=2)
    use(workspace, 2)
    evaluate(workspace)
    subscriptions.change_plan(workspace.tenant, "scale", overrides={"monthly_requests": 4})
    assert [event.facts["limit"] for event in evaluate(workspace)] == [4]


def test_a_limit_of_nothing_has_no_shares(make_workspace: Callable[..., Workspace]) -> None:
    workspace = make_workspace(monthly_requests=0)
    use(workspace)
    assert evaluate(workspace) == []


def until_evaluated(workspace: Workspace) -> None:
    """Once its rest, of a few milliseconds, is over."""
    before, until = len(raised(workspace)), time.monotonic() + 20
    while len(raised(workspace)) == before:
        assert time.monotonic() < until, "it was not evaluated"
        evaluate_alerts()
        time.sleep(0.02)


def test_booking_has_its_tenant_evaluated_and_a_crash_before_that_loses_nothing(
    make_workspace: Callable[..., Workspace],
) -> None:
    workspace = make_workspace(monthly_requests=2)
    use(workspace)
    until_evaluated(workspace)
    assert percents(workspace, "quota_requests") == [50]
    use(workspace)
    # A worker takes it, and is killed.
    forget_marks()
    assert evaluate_alerts() == 0
    sweep_alerts()
    until_evaluated(workspace)
    assert percents(workspace, "quota_requests") == [50, 80, 100]


def test_a_booking_that_is_rolled_back_marks_nobody(alice: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise LookupError

    monkeypatch.setattr(booking, "_touch_keys", fail)
    with pytest.raises(LookupError):
        use(alice)
    assert schedule.take_marked(timezone.now() + dt.timedelta(days=1)) is None


def test_a_tenant_that_is_dear_to_evaluate_rests_and_is_not_forgotten(make_workspace: Callable[..., Workspace]) -> None:
    workspace = make_workspace(monthly_requests=2)
    schedule.rest(workspace.tenant.pk, 3600)
    use(workspace)
    evaluate_alerts()
    assert raised(workspace) == []
    now = timezone.now()
    assert schedule.take_marked(now + dt.timedelta(minutes=59)) is None
    assert schedule.take_marked(now + dt.timedelta(minutes=61)) == workspace.tenant.pk


def test_a_rule_that_is_off_tells_nothing_and_other_thresholds_hold(make_workspace: Callable[..., Workspace]) -> None:
    workspace = make_workspace(monthly_requests=10, monthly_tokens=100)
    with schema_of(workspace.tenant):
        AlertRule.objects.create(kind="quota_tokens", enabled=False, channels=["email"], roles=[])
        AlertRule.objects.create(kind="quota_requests", thresholds={"percents": [30]}, channels=["email"], roles=[])
    use(workspace, 5)
    assert [(event.kind, event.facts["percent"]) for event in evaluate(workspace)] == [("quota_requests", 30)]


def hours(workspace: Workspace, usd: str, count: int = 48) -> None:
    """The last hours cost this each."""
    this = timezone.now().replace(minute=0, second=0, microsecond=0)
    sums = dict.fromkeys(("errors", "prompt_tokens", "completion_tokens", "billed_tokens", "unpriced"), 0)
    with schema_of(workspace.tenant):
        UsageRollup.objects.bulk_create(
            UsageRollup(
                bucket=this - dt.timedelta(hours=ago), width_s=HOUR_S, outcome="MISS", model="m", provider="p",
                key_id=workspace.api_key.pk, requests=1, cost_usd=Decimal(usd), saved_usd=0, latency_ms_sum=1.0, **sums,
            )
            for ago in range(2, count + 2)
        )  # fmt: skip


def test_an_hour_that_costs_many_times_the_usual_is_told_once_a_day(alice: Workspace) -> None:
    hours(alice, "1")
    spend(alice, "2.5")
    assert evaluate(alice) == []
    spend(alice, "2")
    (event,) = evaluate(alice)
    assert (event.kind, event.facts["cost_usd"]) == ("spend_spike", "4.50")
    spend(alice, "20")
    assert evaluate(alice) == []


def test_a_first_hour_that_costs_something_is_told_without_a_multiple_of_nothing(alice: Workspace) -> None:
    hours(alice, "0")
    spend(alice, "4.5")
    (event,) = evaluate(alice)
    assert "times" not in event.facts
    assert title_of(event.kind, event.facts) == "Spending has begun"
    # As it was kept until now.
    assert title_of(event.kind, {**event.facts, "times": None}) == "Spending has begun"
    assert title_of(event.kind, {**event.facts, "times": 4.5}) == "Spending is 4.5 × the usual"


def test_limits_are_frees_once_the_grace_of_a_failed_payment_is_over(alice: Workspace) -> None:
    Plan.objects.get_or_create(code="tiny", defaults={"name": "Tiny", "monthly_requests": 2, "position": 99})
    subscriptions.change_plan(alice.tenant, "tiny")
    use(alice, 2)
    rows = Subscription.objects.filter(tenant=alice.tenant)
    rows.update(grace_until=timezone.now() - dt.timedelta(minutes=1))
    evaluate(alice)
    assert raised(alice, "quota_requests") == []
    rows.update(grace_until=timezone.now() + dt.timedelta(days=1))
    evaluate(alice)
    assert percents(alice, "quota_requests") == [50, 80, 100]


def test_a_cheap_hour_and_a_young_workspace_have_no_spikes(make_workspace: Callable[..., Workspace]) -> None:
    cheap, young = make_workspace(), make_workspace()
    hours(cheap, "0.001")
    spend(cheap, "0.9")
    hours(young, "0.001", count=5)
    spend(young, "50")
    assert evaluate(cheap) == evaluate(young) == []


FAILED = {"status": 502, "error": "provider_failed", "cost_usd": Decimal(0), "billed_tokens": 0, "provider": "own"}


def test_failures_of_a_provider_are_told_once_an_hour(alice: Workspace) -> None:
    use(alice, 17)
    use(alice, 2, **FAILED)
    use(alice, 2, **{**FAILED, "status": 429})
    assert evaluate(alice) == []
    use(alice, 2, **FAILED)
    (event,) = evaluate(alice)
    assert (event.kind, event.facts["failed"], event.facts["requests"]) == ("error_rate", 6, 23)
    use(alice, 20, **FAILED)
    assert evaluate(alice) == []


@pytest.mark.parametrize(
    "facts",
    [
        {"status": 400, "error": "invalid_request"},
        {"status": 429, "error": "rate_limit_exceeded", "provider": ""},
        {"status": 504, "error": "not_in_cache", "provider": ""},
    ],
)
def test_what_the_client_did_is_no_failure(alice: Workspace, facts: dict[str, Any]) -> None:
    use(alice, 30, **{**FAILED, **facts})
    assert evaluate(alice) == []


def test_few_failures_say_nothing(alice: Workspace) -> None:
    use(alice, 10, **FAILED)
    assert evaluate(alice) == []


def test_people_with_the_rules_roles_are_written_to_once_each(make_workspace: Callable[..., Workspace]) -> None:
    workspace = make_workspace(monthly_requests=2)
    for role in (Role.FINANCE, Role.VIEWER):
        user = User.objects.create_user(f"{role}-{workspace.tenant.slug}@example.com")
        Membership.objects.create(user=user, tenant=workspace.tenant, role=role)
    use(workspace)
    evaluate(workspace)
    assert [one.email for one in deliveries(workspace)] == [
        workspace.tenant.email,
        f"finance-{workspace.tenant.slug}@example.com",
    ]
    send_until(lambda: {one.status for one in deliveries(workspace)} == {"delivered"})
    (letter,) = letters(workspace)
    assert letter.subject == f"{workspace.tenant.name}: Requests of the month: 50 % used"
    assert "1 of 2 requests" in letter.body and "1 of 2 requests" in letter.alternatives[0][0]
    assert f"/t/{workspace.tenant.slug}/" in letter.body


def test_names_are_only_text_in_a_letter(make_workspace: Callable[..., Workspace]) -> None:
    workspace = make_workspace()
    workspace.tenant.name = "<b>Acme</b>\r\nBcc: all@example.com"
    workspace.tenant.save()
    alerts.raise_alert(workspace.tenant, "drift", "<script>x</script>", {}, "one")
    send_until(lambda: letters(workspace))
    (letter,) = letters(workspace)
    assert "\n" not in letter.subject and not letter.bcc
    html = letter.alternatives[0][0]
    assert "<script>" not in html and "<b>Acme" not in html


def test_a_mail_server_that_is_away_is_asked_again(alice: Workspace, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    alerts.raise_alert(alice.tenant, "drift", "books", {}, "one")
    send_until(lambda: deliveries(alice)[0].attempts)
    (waiting,) = deliveries(alice)
    assert waiting.status == "waiting" and waiting.next_at and waiting.next_at > timezone.now()
    assert "ConnectionRefusedError" in waiting.attempts[0]["error"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    make_due(alice)
    send_until(lambda: deliveries(alice)[0].status == "delivered")
    assert letters(alice)[0].extra_headers["Message-ID"].startswith(f"<{waiting.pk.hex}@")


def test_what_billing_and_the_books_say_is_passed_on(alice: Workspace) -> None:
    now = timezone.now()
    billing.tell(billing.plan_changed, alice.tenant, before="free", after="scale")
    billing.tell(
        billing.payment_failed, alice.tenant, plan="scale", amount_usd=Decimal("49.00"), grace_until=now,
        next_attempt_at=None, invoice_url="https://stripe.example/i",
    )  # fmt: skip
    billing.tell(billing.payment_recovered, alice.tenant, plan="scale")
    billing.tell(billing.trial_ends, alice.tenant, plan="pro", trial_end=now, card_known=False)
    comparison = Reconciliation.objects.create(
        tenant=alice.tenant,
        period_start=now,
        compared_at=now,
        books={"ledger": {}},
        drift_requests=3,
        drifting_since=now,
    )
    for _ in range(2):
        drift_found.send(Reconciliation, tenant=alice.tenant, comparison=comparison)
    kinds = ["payment_failed", "payment_recovered", "trial_ends", "drift"]
    assert [event.kind for event in raised(alice)] == kinds
    # The first one is of the set-up.
    assert [event.facts["after"] for event in raised(alice, "plan_changed")] == ["scale", "scale"]
    assert raised(alice, "payment_failed")[0].facts["amount_usd"] == "49.00"
    assert raised(alice, "drift")[0].facts["drift_requests"] == 3


def test_a_semantic_tier_that_is_switched_off_is_told_of_once(alice: Workspace) -> None:
    wrong = {"kind": "hit", "right": False, "source": "model", "judged_at": timezone.now(), "question": "q"}
    with schema_of(alice.tenant):
        Verdict.objects.bulk_create(
            Verdict(**wrong, similarity=0.86 + number % 14 / 100, entry_id=uuid.uuid4(), prompt="p", cached_answer="a")
            for number in range(280)
        )
    for _ in range(2):
        tuning.tune(alice.tenant)
    (event,) = raised(alice)
    assert (event.kind, event.facts["semantic"], event.facts["budget"]) == ("cache_budget_exceeded", "off", 0.02)


def test_an_alert_within_a_transaction_that_fails_was_never_raised(alice: Workspace) -> None:
    with pytest.raises(LookupError), transaction.atomic():
        alerts.raise_alert(alice.tenant, "drift", "books", {}, "one")
        raise LookupError
    assert raised(alice) == []
    assert alerts.raise_alert(alice.tenant, "drift", "books", {}, "one") is not None
    assert alerts.raise_alert(alice.tenant, "drift", "books", {}, "one") is None


def test_old_alerts_go_and_those_of_the_period_stay(make_workspace: Callable[..., Workspace]) -> None:
    workspace = make_workspace("free")
    for age_days in (20, 400):
        alerts.raise_alert(workspace.tenant, "drift", "books", {"age": age_days}, str(age_days))
        with schema_of(workspace.tenant):
            AlertEvent.objects.filter(dedupe_key=str(age_days)).update(at=timezone.now() - dt.timedelta(days=age_days))
    purge_records()
    assert [event.facts["age"] for event in raised(workspace)] == [20]
    assert len(deliveries(workspace)) == 1
