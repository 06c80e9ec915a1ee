"""Who is a member of a workspace: given another role, removed. Refuses to leave it without an owner, and to let
anybody but owners touch owners.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Unpack

from allauth.account.models import EmailAddress
from django.db import transaction
from django.utils.translation import gettext as _

from tenants import audit, roles
from tenants.audit import By
from tenants.models import Membership, Role, Tenant, User
from tenants.roles import Action

MAX_MEMBERS = 1_000


class Refused(ValueError):
    """What cannot be done, in words for who asked."""


class LastOwner(Refused):
    def __init__(self) -> None:
        super().__init__(_("This is the workspace's last owner. Make somebody else an owner first."))


class OwnersOnly(Refused):
    def __init__(self) -> None:
        super().__init__(_("Only an owner can name owners, or change and remove them."))


class Unconfirmed(Refused):
    def __init__(self, user: User) -> None:
        text = _("Nobody has confirmed %(email)s yet. An invitation confirms it: send one on the page “Team”.")
        super().__init__(text % {"email": user.email})


@contextlib.contextmanager
def changing(tenant: Tenant) -> Iterator[None]:
    """One change of a tenant at a time, as by the API (tenants.management_views). Raises Refused."""
    with transaction.atomic():
        if Tenant.objects.select_for_update(no_key=True).filter(pk=tenant.pk).first() is None:
            raise Refused(_("This workspace was deleted."))
        yield


def check_reach(acting: User, tenant: Tenant, action: Action, *touched: str) -> None:
    """Raises Refused unless this person may do it now, and to these roles. Within `changing`, so that it stays true."""
    role = Membership.objects.filter(tenant=tenant, user=acting).values_list("role", flat=True).first()
    if role is None or not roles.may(role, action):
        raise Refused(_("You may not do this any more: your role has changed."))
    if not reaches(role, *touched):
        raise OwnersOnly


def check_gives(acting: User, tenant: Tenant, scopes: Iterable[str] = ()) -> None:
    """Raises Refused unless this person may make, change and rotate a key with these scopes now. Within `changing`."""
    check_reach(acting, tenant, Action.KEYS)
    role = Membership.objects.get(tenant=tenant, user=acting).role
    if not set(scopes) <= roles.scopes_of(role):
        raise Refused(_("This key may do more than your role. Ask an owner or admin."))


def reaches(role: str, *touched: str) -> bool:
    """Whether somebody of this role may give, change and take these. Owners are for owners."""
    return Role.OWNER not in touched or roles.may(role, Action.OWNERSHIP)


def check_others_own(member: Membership) -> None:
    """Raises LastOwner."""
    if is_last_owner(member):
        raise LastOwner


def is_last_owner(member: Membership) -> bool:
    """Who cannot log in does not count."""
    if member.role != Role.OWNER:
        return False
    owners = Membership.objects.filter(tenant_id=member.tenant_id, role=Role.OWNER, user__is_active=True)
    return not owners.exclude(pk=member.pk).exists()


def check_confirmed(user: User) -> None:
    """Raises Refused for who has not shown that the address is theirs: anybody may have signed up with it."""
    if not EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists():
        raise Unconfirmed(user)


def check_room(tenant: Tenant, also: int = 0) -> None:
    """Raises Refused. `also`: those who are to come."""
    if Membership.objects.filter(tenant=tenant).count() + also >= MAX_MEMBERS:
        raise Refused(_("A workspace has %(most)d members at most.") % {"most": MAX_MEMBERS})


def find(tenant: Tenant, user_id: int) -> Membership | None:
    # Larger ones are no ids, and Postgres would complain.
    found = Membership.objects.select_related("user").filter(tenant=tenant, user_id=user_id)
    return found.first() if user_id < 2**63 else None


def change_role(acting: User, member: Membership, role: str, *, ip: str | None) -> None:
    """Raises Refused."""
    with changing(member.tenant):
        current = _current(member)
        check_reach(acting, member.tenant, Action.TEAM, current.role, role)
        if role == current.role:
            return
        if role != Role.OWNER:
            check_others_own(current)
        _set_role(current, role, actor=acting, ip=ip)


def remove(acting: User, member: Membership, *, ip: str | None) -> None:
    """From the workspace; the account stays. Keys they have made go on. Raises Refused."""
    with changing(member.tenant):
        current = _current(member)
        check_reach(acting, member.tenant, Action.TEAM, current.role)
        end(current, "member.removed", actor=acting, ip=ip)


def leave(member: Membership, *, ip: str | None) -> None:
    """Raises Refused."""
    with changing(member.tenant):
        current = _current(member)
        end(current, "member.left", actor=current.user, ip=ip)


def transfer(acting: User, heir: Membership, *, ip: str | None) -> None:
    """The heir becomes an owner, who acts an admin; other owners stay. Raises Refused."""
    with changing(heir.tenant):
        check_reach(acting, heir.tenant, Action.OWNERSHIP)
        to = _current(heir)
        if to.user_id == acting.pk or to.role == Role.OWNER:
            raise Refused(_("%(person)s is an owner already.") % {"person": to.user.email})
        if not to.user.is_active:
            raise Refused(_("%(person)s cannot log in: the account is deactivated.") % {"person": to.user.email})
        _set_role(to, Role.OWNER, actor=acting, ip=ip)
        _set_role(_current(Membership.objects.get(tenant=heir.tenant, user=acting)), Role.ADMIN, actor=acting, ip=ip)


def _current(member: Membership) -> Membership:
    """As it is now, under the lock. Raises Refused."""
    found = Membership.objects.select_related("user", "tenant").filter(pk=member.pk).first()
    if found is None:
        raise Refused(_("This person is no member any more."))
    return found


def _set_role(member: Membership, role: str, **by: Unpack[By]) -> None:
    before, member.role = member.role, role
    member.save(update_fields=["role"])
    change = {"before": {"role": before}, "after": {"role": str(role)}}
    audit.record("member.changed", tenant=member.tenant, target=member.user.email, **change, **by)


def end(member: Membership, action: str, **by: Unpack[By]) -> None:
    """Within `changing`. Raises LastOwner."""
    check_others_own(member)
    audit.record(action, tenant=member.tenant, target=member.user.email, before={"role": member.role}, **by)
    member.delete()
