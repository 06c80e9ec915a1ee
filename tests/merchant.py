"""A merchant at the fake Stripe: the official SDK, a catalog, the fake's controls, and a receiver of webhooks."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx2
import stripe

from tests import servers

DAY_S = 86_400
KEY = "sk_test_" + "FakeStripeMerchant" * 2
VISA, DECLINED, FAILS_LATER = "4242424242424242", "4000000000000002", "4000000000000341"


class Merchant(NamedTuple):
    url: str
    client: stripe.StripeClient

    @property
    def api(self) -> Any:
        """The SDK's resources; its parameters are plain dicts here."""
        return self.client.v1

    def control(self, method: str, what: str, **given: Any) -> Any:
        answer = httpx2.request(method, f"{self.url}/_fake/{what}", json=given or None, timeout=60)
        return answer.json() | {"status_code": answer.status_code}

    def do(self, what: str, **given: Any) -> Any:
        answer = self.control("POST", what, **given)
        assert answer["status_code"] == 200, answer
        return answer

    def pass_days(self, days: float) -> None:
        self.do("advance", seconds=int(days * DAY_S))

    def price(self, cents: int, *, interval: str = "month", **more: Any) -> Any:
        product = self.api.products.create({"name": f"Plan of {cents}"})
        recurring = {"interval": interval}
        return self.api.prices.create(
            {"product": product.id, "currency": "usd", "unit_amount": cents, "recurring": recurring, **more}
        )

    def metered_price(self, event_name: str, tiers: list[Any]) -> Any:
        meter = self.api.billing.meters.create(
            {"display_name": event_name, "event_name": event_name, "default_aggregation": {"formula": "sum"}}
        )
        product = self.api.products.create({"name": event_name})
        recurring = {"interval": "month", "usage_type": "metered", "meter": meter.id}
        tiered = {"billing_scheme": "tiered", "tiers_mode": "graduated", "tiers": tiers, "recurring": recurring}
        return self.api.prices.create({"product": product.id, "currency": "usd", **tiered})

    def customer(self, card: str = VISA) -> Any:
        customer = self.api.customers.create({"email": "ada@example.com", "name": "Ada"})
        self.do(f"customers/{customer.id}/card", number=card)
        return customer

    def subscribe(self, *prices: Any, customer: Any = None, **more: Any) -> Any:
        customer = customer or self.customer()
        items = [{"price": price.id} for price in prices]
        return self.api.subscriptions.create({"customer": customer.id, "items": items, **more})

    def checkout(self, *prices: Any, **more: Any) -> Any:
        items = [
            {"price": price.id, **({} if price.recurring.usage_type == "metered" else {"quantity": 1})}
            for price in prices
        ]
        urls = {
            "success_url": "https://shop.example/paid?s={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://shop.example/",
        }
        return self.api.checkout.sessions.create({"mode": "subscription", "line_items": items, **urls, **more})

    def latest_invoice(self, subscription: Any) -> Any:
        return self.api.invoices.list({"subscription": subscription.id, "limit": 1}).data[0]

    def status(self, subscription: Any) -> str:
        return str(self.api.subscriptions.retrieve(subscription.id).status)

    def event_types(self) -> list[str]:
        return [event["type"] for event in self.control("GET", "events")["events"]]


@contextlib.contextmanager
def merchant() -> Iterator[Merchant]:
    with servers.running("tests.fakes.stripe:application", ready="/_fake/ready") as server:
        addresses: Any = {"api": server.url, "meter_events": server.url}
        yield Merchant(server.url, stripe.StripeClient(KEY, base_addresses=addresses, max_network_retries=0))


class Receiver:
    """Keeps what is posted to it, with its signature. Answers with the next of `answers`, then with 200."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, str]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((body, self.headers["Stripe-Signature"]))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Silent."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def events(self, secret: str) -> list[Any]:
        """What came, each verified as the SDK verifies it."""
        return [stripe.Webhook.construct_event(body.decode(), signed, secret) for body, signed in self.received]

    @contextlib.contextmanager
    def listening(self) -> Iterator[Receiver]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
