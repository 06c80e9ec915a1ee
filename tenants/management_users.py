"""Who is a member of a workspace, managed by its own programs. Refuses to make, change or remove owners: that is for
people (tenants.roles).

Members must have signed up and confirmed their address: anybody could have signed up with it before them. Invitations
by mail are not sent from here.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import members, roles
from tenants.bodies import Body
from tenants.management_views import Conflict, ManagementView, missing, read
from tenants.models import ApiKey, Membership, Role, Tenant, User
from tenants.paging import Order, PageQuery
from tenants.roles import Action

_ORDER = Order("users", ["id"])


class RoleBody(Body):
    role = serializers.ChoiceField(Role.choices)


class MemberBody(Body):
    email = serializers.EmailField(
        max_length=254, help_text="Of somebody who has signed up and has confirmed the address."
    )
    role = serializers.ChoiceField(Role.choices, default=Role.VIEWER)


class MemberSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    id = serializers.IntegerField()
    email = serializers.EmailField()
    name = serializers.CharField()
    role = serializers.ChoiceField(Role.choices)
    active = serializers.BooleanField(help_text="Whether they can log in.")
    last_login = serializers.DateTimeField(allow_null=True)
    member_since = serializers.DateTimeField()


class MembersSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    data = MemberSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="The next page's `cursor`; null: this is the last.")


def shown(member: Membership) -> dict[str, Any]:
    user = member.user
    facts = {name: getattr(user, name) for name in ("id", "email", "name", "last_login")}
    since = {"member_since": member.created_at}
    return dict(
        MemberSerializer({"object": "user", **facts, "role": member.role, "active": user.is_active, **since}).data
    )


class UsersView(ManagementView):
    """The workspace's members."""

    action = Action.TEAM

    @extend_schema(operation_id="list_users", parameters=[PageQuery], responses=MembersSerializer)
    def get(self, request: Request) -> Response:
        query = read(PageQuery(data=request.query_params.dict()))
        found = Membership.objects.filter(tenant=self.key.tenant).select_related("user")
        rows, after = _ORDER.page(found, query["limit"], query.get("cursor"))
        return Response({"object": "list", "data": [shown(member) for member in rows], "next": after})

    @extend_schema(operation_id="add_user", request=MemberBody, responses={201: MemberSerializer})
    def post(self, request: Request) -> Response:
        """Somebody with an account and a confirmed address; they see the workspace at once. Nobody is written to."""
        body = read(MemberBody(data=request.data))
        _check_no_owner(body["role"])
        email = body["email"].strip().lower()
        with self.changing(affects_calls=False):
            user = User.objects.filter(email=email, is_active=True).first()
            if user is None:
                why = "Nobody with this address has signed up, or they are deactivated. They can at /signup/."
                raise ValidationError({"email": why})
            if Membership.objects.filter(tenant=self.key.tenant, user=user).exists():
                raise Conflict(f"{email} is a member already; PATCH changes the role.", "name_taken")
            _check_may_join(user, self.key.tenant)
            member = Membership.objects.create(user=user, tenant=self.key.tenant, role=body["role"])
            self.record("member.added", email, after={"role": member.role})
        return Response(shown(member), status=201)


class UserView(ManagementView):
    """One member, by the person's id."""

    action = Action.TEAM

    @extend_schema(operation_id="read_user", responses=MemberSerializer)
    def get(self, request: Request, id: int) -> Response:
        return Response(shown(_find(self.key, id)))

    @extend_schema(operation_id="change_user", request=RoleBody, responses=MemberSerializer)
    def patch(self, request: Request, id: int) -> Response:
        role = read(RoleBody(data=request.data))["role"]
        with self.changing(affects_calls=False):
            member = _find(self.key, id)
            before = member.role
            _check_no_owner(before, role)
            member.role = role
            member.save(update_fields=["role"])
            self.record("member.changed", member.user.email, before={"role": before}, after={"role": role})
        return Response(shown(member))

    @extend_schema(operation_id="remove_user", request=None, responses={204: None})
    def delete(self, request: Request, id: int) -> Response:
        """From this workspace; the account stays. Keys they have made go on."""
        with self.changing(affects_calls=False):
            member = _find(self.key, id)
            _check_no_owner(member.role)
            self.record("member.removed", member.user.email, before={"role": member.role})
            member.delete()
        return Response(status=204)


def _find(asking: ApiKey, user_id: int) -> Membership:
    """Raises NotFound."""
    # Larger ones are no ids, and Postgres would complain.
    found = Membership.objects.select_related("user").filter(tenant=asking.tenant)
    member = found.filter(user_id=user_id).first() if user_id < 2**63 else None
    if member is None:
        raise missing("user", str(user_id))
    return member


def _check_may_join(user: User, tenant: Tenant) -> None:
    """Raises ValidationError, Conflict."""
    try:
        members.check_confirmed(user)
    except members.Unconfirmed as refusal:
        raise ValidationError({"email": str(refusal)}) from None
    try:
        members.check_room(tenant)
    except members.Refused as refusal:
        raise Conflict(str(refusal), "limit_reached") from None


def _check_no_owner(*touched: str) -> None:
    """Raises PermissionDenied."""
    if Role.OWNER in touched:
        who = " or ".join(roles.who_may(Action.OWNERSHIP))
        raise PermissionDenied(
            f"No API key may name owners, or change and remove them. An {who} can, who has logged in.", "forbidden"
        )
