"""An operator looks at a workspace's pages as its people see them: with a reason, for an hour, and only to look.

Their role there is viewer. Prompts and answers they see only while the workspace lets support in (tenants.support), and
nothing but GET is answered. The session keeps it, so it ends with that; start and end are in the workspace's audit log.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple, cast

from django.conf import settings
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext

from tenants import addresses, audit, roles, support
from tenants.audit import By
from tenants.models import Membership, Role, Tenant, User

LASTS = dt.timedelta(minutes=60)
REASON_LENGTH = 200
METHODS = frozenset({"GET", "HEAD"})
PERMISSION = "tenants.change_tenant"
# base.html shows the banner while the session has it.
_KEY = "impersonation"


class Refused(ValueError):
    """Says why in a sentence."""


class Looking(NamedTuple):
    operator_id: int
    tenant_id: int
    slug: str
    name: str
    reason: str
    until: dt.datetime


def start(request: HttpRequest, tenant: Tenant, reason: str) -> Looking:
    """Ends what was looked at before. Raises Refused."""
    operator, reason = cast(User, request.user), reason.strip()
    if not reason or len(reason) > REASON_LENGTH or not reason.isprintable():
        raise Refused(gettext("Give a reason, of %(most)s printable characters at most.") % {"most": REASON_LENGTH})
    if Membership.objects.filter(user=operator, tenant=tenant).exists():
        raise Refused(gettext("You are a member of this workspace: open it as such."))
    end(request, "another workspace")
    looking = Looking(operator.pk, tenant.pk, tenant.slug, tenant.name, reason, timezone.now() + LASTS)
    after = {"reason": reason, "until": looking.until.isoformat(timespec="seconds")}
    with transaction.atomic():
        audit.record("support.entered", tenant=tenant, target=tenant.slug, after=after, **audit.by_of(request))
        request.session[_KEY] = {**looking._asdict(), "until": looking.until.isoformat()}
    return looking


def end(request: HttpRequest, why: str) -> None:
    """`why` is for the audit log. Where nothing was begun, nothing happens."""
    kept: dict[str, Any] | None = request.session.pop(_KEY, None)
    if kept is None:
        return
    # Of one that was deleted meanwhile, nothing is left to write to.
    if (tenant := Tenant.objects.filter(pk=kept["tenant_id"]).first()) is not None:
        operator = User.objects.filter(pk=kept["operator_id"]).first()
        by: By = {"actor": operator, "ip": addresses.client_address(request)}
        after = {"reason": kept["reason"], "ended_by": why}
        audit.record("support.left", tenant=tenant, target=tenant.slug, after=after, **by)


def current(request: HttpRequest) -> Looking | None:
    """What is being looked at; one whose time is over ends here."""
    kept: dict[str, Any] | None = request.session.get(_KEY)
    if kept is None:
        return None
    looking = Looking(**{**kept, "until": dt.datetime.fromisoformat(kept["until"])})
    if looking.until > timezone.now() and looking.operator_id == request.user.pk:
        return looking
    end(request, "its time was over")
    return None


def end_if_over(request: HttpRequest) -> None:
    """Before any page, so that none says it goes on. Who has no session is not asked."""
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        current(request)


def find_membership(request: HttpRequest, slug: str) -> Membership | None:
    """Of the operator who looks at this workspace: one that is in no table."""
    user = cast(User, request.user)
    looking = current(request) if may(user) else None
    if looking is None or looking.slug != slug:
        return None
    tenant = Tenant.objects.filter(pk=looking.tenant_id, slug=slug).first()
    if tenant is None:
        return None
    role = roles.SUPPORT if support.is_open(tenant) else Role.VIEWER.value
    return Membership(user=user, tenant=tenant, role=role)


def may(user: User) -> bool:
    """Asked at every page: who is no operator any more sees nothing any more."""
    return user.is_active and user.is_staff and user.has_perm(PERMISSION)


def is_refused(request: HttpRequest, membership: Membership) -> bool:
    """Whoever looks changes nothing: no key, no invitation, no checkout, no transfer."""
    return membership.pk is None and request.method not in METHODS


@receiver(user_logged_out)
def end_at_logout(request: HttpRequest | None, **_: Any) -> None:
    if request is not None and hasattr(request, "session"):
        end(request, "logging out")
