"""What the apps above hear of usage."""

from __future__ import annotations

from django.dispatch import Signal

# `tenant`, and the `events` that are new, within the transaction that books them.
records_booked = Signal()
# `tenant`, and its `comparison`: the billing.models.Reconciliation of a period whose books differ, as it was saved.
drift_found = Signal()
