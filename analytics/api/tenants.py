"""All workspaces, for the platform's operators: found, made, changed, suspended, deleted. Needs the scope “operator”,
which is given in the operators' admin only. Every change is in the audit log of the workspace it is about.
"""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from redis.exceptions import RedisError
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from billing import subscriptions
from billing.models import Plan
from tenants import apikeys, deletion, provisioning, suspension, workspaces
from tenants.authentication import MayOperate
from tenants.bodies import Body
from tenants.management_views import Conflict, ManagementView, Unavailable, missing, printable, read
from tenants.models import Tenant, User
from tenants.paging import Order, PageQuery
from tenants.roles import ADMIN_SCOPE

_ORDER = Order("tenants", ["id"], descending=True)
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


class TenantsQuery(PageQuery):
    q = serializers.CharField(max_length=120, required=False, validators=[printable], help_text="In name, slug, email.")
    status = serializers.ChoiceField(Tenant.Status.choices, required=False, help_text="All but deleted without it.")
    plan = serializers.SlugField(max_length=32, required=False)


class TenantFields(Body):
    plan = serializers.SlugField(max_length=32, required=False)
    overrides = serializers.DictField(required=False, help_text="Limits that replace the plan's; all of them.")

    def validate_plan(self, code: str) -> str:
        if not Plan.objects.filter(code=code).exists():
            known = ", ".join(Plan.objects.values_list("code", flat=True))
            raise serializers.ValidationError(f"There is no plan “{code}”. There are: {known}.")
        return code

    def validate_overrides(self, overrides: dict[str, Any]) -> dict[str, Any]:
        try:
            subscriptions.check_overrides(overrides)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        return overrides


class TenantBody(TenantFields):
    name = serializers.CharField(max_length=120, validators=[printable])
    email = serializers.EmailField(max_length=254, help_text="The owner's; they get an account if they have none.")
    slug = serializers.CharField(max_length=48, required=False, help_text="Of its address; made of the name without.")

    def validate_slug(self, slug: str) -> str:
        if not _SLUG.fullmatch(slug) or slug in provisioning.RESERVED_SLUGS:
            raise serializers.ValidationError("Small letters, digits and dashes between them; and not a reserved word.")
        return slug


class TenantPatch(TenantFields):
    name = serializers.CharField(max_length=120, required=False, validators=[printable])
    email = serializers.EmailField(max_length=254, required=False, help_text="Where alerts and invoices go.")
    status = serializers.ChoiceField([Tenant.Status.ACTIVE.value, Tenant.Status.SUSPENDED.value], required=False)
    retention_days = serializers.IntegerField(
        min_value=1, allow_null=True, required=False, help_text="Of usage records; at most the plan's, as null."
    )


class TenantSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    id = serializers.IntegerField()
    slug = serializers.CharField()
    name = serializers.CharField()
    email = serializers.CharField()
    status = serializers.CharField(help_text="active, suspended or deleted.")
    plan = serializers.CharField()
    overrides = serializers.DictField()
    retention_days = serializers.IntegerField(help_text="Usage records are kept this long.")
    created_at = serializers.DateTimeField()
    dashboard_url = serializers.URLField()


class MadeTenantSerializer(TenantSerializer):
    api_key = serializers.CharField(help_text="The owner's, with the scope “admin”. Shown once: keep it.")


class TenantsSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    data = TenantSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="The next page's `cursor`; null: this is the last.")


class ConfirmQuery(Body):
    confirm = serializers.CharField(max_length=48, help_text="The workspace's slug: this cannot be undone.")


class OperatorView(ManagementView):
    permission_classes = (MayOperate,)

    def find(self, tenant_id: int, *, deleted: bool = False, lock: bool = False) -> Tenant:
        """Raises NotFound; also for a deleted one, unless it is asked for."""
        found = _whole(deleted)
        if lock:
            found = found.select_for_update(of=("self",), no_key=True)
        tenant = found.filter(pk=tenant_id).first()
        if tenant is None:
            raise missing("workspace", str(tenant_id))
        return tenant

    def refuse_own(self, tenant: Tenant, what: str) -> None:
        """Raises Conflict."""
        if tenant.pk == self.key.tenant_id:
            raise Conflict(f"This is the workspace of the key that asks: it cannot be {what} with it.")


def shown(tenant: Tenant) -> dict[str, Any]:
    subscription = tenant.subscription
    same = {name: getattr(tenant, name) for name in ("id", "slug", "name", "email", "status", "created_at")}
    plan = {name: getattr(subscription, name) for name in ("overrides", "retention_days")}
    url = f"{settings.PUBLIC_URL}/t/{tenant.slug}/"
    return dict(
        TenantSerializer({"object": "tenant", **same, "plan": subscription.plan_id, **plan, "dashboard_url": url}).data
    )


