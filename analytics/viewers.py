"""Who looks at a live page over a WebSocket, and whether they still may: asked before every update, of all at once."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from tenants.models import Membership, Tenant, User

LOGGED_OUT, NOT_A_MEMBER = 4401, 4404


class Viewer(NamedTuple):
    user_id: int
    session_key: str


class Admitted(NamedTuple):
    """`tenant` is None when nobody may see it; `refused` has the code that closes each other's socket."""

    tenant: Tenant | None
    refused: dict[Viewer, int]


def admit(tenant_id: int, viewers: Collection[Viewer]) -> Admitted:
    """Two queries, however many they are: a session may end, and a membership, while the page is open."""
    found = Session.objects.filter(session_key__in={one.session_key for one in viewers}, expire_date__gt=timezone.now())
    sessions = {session.session_key: session.get_decoded() for session in found}
    memberships = {
        membership.user_id: membership
        for membership in Membership.objects.select_related("tenant", "user").filter(
            tenant_id=tenant_id, user_id__in={one.user_id for one in viewers}
        )
    }
    refused, tenant = {}, None
    for viewer in viewers:
        membership = memberships.get(viewer.user_id)
        session = sessions.get(viewer.session_key)
        if session is None or session.get(SESSION_KEY) != str(viewer.user_id):
            refused[viewer] = LOGGED_OUT
        elif membership is None or not membership.user.is_active:
            refused[viewer] = NOT_A_MEMBER
        elif not _is_current(session, membership.user):
            refused[viewer] = LOGGED_OUT
        else:
            tenant = membership.tenant
    return Admitted(tenant, refused)


def _is_current(session: dict[str, str], user: User) -> bool:
    """A session from before the password was changed has ended with it."""
    return constant_time_compare(session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash())
