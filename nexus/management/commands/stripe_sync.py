"""Makes Stripe know our plans and where to tell of payments."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from billing.stripe import configuration, endpoints, products
from billing.stripe.errors import BillingError


class Command(BaseCommand):
    help = (
        "Makes or updates Stripe's products, prices, meters, customer portal and webhook endpoint from the plans here."
        " Run it after a plan's price or NEXUS_PUBLIC_URL has changed; any number of times."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            configuration.require()
            for step in (products.sync, endpoints.sync):
                for done in step():
                    self.stdout.write(f"{done.what:<8} {done.name:<30} {done.did:<12} {done.id}")
        except BillingError as error:
            raise CommandError(f"{error}{_hint(error)}") from error
        mode = "live: real cards are charged" if settings.STRIPE_LIVE_MODE else "test: no card is charged"
        self.stdout.write(f"Stripe is ready ({mode}).")


def _hint(error: BillingError) -> str:
    if error.code == "stripe_refused" and "url" in str(error).lower():
        return (
            f"\nStripe must reach NEXUS_PUBLIC_URL ({settings.PUBLIC_URL}) from the internet. Set it to such an"
            " address (a tunnel to this machine will do), restart, and run this again: the rest is done."
        )
    return ""
