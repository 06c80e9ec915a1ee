"""Calls from the playground's page: through the pipeline, on a key of the workspace whose text nobody knows.

Limits, holds, cache, records and costs are those of any call; the key's own limits can be set on the page “Keys”.
"""

from __future__ import annotations

import psycopg
from django.db import transaction
from django.utils.translation import gettext
from psycopg_pool import PoolTimeout

from billing import plans
from gateway import admission, answers, pipeline, runtime
from gateway.dialects import playground_chat
from gateway.errors import GatewayError, Unavailable
from gateway.types import Reply
from tenants import apikeys, visits
from tenants.audit import By
from tenants.models import ApiKey, Tenant
from tenants.principal import Principal
from tenants.roles import Action

KEY_NAME = "Playground"
# No person can give it to a key, nor rotate a key that has it: so this one is told from all others.
SCOPE = Action.PLAYGROUND.value


def find_key(tenant: Tenant, by: By) -> ApiKey:
    """The workspace's key for it, made on first use, or after it was revoked. Raises TooManyKeys."""
    key = _living(tenant)
    if key is not None:
        return key
    with transaction.atomic():
        # Two columns ask at once.
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        key = _living(tenant)
        if key is None:
            apikeys.check_room(tenant)
            issued = apikeys.issue(tenant, name=KEY_NAME, scopes=[SCOPE], created_by=by["actor"], ip=by["ip"])
            key = issued.key
    return key


def _living(tenant: Tenant) -> ApiKey | None:
    return apikeys.living(tenant).filter(scopes__contains=[SCOPE]).order_by("pk").first()


async def answer(public_id: str, headers: dict[bytes, bytes], body: bytes) -> Reply:
    """In the playground's dialect, also where it is refused."""
    visit = visits.CURRENT.get()
    request_id = visit.request_id if visit is not None else admission.new_id()
    try:
        gateway = await runtime.current()
        principal = await _load(gateway, public_id)
        incoming = admission.Incoming(playground_chat, headers, body, request_id)
        admitted = await pipeline.admit(gateway, principal, incoming)
        return admitted if isinstance(admitted, Reply) else await pipeline.serve(gateway, admitted)
    except GatewayError as error:
        return answers.refusal(error, playground_chat, request_id)


async def _load(gateway: runtime.Gateway, public_id: str) -> Principal:
    """As it is now: it may have been revoked in this moment. Raises Unauthorized, Forbidden, Unavailable."""
    try:
        principal = await plans.load_principal(gateway.pool, public_id)
    except (psycopg.Error, PoolTimeout) as error:
        raise Unavailable(gettext("The database cannot be reached; try again in a moment."), retry_after_s=2) from error
    return admission.check(principal)
