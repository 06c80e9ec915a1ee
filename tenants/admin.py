"""The operators' admin: who the tenants are and what they may do. Shows `public` only, never what tenants ask."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from tenants import addresses, apikeys, audit, provisioning
from tenants.models import ApiKey, AuditEvent, Membership, Tenant, User

# Rights come from `is_superuser` and from memberships. django.contrib.auth's admin is imported first, by its place in
# INSTALLED_APPS or here.
if admin.site.is_registered(Group):
    admin.site.unregister(Group)


def actor(request: HttpRequest) -> dict[str, Any]:
    """Who acts, and from where: for the audit log."""
    return {"actor": cast(User, request.user), "ip": addresses.client_address(request)}


class ReadOnly:
    """For what programs write and people look at."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MembershipInline(TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ("user",)
    readonly_fields = ("created_at",)


class KeyInline(ReadOnly, TabularInline):
    model = ApiKey
    extra = 0
    fields = ("name", "public_id", "created_at", "last_used_at", "expires_at", "revoked_at")
    readonly_fields = fields


@admin.register(Tenant)
class TenantAdmin(ModelAdmin):
    list_display = ("name", "slug", "email", "status", "plan", "created_at")
    list_filter = ("status", "subscription__plan")
    search_fields = ("name", "slug", "email")
    readonly_fields = ("schema_name", "status", "created_at")
    fields = ("name", "slug", "email", "status", "schema_name", "created_at")
    inlines = (MembershipInline, KeyInline)
    actions = ("suspend", "reactivate")
    list_select_related = ("subscription__plan",)

    @admin.display(ordering="subscription__plan__position")
    def plan(self, tenant: Tenant) -> str:
        return str(tenant.subscription.plan)

    def get_inlines(self, request: HttpRequest, obj: Tenant | None) -> Any:
        # Members and keys need a tenant that exists.
        return self.inlines if obj is not None else ()

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> Any:
        # Links and apps use the slug.
        return (*self.readonly_fields, "slug") if obj is not None else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Tenant, form: ModelForm[Tenant], change: bool) -> None:
        if not change:
            made = provisioning.create_tenant(
                name=obj.name, email=obj.email, slug=obj.slug, ip=addresses.client_address(request)
            )
            obj.pk, obj.schema_name = made.pk, made.schema_name
            obj._state.adding = False
            return
        with transaction.atomic():
            before = Tenant.objects.values("name", "email").get(pk=obj.pk)
            super().save_model(request, obj, form, change)
            after = {"name": obj.name, "email": obj.email}
            audit.record("tenant.changed", tenant=obj, target=obj.slug, before=before, after=after, **actor(request))

    def has_delete_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        # A tenant's ledger outlives it, and its schema is not dropped by accident: suspend it.
        return False

    @admin.action(description="Suspend: refuse its keys everywhere, within a second")
    def suspend(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> None:
        self._set_status(request, tenants, Tenant.Status.SUSPENDED, "tenant.suspended")

    @admin.action(description="Reactivate")
    def reactivate(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> None:
        self._set_status(request, tenants, Tenant.Status.ACTIVE, "tenant.reactivated")

    def _set_status(self, request: HttpRequest, tenants: QuerySet[Tenant], status: str, action: str) -> None:
        with transaction.atomic():
            changed = list(tenants.select_for_update(of=("self",)).exclude(status=status))
            for tenant in changed:
                before, tenant.status = {"status": tenant.status}, status
                tenant.save(update_fields=["status"])
                audit.record(
                    action, tenant=tenant, target=tenant.slug, before=before, after={"status": status}, **actor(request)
                )
        self.message_user(request, f"{len(changed)} of the chosen are now {status}.")


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """Keys are issued by rotation here, or by their owners; a key's text is shown once."""

    list_display = ("public_id", "name", "tenant", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_filter = ("revoked_at",)
    search_fields = ("public_id", "name", "tenant__slug")
    readonly_fields = ("tenant", "public_id", "created_at", "created_by", "last_used_at", "revoked_at")
    fields = (
        *readonly_fields, "name", "scopes", "allowed_models", "requests_per_minute", "tokens_per_minute",
        "monthly_requests", "monthly_tokens", "expires_at",
    )  # fmt: skip
    actions = ("rotate", "revoke")
    list_select_related = ("tenant",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        # Records and ledger name keys by id: revoke it.
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm[ApiKey], change: bool) -> None:
        with transaction.atomic():
            before = {name: str(form.initial.get(name)) for name in form.changed_data}
            super().save_model(request, obj, form, change)
            after = {name: str(getattr(obj, name)) for name in form.changed_data}
            audit.record(
                "key.changed", tenant=obj.tenant, target=str(obj), before=before, after=after, **actor(request)
            )

    @admin.action(description="Rotate: issue a new key, let the old one go on for a day")
    def rotate(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        for key in keys.filter(revoked_at=None):
            issued = apikeys.rotate(key, **actor(request))
            self.message_user(request, f"{key.tenant}: {issued.text} (shown once)", messages.WARNING)

    @admin.action(description="Revoke: refuse it everywhere, within a second")
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        for key in keys.filter(revoked_at=None):
            apikeys.revoke(key, **actor(request))


@admin.register(User)
class UserAdmin(ModelAdmin):
    list_display = ("email", "name", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    list_filter = ("is_staff", "is_active")
    search_fields = ("email", "name")
    readonly_fields = ("email", "date_joined", "last_login")
    fields = ("email", "name", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    ordering: ClassVar[tuple[str, ...]] = ("email",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        # People sign up, or an operator runs `manage.py createsuperuser`.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # The audit log names people; who leaves is deactivated.
        return False


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly, ModelAdmin):
    list_display = ("at", "actor_label", "action", "target", "tenant", "ip_address")
    list_filter = ("action",)
    search_fields = ("actor_label", "target", "tenant__slug")
    date_hierarchy = "at"
    list_select_related = ("tenant",)
