"""The operators' admin: who the tenants are and what they may do. Shows `public` only, never what tenants ask."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import admin as auth_admin  # noqa: F401  registers groups, which are not used here
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextInputWidget

from tenants import apikeys, audit, impersonation, provisioning, suspension
from tenants.forms import LimitsForm
from tenants.limits import LIMIT_FIELDS
from tenants.models import ApiKey, AuditEvent, Membership, Tenant, User
from tenants.operators import actor, ask, ask_with, button, record_edit, show_keys

# Rights come from `is_superuser` and from memberships.
admin.site.unregister(Group)


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
    fields = ("name", "slug", "email", "status", "plan", "schema_name", "created_at")
    readonly_fields = ("status", "plan", "schema_name", "created_at")
    add_fieldsets = ((None, {"fields": ("name", "slug", "email")}),)
    inlines = (MembershipInline, KeyInline)
    actions = ("suspend", "reactivate", "issue_key", "rotate_keys")
    actions_detail = ("look_in", "suspend_button", "reactivate_button", "issue_key_button", "rotate_keys_button")
    list_select_related = ("subscription__plan",)

    @admin.display(ordering="subscription__plan__position")
    def plan(self, tenant: Tenant) -> str:
        subscription = tenant.subscription
        url = reverse("admin:billing_subscription_change", args=[subscription.pk])
        return format_html('<a class="underline" href="{}">{}</a>', url, subscription.plan)

    def get_inlines(self, request: HttpRequest, obj: Tenant | None) -> Any:
        # Members and keys need a tenant that exists.
        return self.inlines if obj is not None else ()

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> Any:
        # Links and apps use the slug.
        return (*self.readonly_fields, "slug") if obj is not None else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Tenant, form: forms.ModelForm[Tenant], change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            record_edit(request, "tenant.changed", form, tenant=obj, target=obj.slug)
            return
        made = provisioning.create_tenant(name=obj.name, email=obj.email, slug=obj.slug, **actor(request))
        obj.pk, obj.schema_name = made.pk, made.schema_name
        obj._state.adding = False

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Who becomes a member, gets another role or leaves is in the audit log."""
        roles = {member.instance.pk: member.initial.get("role") for member in formset.initial_forms}
        super().save_formset(request, form, formset, change)
        changes = [
            *(("member.added", member, None, member.role) for member in formset.new_objects),
            *(("member.changed", member, roles[member.pk], member.role) for member, _ in formset.changed_objects),
            *(("member.removed", member, member.role, None) for member in formset.deleted_objects),
        ]
        for what, member, before, after in changes:
            audit.record(
                what,
                tenant=form.instance,
                target=str(member.user),
                before=before and {"role": before},
                after=after and {"role": after},
                **actor(request),
            )

    def has_delete_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        # A tenant's ledger outlives it, and its schema is not dropped by accident: suspend it.
        return False

    @admin.action(description="Suspend", permissions=["change"])
    def suspend(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> HttpResponse | None:
        question = "Suspend? All keys are refused within a second; members still see their pages."
        if (page := ask(self, request, "suspend", tenants, question=question)) is not None:
            return page
        changed = [suspension.suspend(tenant, **actor(request)) for tenant in tenants]
        self.message_user(request, f"Suspended: {sum(changed)}.")
        return None

    @admin.action(description="Reactivate", permissions=["change"])
    def reactivate(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> HttpResponse | None:
        if (page := ask(self, request, "reactivate", tenants, question="Serve their keys again?")) is not None:
            return page
        changed = [suspension.reactivate(tenant, **actor(request)) for tenant in tenants]
        self.message_user(request, f"Reactivated: {sum(changed)}.")
        return None

    @admin.action(description="Issue an API key", permissions=["change"])
    def issue_key(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> HttpResponse:
        """For who cannot do it themselves."""
        question = "Issue a new API key? You will see it once; it can do all that the plan allows."
        if (page := ask(self, request, "issue_key", tenants, question=question)) is not None:
            return page
        who = actor(request)
        issued = [apikeys.issue(tenant, name="issued", created_by=who["actor"], ip=who["ip"]) for tenant in tenants]
        return show_keys(self, request, issued)

    @admin.action(description="Rotate all API keys", permissions=["change"])
    def rotate_keys(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> HttpResponse:
        question = "Rotate all their keys? You will see the new ones once; the old ones go on for a day."
        if (page := ask(self, request, "rotate_keys", tenants, question=question)) is not None:
            return page
        with transaction.atomic():
            keys = [key for tenant in tenants for key in apikeys.living(tenant).order_by("pk")]
            issued = [apikeys.rotate(key, **actor(request)) for key in keys]
        return show_keys(self, request, issued)

    @action(description="Look in", url_path="look-in", permissions=["change"])
    def look_in(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """At the workspace's pages, with a reason that its people can read."""
        tenant = self.get_object(request, object_id)
        if tenant is None:
            raise Http404
        form = LookInForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                impersonation.start(request, tenant, form.cleaned_data["reason"])
            except impersonation.Refused as refusal:
                form.add_error("reason", str(refusal))
            else:
                return redirect("dashboard", slug=tenant.slug)
        question = f"Look at the pages of {tenant.name}?"
        return ask_with(self, request, tenant, form, question=question, explains=LOOKING_IN)

    suspend_button = button("suspend", "Suspend", variant=ActionVariant.DANGER)
    reactivate_button = button("reactivate", "Reactivate")
    issue_key_button = button("issue_key", "Issue an API key")
    rotate_keys_button = button("rotate_keys", "Rotate all keys")


LOOKING_IN = (
    "You see what a viewer of the workspace sees, for 60 minutes, and change nothing. Prompts and answers are shown"
    " only while the workspace lets support in. Its owners and admins find your address, the reason, the start and the"
    " end in their audit log."
)


class LookInForm(forms.Form):
    reason = forms.CharField(
        max_length=impersonation.REASON_LENGTH,
        widget=UnfoldAdminTextInputWidget,
        help_text="Such as a ticket's number. The workspace's people can read it.",
    )


class ApiKeyForm(LimitsForm):
    def clean_scopes(self) -> list[str]:
        return _texts(self.cleaned_data["scopes"])

    def clean_allowed_models(self) -> list[str]:
        return _texts(self.cleaned_data["allowed_models"])


def _texts(value: Any) -> list[str]:
    """The data plane would stumble over anything else."""
    if not isinstance(value or [], list) or not all(isinstance(text, str) and text for text in value or []):
        raise forms.ValidationError('Write a JSON list of texts, for example ["gpt-4o-mini"], or [].')
    return value or []


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """Keys are issued on a tenant's page or by their owners; a key's text is shown once."""

    form = ApiKeyForm
    list_display = ("public_id", "name", "tenant", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("public_id", "name", "tenant__slug")
    readonly_fields = ("tenant", "public_id", "created_at", "created_by", "last_used_at", "revoked_at")
    fields = (
        *readonly_fields, "name", "scopes", "allowed_models", "priority", "expires_at", *LIMIT_FIELDS, "budget_mode",
    )  # fmt: skip
    actions = ("rotate", "revoke")
    actions_detail = ("rotate_button", "revoke_button")
    list_select_related = ("tenant",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        # Records and ledger name keys by id: revoke it.
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm[ApiKey], change: bool) -> None:
        super().save_model(request, obj, form, change)
        record_edit(request, "key.changed", form, tenant=obj.tenant, target=str(obj))

    @admin.action(description="Rotate", permissions=["change"])
    def rotate(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> HttpResponse | None:
        question = "Rotate? You will see the new key once; the old one goes on for a day."
        if (page := ask(self, request, "rotate", keys, question=question)) is not None:
            return page
        issued = []
        with transaction.atomic():
            for key in keys:
                try:
                    issued.append(apikeys.rotate(key, **actor(request)))
                except apikeys.KeyIsDead as error:
                    self.message_user(request, str(error), messages.ERROR)
        return show_keys(self, request, issued) if issued else None

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> HttpResponse | None:
        question = "Revoke? Whoever uses them is refused within a second. This cannot be undone."
        if (page := ask(self, request, "revoke", keys, question=question)) is not None:
            return page
        for key in keys:
            apikeys.revoke(key, **actor(request))
        self.message_user(request, f"Revoked: {len(keys)}.")
        return None

    rotate_button = button("rotate", "Rotate")
    revoke_button = button("revoke", "Revoke", variant=ActionVariant.DANGER)


@admin.register(User)
class UserAdmin(ModelAdmin):
    list_display = ("email", "name", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    list_filter = ("is_staff", "is_active")
    search_fields = ("email", "name")
    readonly_fields = ("email", "date_joined", "last_login")
    fields = ("email", "name", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    ordering: ClassVar[tuple[str, ...]] = ("email",)

    def save_model(self, request: HttpRequest, obj: User, form: forms.ModelForm[User], change: bool) -> None:
        super().save_model(request, obj, form, change)
        record_edit(request, "user.changed", form, target=obj.email)

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
