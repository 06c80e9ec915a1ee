"""Invites people to a workspace by mail. The link in it is known to the mailbox alone: here is its SHA-256.

The row is the open invitation: accepted, declined or withdrawn it is gone, and the audit log has what happened.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import logging
import secrets
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from tenants import audit, keyspace, members, pace, roles
from tenants.handover import Away, hand_over
from tenants.members import Refused, changing, check_reach, reaches
from tenants.models import Invitation, Membership, Tenant, User
from tenants.roles import Action

logger = logging.getLogger(__name__)

LIFE = dt.timedelta(days=7)
# Of letters a workspace has sent in an hour: its name is in them, and anybody may be written to.
MAX_SENT, WINDOW_S = 60, 3600
SEND = "tenants.tasks.send_invitation"
TOKEN_LENGTH = 43


class State(StrEnum):
    UNSENT = "unsent"
    SENT = "sent"
    EXPIRED = "expired"
    # Who invited may not invite any more.
    VOID = "void"


class Waiting(NamedTuple):
    invitation: Invitation
    state: State


class Letter(NamedTuple):
    """What is to be sent; the token is nowhere else."""

    invitation: Invitation
    token: str


def invite(acting: User, tenant: Tenant, email: str, role: str, *, ip: str | None) -> Invitation:
    """Raises Refused. An expired one of the same address is replaced."""
    email = email.strip().lower()
    with changing(tenant):
        check_reach(acting, tenant, Action.TEAM, role)
        if Membership.objects.filter(tenant=tenant, user__email=email).exists():
            raise Refused(_("%(email)s is a member already. Change the role in the list.") % {"email": email})
        open_ones = Invitation.objects.filter(tenant=tenant, expires_at__gt=timezone.now())
        if open_ones.filter(email=email).exists():
            raise Refused(_("%(email)s is invited already. You can send it again below.") % {"email": email})
        members.check_room(tenant, also=open_ones.count())
        _count_sent(tenant)
        Invitation.objects.filter(tenant=tenant, email=email).delete()
        invitation = Invitation.objects.create(
            tenant=tenant, email=email, role=role, invited_by=acting, expires_at=timezone.now() + LIFE
        )
        audit.record("invitation.created", tenant=tenant, target=email, after={"role": role}, actor=acting, ip=ip)
        _send_later(invitation)
    return invitation


def send_again(acting: User, invitation: Invitation, *, ip: str | None) -> None:
    """With a new link and another week; the old link ends now. Raises Refused."""
    with changing(invitation.tenant):
        current = _current(invitation)
        check_reach(acting, current.tenant, Action.TEAM, current.role)
        _count_sent(current.tenant)
        current.token_sha256, current.sent_at = None, None
        current.expires_at, current.invited_by = timezone.now() + LIFE, acting
        current.save(update_fields=["token_sha256", "sent_at", "expires_at", "invited_by"])
        audit.record("invitation.sent_again", tenant=current.tenant, target=current.email, actor=acting, ip=ip)
        _send_later(current)


def withdraw(acting: User, invitation: Invitation, *, ip: str | None) -> None:
    """Raises Refused."""
    with changing(invitation.tenant):
        current = _current(invitation)
        check_reach(acting, current.tenant, Action.TEAM, current.role)
        _end(current, "invitation.withdrawn", acting, ip)


def letter(invitation_id: int) -> Letter | None:
    """With a new token; None when there is nothing to send: it is gone, or has been sent already."""
    with transaction.atomic():
        found = Invitation.objects.select_for_update(of=("self",)).select_related("tenant", "invited_by")
        invitation = found.filter(pk=invitation_id, sent_at=None, expires_at__gt=timezone.now()).first()
        if invitation is None:
            return None
        token = secrets.token_urlsafe(32)
        invitation.token_sha256 = _digest(token)
        invitation.save(update_fields=["token_sha256"])
    return Letter(invitation, token)


def find(token: str) -> Invitation | None:
    """One that can be accepted, by somebody at least."""
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return None
    open_ones = Invitation.objects.select_related("tenant", "invited_by").filter(expires_at__gt=timezone.now())
    invitation = open_ones.filter(token_sha256=_digest(token)).exclude(tenant__status=Tenant.Status.DELETED).first()
    return invitation if invitation is not None and is_backed(invitation) else None


def is_backed(invitation: Invitation) -> bool:
    """Whether who invited is still somebody who may: else a former admin could let friends in."""
    return not _unbacked([invitation])


def waiting(tenant: Tenant) -> list[Waiting]:
    """All that are not over, and what became of them; the newest first."""
    rows = list(Invitation.objects.filter(tenant=tenant).select_related("invited_by").order_by("-pk"))
    unbacked, now = _unbacked(rows), timezone.now()
    return [Waiting(row, _state(row, row.pk in unbacked, now)) for row in rows]


def _unbacked(rows: Sequence[Invitation]) -> set[int]:
    """All of one tenant."""
    inviters = Membership.objects.filter(user__in=[row.invited_by_id for row in rows], user__is_active=True)
    held = dict(inviters.filter(tenant__in={row.tenant_id for row in rows}).values_list("user_id", "role"))
    may = {user_id: role for user_id, role in held.items() if roles.may(role, Action.TEAM)}
    return {row.pk for row in rows if row.invited_by_id not in may or not reaches(may[row.invited_by_id], row.role)}


def _state(row: Invitation, is_unbacked: bool, now: dt.datetime) -> State:
    if is_unbacked:
        return State.VOID
    if row.expires_at <= now:
        return State.EXPIRED
    return State.UNSENT if row.sent_at is None else State.SENT


def accept(user: User, invitation: Invitation, *, ip: str | None) -> Membership:
    """Raises Refused. Of somebody who is a member by now, nothing changes."""
    with changing(invitation.tenant):
        current = _current(invitation)
        if current.token_sha256 != invitation.token_sha256 or not is_backed(current):
            raise Refused(_("This invitation was taken back. Ask for another one."))
        if user.email.lower() != current.email:
            raise Refused(_("This invitation is for another address."))
        member = Membership.objects.filter(tenant=current.tenant, user=user).first()
        if member is None:
            members.check_room(current.tenant)
            member = Membership.objects.create(tenant=current.tenant, user=user, role=current.role)
            after = {"role": member.role, "invited_by": str(current.invited_by)}
            audit.record("member.added", tenant=current.tenant, target=user.email, after=after, actor=user, ip=ip)
        current.delete()
    return member


def decline(user: User | None, invitation: Invitation, *, ip: str | None) -> None:
    """Raises Refused. Whoever has the link can, also without an account."""
    with changing(invitation.tenant):
        _end(_current(invitation), "invitation.declined", user, ip)


def _end(invitation: Invitation, action: str, actor: User | None, ip: str | None) -> None:
    audit.record(
        action,
        tenant=invitation.tenant,
        target=invitation.email,
        before={"role": invitation.role},
        actor=actor,
        actor_label="" if actor else invitation.email,
        ip=ip,
    )
    invitation.delete()


def _current(invitation: Invitation) -> Invitation:
    found = Invitation.objects.select_related("tenant", "invited_by").filter(pk=invitation.pk).first()
    if found is None:
        raise Refused(_("This invitation is not open any more."))
    return found


def _count_sent(tenant: Tenant) -> None:
    wait_s = pace.wait_s(keyspace.invitations(tenant.pk), MAX_SENT, window_s=WINDOW_S)
    if wait_s is not None:
        raise Refused(
            _("A workspace sends %(most)d invitations an hour at most. Try again in %(minutes)d minutes.")
            % {"most": MAX_SENT, "minutes": wait_s // 60 + 1}
        )


def _send_later(invitation: Invitation) -> None:
    transaction.on_commit(functools.partial(_send, invitation.pk))


def _send(invitation_id: int) -> None:
    try:
        hand_over(SEND, invitation_id)
    except Away as error:
        # It stays unsent, which the page shows, beside the button that sends it again.
        logger.error("the queue is away, and invitation %d waits: %s", invitation_id, error)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