class TenantsView(OperatorView):
    """The workspaces, newest first."""

    @extend_schema(operation_id="list_tenants", parameters=[TenantsQuery], responses=TenantsSerializer)
    def get(self, request: Request) -> Response:
        query = read(TenantsQuery(data=request.query_params.dict()))
        rows, after = _ORDER.page(_found(query), query["limit"], query.get("cursor"))
        return Response({"object": "list", "data": [shown(tenant) for tenant in rows], "next": after})

    @extend_schema(operation_id="create_tenant", request=TenantBody, responses={201: MadeTenantSerializer})
    def post(self, request: Request) -> Response:
        """With its owner, and a key that may manage it."""
        body = read(TenantBody(data=request.data))
        by = self.by()
        try:
            with transaction.atomic():
                owner = _owner(body["email"].strip().lower())
                tenant = provisioning.create_tenant(
                    name=body["name"], email=owner.email, slug=body.get("slug"), owner=owner, **by
                )
                if "plan" in body or "overrides" in body:
                    plan = body.get("plan", tenant.subscription.plan_id)
                    subscriptions.change_plan(tenant, plan, overrides=body.get("overrides"), **by)
                issued = apikeys.issue(tenant, name="owner", created_by=owner, scopes=[ADMIN_SCOPE], **by)
        except provisioning.SlugTaken as error:
            raise Conflict(str(error), "name_taken") from error
        return Response({**shown(self.find(tenant.pk)), "api_key": issued.text}, status=201)


class TenantView(OperatorView):
    """One workspace, by its number."""

    @extend_schema(operation_id="read_tenant", responses=TenantSerializer)
    def get(self, request: Request, id: int) -> Response:
        return Response(shown(self.find(id, deleted=True)))

    @extend_schema(operation_id="change_tenant", request=TenantPatch, responses=TenantSerializer)
    def patch(self, request: Request, id: int) -> Response:
        """Whole or not at all; in effect within a second."""
        body = read(TenantPatch(data=request.data))
        try:
            with transaction.atomic():
                # Whoever deletes it meanwhile comes first, or waits.
                tenant = self.find(id, lock=True)
                if body.get("status") == Tenant.Status.SUSPENDED:
                    self.refuse_own(tenant, "suspended")
                self._change(tenant, body)
        except subscriptions.StripeDecides as error:
            raise Conflict(str(error)) from error
        return Response(shown(self.find(id)))

    def _change(self, tenant: Tenant, body: dict[str, Any]) -> None:
        by = self.by()
        if "plan" in body or "overrides" in body:
            plan = body.get("plan", tenant.subscription.plan_id)
            subscriptions.change_plan(tenant, plan, overrides=body.get("overrides"), **by)
        if "status" in body:
            act = suspension.suspend if body["status"] == Tenant.Status.SUSPENDED else suspension.reactivate
            act(tenant, **by)
        if body.get("retention_days") is not None:
            most = Plan.objects.get(subscriptions__tenant=tenant).retention_days
            if body["retention_days"] > most:
                raise ValidationError({"retention_days": f"The plan keeps records for {most} days at most."})
        named = ("name", "email", "retention_days")
        workspaces.change(tenant, {name: body[name] for name in named if name in body}, **by)

    @extend_schema(operation_id="delete_tenant", parameters=[ConfirmQuery], request=None, responses={204: None})
    def delete(self, request: Request, id: int) -> Response:
        """For good: keys, people, everything asked and answered. The ledger stays, without a name. What was cut off is
        completed by a second call."""
        tenant = self.find(id, deleted=True)
        confirm = read(ConfirmQuery(data=request.query_params.dict()))["confirm"]
        if not deletion.is_finished(tenant):
            if confirm != tenant.slug:
                raise ValidationError({"confirm": "This is not the workspace's slug."})
            self.refuse_own(tenant, "deleted")
            if tenant.subscription.is_stripes:
                raise Conflict("It pays through Stripe, which would go on. Cancel its subscription there first.")
            try:
                deletion.delete(tenant, **self.by())
            except RedisError as error:
                raise Unavailable("Redis has some of it still and cannot be reached. Delete it again.") from error
        return Response(status=204)


def _whole(deleted: bool) -> QuerySet[Tenant]:
    """Without what somebody made by hand, or half: such a one has no subscription."""
    everyone = Tenant.everyone if deleted else Tenant.objects
    return everyone.select_related("subscription__plan").exclude(subscription=None).filter(internal=False)


def _found(query: dict[str, Any]) -> QuerySet[Tenant]:
    deleted = query.get("status") == Tenant.Status.DELETED
    found = _whole(deleted)
    if "status" in query:
        found = found.filter(status=query["status"])
    if "plan" in query:
        found = found.filter(subscription__plan=query["plan"])
    if "q" in query:
        named = Q()
        for field in ("name", "slug", "email"):
            named |= Q(**{f"{field}__icontains": query["q"]})
        found = found.filter(named)
    return found


def _owner(email: str) -> User:
    """Who has this address, or a new account without a password. Raises ValidationError."""
    try:
        user = User.objects.filter(email=email).first()
        if user is None:
            with transaction.atomic():
                user = User.objects.create_user(email)
    except IntegrityError:
        # Another request has just made it.
        user = User.objects.get(email=email)
    if not user.is_active:
        raise ValidationError({"email": "This account is deactivated."})
    return user
