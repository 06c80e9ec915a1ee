"""How often a minute a workspace may do what keeps Stripe busy: by its API and on its pages together."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tenants import keyspace, pace
from tenants.models import Tenant

ACTS_PER_MINUTE, LISTS_PER_MINUTE = 20, 60
ARRANGED = _("Payments can be arranged %(times)s times a minute. Try again in %(seconds)s s.")
LISTED = _("Invoices can be listed %(times)s times a minute. Try again in %(seconds)s s.")


def count_act(tenant: Tenant) -> None:
    """To buy, change, preview, cancel, resume, open the portal, or come back from there. Raises TooOften."""
    pace.count(keyspace.billing_calls(tenant.pk, "act"), ACTS_PER_MINUTE, ARRANGED)


def count_list(tenant: Tenant) -> None:
    """In the API, and on the page. Raises TooOften."""
    pace.count(keyspace.billing_calls(tenant.pk, "list"), LISTS_PER_MINUTE, LISTED)
