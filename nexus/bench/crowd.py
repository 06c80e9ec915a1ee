"""The workspaces that a bench asks as: each with its plan's limits lifted or set, and a provider account of its own,
by whose mark its answers are known.
"""

from __future__ import annotations

import dataclasses
import uuid

from nexus.bench.marked import mark_of


@dataclasses.dataclass(frozen=True, slots=True)
class Workspace:
    """`keys` are those that apps send, `mark` that of its answers. `limit` is its only one, 0 for none."""

    name: str
    id: int
    keys: tuple[str, ...]
    mark: str
    limit: float = 0


def make(name: str, provider_url: str, *, keys: int = 1, limit: str = "", amount: float = 0) -> Workspace:
    """For sync code. `limit` is the name of the only one it has (tenants.limits)."""
    # They need Django's models.
    from billing import subscriptions
    from gateway import setups
    from tenants import apikeys, registration
    from tenants.limits import LIMIT_FIELDS

    made = registration.register(f"{name}-{uuid.uuid4().hex[:12]}@example.com")
    limits = dict.fromkeys(LIMIT_FIELDS) | ({limit: amount if "usd" in limit else int(amount)} if limit else {})
    subscriptions.change_plan(made.tenant, "scale", overrides=limits)
    credential = f"sk-{uuid.uuid4().hex}"
    setups.configure_provider(made.tenant, name="upstream", kind="openai", base_url=provider_url, api_key=credential)
    issued = [made.issued, *(apikeys.issue(made.tenant, name=f"app {more}") for more in range(1, keys))]
    return Workspace(name, made.tenant.pk, tuple(one.text for one in issued), mark_of(credential), amount)
