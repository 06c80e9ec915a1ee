"""A Stripe on loopback with our plans in it, a gateway that it tells of events, and people who pay."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx2
import pytest
import stripe
from django.core.management import call_command
from django.test import override_settings

from billing.models import Subscription
from tenants.models import AuditEvent
from tests import servers
from tests.conftest import Workspace
from tests.management import call

KEY = "sk_test_" + "a1B2" * 8
VISA, DECLINED = "4242424242424242", "4000000000000341"
DAY_S = 86_400


class FakeStripe(NamedTuple):
    url: str

    def do(self, what: str, **given: Any) -> Any:
        answer = httpx2.post(f"{self.url}/_fake/{what}", json=given, timeout=120)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, what: str) -> Any:
        return httpx2.get(f"{self.url}/_fake/{what}", timeout=30).json()

    def api(self, path: str, **query: Any) -> Any:
        answer = httpx2.get(
            f"{self.url}/v1/{path}", params=query, headers={"Authorization": f"Bearer {KEY}"}, timeout=30
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pass_days(self, days: float) -> None:
        self.do("advance", seconds=int(days * DAY_S))

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Events wait, as if the way to us were blocked."""
        self.do("webhooks", deliver="hold")
        try:
            yield
        finally:
            self.do("webhooks", deliver="now")

    def customer_events(self, customer: str) -> list[Any]:
        def about(subject: Any) -> bool:
            return customer in (subject.get("customer"), subject.get("id"))

        return [event for event in self.get("events")["events"] if about(event["data"]["object"])]


class Payments(NamedTuple):
    stripe: FakeStripe
    gateway: str


@contextlib.contextmanager
def configured(url: str, public_url: str) -> Iterator[None]:
    """This process, too, talks to that Stripe."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe, "api_base", url)
        with override_settings(
            STRIPE_SECRET_KEY=KEY, STRIPE_API_BASE=url, STRIPE_TIMEOUT_S=5.0, PUBLIC_URL=public_url, GRACE_DAYS=7
        ):
            yield


def sync() -> str:
    out = io.StringIO()
    call_command("stripe_sync", stdout=out)
    return out.getvalue()


@contextlib.contextmanager
def payments(**environment: str) -> Iterator[Payments]:
    """`environment` is more of the gateway's."""
    with servers.running("tests.fakes.stripe:application", ready="/_fake/ready") as fake:
        environment |= {"STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": fake.url, "NEXUS_STRIPE_TIMEOUT_S": "5"}
        with servers.gateway(**environment) as gateway, configured(fake.url, gateway.url):
            sync()
            yield Payments(FakeStripe(fake.url), gateway.url)


def subscription_of(workspace: Workspace) -> Subscription:
    return Subscription.objects.select_related("plan").get(tenant=workspace.tenant)


def customer_of(workspace: Workspace) -> str:
    return subscription_of(workspace).stripe_customer_id or ""


def checkout(workspace: Workspace, plan: str = "pro") -> Any:
    answer = call(workspace, "POST", "/api/checkout", {"plan": plan})
    assert answer.status_code == 201, answer.content
    return answer.json()


def subscribe(
    fake: FakeStripe, workspace: Workspace, plan: str = "pro", *, card: str = VISA, trial: bool = False
) -> Any:
    """Through Checkout, until we have heard of it. Most tests do without a trial."""
    if not trial:
        Subscription.objects.filter(tenant=workspace.tenant).update(trial_used_at="2020-01-01T00:00Z")
    session = checkout(workspace, plan)
    # What others' months have left to tell comes first.
    fake.do("deliver")
    fake.do(f"sessions/{session['session_id']}/pay", card=card)
    wait_for(lambda: subscription_of(workspace).plan_id == plan)
    return session


def wait_for(done: Callable[[], bool], patience_s: float = 60) -> None:
    until = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def status_is(workspace: Workspace, status: str) -> Callable[[], bool]:
    return lambda: subscription_of(workspace).status == status


def actions(workspace: Workspace) -> list[str]:
    rows = AuditEvent.objects.filter(tenant=workspace.tenant).order_by("at", "pk")
    return list(rows.values_list("action", flat=True))
