"""The first page of the settings: who is a member, who is invited. Owners and admins change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from rest_framework.exceptions import ValidationError

from tenants import accounts, addresses, invitations, members, roles
from tenants.access import allowed, membership_of
from tenants.apikeys import living
from tenants.members import Refused
from tenants.models import Invitation, Membership, Role
from tenants.paging import Order
from tenants.roles import Action
from tenants.settings_forms import InviteForm, RoleForm, TransferForm, posted

PAGE = 100
LONGEST_SEARCH = 100
_ORDER = Order("team-page", ["id"])
# What sets a role apart, in a line.
SUMMARIES: dict[str, Promise] = {
    Role.OWNER: gettext_lazy("Everything, also naming owners and deleting the workspace"),
    Role.ADMIN: gettext_lazy("Everything but what is for owners"),
    Role.DEVELOPER: gettext_lazy("Keys, routes, the playground, the cache with its prompts and answers"),
    Role.FINANCE: gettext_lazy("Plan, budgets, invoices, sharing the savings; no prompts or answers"),
    Role.VIEWER: gettext_lazy("Looks at figures, changes nothing"),
}


class Person(NamedTuple):
    member: Membership
    has_two_factors: bool
    can_be_changed: bool


@allowed(Action.FIGURES)
@require_GET
def team(request: HttpRequest, slug: str) -> HttpResponseBase:
    return _team(request, InviteForm(by_role=membership_of(request).role))


def _team(request: HttpRequest, form: InviteForm, status: int = 200) -> HttpResponseBase:
    me = membership_of(request)
    found = Membership.objects.filter(tenant=me.tenant).select_related("user")
    asked = request.GET.get("q", "").replace("\x00", "").strip()[:LONGEST_SEARCH]
    if asked:
        found = found.filter(Q(user__email__icontains=asked) | Q(user__name__icontains=asked))
    try:
        page = _ORDER.page(found, PAGE, request.GET.get("after"))
    except ValidationError:
        return redirect("settings", me.tenant.slug)
    manages = roles.may(me.role, Action.TEAM)
    context = {
        "people": _people(page.rows, me),
        "after": page.next,
        "asked": asked,
        "is_long": bool(asked or page.next or request.GET.get("after")),
        "form": form,
        "waiting": invitations.waiting(me.tenant) if manages else [],
        "mail_is_logged": accounts.mail_is_logged(),
    }
    return render(request, "tenants/settings/team.html", context, status=status)


def _people(rows: Sequence[Membership], me: Membership) -> list[Person]:
    factors = Authenticator.objects.filter(user__in=[row.user_id for row in rows])
    secured = set(factors.exclude(type=Authenticator.Type.RECOVERY_CODES).values_list("user_id", flat=True))
    return [Person(row, row.user_id in secured, _reaches(me, row)) for row in rows]


def _reaches(me: Membership, other: Membership) -> bool:
    return roles.may(me.role, Action.TEAM) and members.reaches(me.role, other.role)


@allowed(Action.TEAM)
@require_POST
def invite(request: HttpRequest, slug: str) -> HttpResponseBase:
    me = membership_of(request)
    form = InviteForm(request.POST, by_role=me.role)
    if form.is_valid():
        email, role = form.cleaned_data["email"], form.cleaned_data["role"]
        try:
            invitations.invite(me.user, me.tenant, email, role, ip=addresses.client_address(request))
        except Refused as error:
            form.add_error("email", str(error))
        else:
            messages.success(request, _("%(email)s gets a letter with a link.") % {"email": email.lower()})
            return redirect("settings", slug)
    return _team(request, form, status=400)


@allowed(Action.TEAM)
@require_POST
def send_again(request: HttpRequest, slug: str, id: int) -> HttpResponseBase:
    return _on_invitation(request, id, invitations.send_again, _("%(email)s gets another letter. The old link ended."))


@allowed(Action.TEAM)
@require_POST
def withdraw(request: HttpRequest, slug: str, id: int) -> HttpResponseBase:
    return _on_invitation(request, id, invitations.withdraw, _("%(email)s is not invited any more."))


def _on_invitation(request: HttpRequest, id: int, act: Callable[..., None], done: str) -> HttpResponseBase:
    me = membership_of(request)
    found = Invitation.objects.select_related("tenant", "invited_by").filter(tenant=me.tenant, pk=id)
    invitation = found.first() if id < 2**63 else None
    if invitation is None:
        raise Http404
    try:
        act(me.user, invitation, ip=addresses.client_address(request))
    except Refused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done % {"email": invitation.email})
    return redirect("settings", me.tenant.slug)


def _find(request: HttpRequest, user_id: int) -> Membership:
    found = members.find(membership_of(request).tenant, user_id)
    if found is None:
        raise Http404
    return found


@allowed(Action.TEAM)
@require_http_methods(["GET", "POST"])
def member(request: HttpRequest, slug: str, id: int) -> HttpResponseBase:
    """One person: another role, or out."""
    me, other = membership_of(request), _find(request, id)
    form = RoleForm(posted(request), by_role=me.role, initial={"role": other.role})
    if request.method == "POST" and form.is_valid():
        try:
            members.change_role(me.user, other, form.cleaned_data["role"], ip=addresses.client_address(request))
        except Refused as error:
            form.add_error("role", str(error))
        else:
            messages.success(request, _("%(person)s has that role now.") % {"person": other.user.email})
            return redirect("settings", slug)
    context = {
        "person": Person(other, False, _reaches(me, other)),
        "is_me": other.pk == me.pk,
        "form": form,
        "choices": [(value, label, SUMMARIES[value]) for value, label in form.fields["role"].choices],  # type: ignore[attr-defined]
    }
    return render(request, "tenants/settings/member.html", context, status=400 if form.errors else 200)


@allowed(Action.TEAM)
@require_http_methods(["GET", "POST"])
def remove(request: HttpRequest, slug: str, id: int) -> HttpResponseBase:
    """Asks once."""
    me, other = membership_of(request), _find(request, id)
    if other.pk == me.pk:
        return redirect("leave", slug)
    if request.method == "POST":
        try:
            members.remove(me.user, other, ip=addresses.client_address(request))
        except Refused as error:
            messages.error(request, str(error))
        else:
            messages.success(request, _("%(person)s is no member any more.") % {"person": other.user.email})
        return redirect("settings", slug)
    context = {"person": Person(other, False, _reaches(me, other)), "keys": _keys_of(other)}
    return render(request, "tenants/settings/remove.html", context)


def _keys_of(member: Membership) -> int:
    return living(member.tenant).filter(created_by=member.user_id).count()


@allowed(Action.FIGURES)
@require_http_methods(["GET", "POST"])
def leave(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Asks once."""
    me = membership_of(request)
    why = ""
    if request.method == "POST":
        try:
            members.leave(me, ip=addresses.client_address(request))
        except Refused as error:
            why = str(error)
        else:
            messages.success(request, _("You have left %(workspace)s.") % {"workspace": me.tenant.name})
            return redirect("workspaces")
    context = {"keys": _keys_of(me), "why": why}
    return render(request, "tenants/settings/leave.html", context, status=400 if why else 200)


@allowed(Action.OWNERSHIP)
@require_http_methods(["GET", "POST"])
def transfer(request: HttpRequest, slug: str) -> HttpResponse:
    """Asks for a member and for the workspace's name."""
    me = membership_of(request)
    form = TransferForm(posted(request), tenant=me.tenant, user_id=me.user_id)
    if request.method == "POST" and form.is_valid():
        heir: Membership = form.cleaned_data["heir"]
        try:
            members.transfer(me.user, heir, ip=addresses.client_address(request))
        except Refused as error:
            form.add_error("heir", str(error))
        else:
            told = {"person": heir.user.email, "workspace": me.tenant.name}
            messages.success(request, _("%(person)s owns %(workspace)s now. You are an admin.") % told)
            return redirect("settings", slug)
    return render(request, "tenants/settings/transfer.html", {"form": form}, status=400 if form.errors else 200)
