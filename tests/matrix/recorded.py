"""What the gateway has written down about a row's call."""

from __future__ import annotations

import time

from analytics.models import UsageRecord
from analytics.tasks import drain_usage
from tenants.db import schema_of
from tests.conftest import Workspace

PATIENCE_S = 10


def billed_to_who_left(workspace: Workspace, dialect: str, model: str) -> int:
    """Tokens of a call whose client left in the middle, once it has been booked."""
    until = time.monotonic() + PATIENCE_S
    while True:
        drain_usage()
        with schema_of(workspace.tenant):
            found = UsageRecord.objects.filter(dialect=dialect, model=model, status=499, error="client_left").first()
        if found is not None:
            return found.billed_tokens
        assert time.monotonic() < until, f"no {dialect} call of {model} is recorded whose client left"
        time.sleep(0.05)
