"""The operators' admin: who the tenants are and what they may do. Shows `public` only, never what tenants ask, and
gives nobody what could: no key that manages, no membership that the workspace has not let in (tenants.member_admin).
"""

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
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextInputWidget

from tenants import apikeys, impersonation, member_admin, provisioning, suspension  # noqa: F401  registers members
from tenants.authentication import OPERATOR
from tenants.forms import LimitsForm
from tenants.limits import LIMIT_FIELDS
from tenants.models import ApiKey, AuditEvent, Membership, Tenant, User
from tenants.operators import actor, ask, ask_with, button, record_edit, show_keys
from tenants.signals import tenant_changed
from tenants.writing import number

# Rights come from `is_superuser` and from memberships.
admin.site.unregister(Group)


# Of the lists that grow long: each row takes some 2 ms to write.
ROWS = 50


class ReadOnly:
    """For what programs write and people look at."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Tenant)
class TenantAdmin(ModelAdmin):
    list_display = ("name", "slug", "email", "status", "plan", "created_at")
    list_filter = ("status", "subscription__plan")
    search_fields = ("name", "slug", "email")
    fields = ("name", "slug", "email", "status", "plan", "members", "keys", "schema_name", "created_at", "moving_since")
    readonly_fields = ("status", "plan", "members", "keys", "schema_name", "created_at", "moving_since")
    add_fieldsets = ((None, {"fields": ("name", "slug", "email")}),)
    actions = ("suspend", "reactivate", "issue_key", "rotate_keys")
    actions_detail = ("look_in", "suspend_button", "reactivate_button", "issue_key_button", "rotate_keys_button")
    list_select_related = ("subscription__plan",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tenant]:
        """Without the installation's own: nothing in them is to be looked after."""
        found: QuerySet[Tenant] = super().get_queryset(request)
        return found.filter(internal=False)

    @admin.display(ordering="subscription__plan__position")
    def plan(self, tenant: Tenant) -> str:
        subscription = tenant.subscription
        url = reverse("admin:billing_subscription_change", args=[subscription.pk])
        return format_html('<a class="underline" href="{}">{}</a>', url, subscription.plan)

    @admin.display(description=_("Members"))
    def members(self, tenant: Tenant) -> str:
        return _counted(tenant, Membership.objects.filter(tenant=tenant))

    @admin.display(description=_("API keys in use"))
    def keys(self, tenant: Tenant) -> str:
        return _counted(tenant, apikeys.living(tenant))

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> Any:
        # Links and apps use the slug.
        return (*self.readonly_fields, "slug") if obj is not None else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Tenant, form: forms.ModelForm[Tenant], change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            record_edit(request, "tenant.changed", form, tenant=obj, target=obj.slug)
            if before := {name: form.initial[name] for name in ("name", "email") if name in form.changed_data}:
                tenant_changed.send(Tenant, tenant=obj, before=before)
            return
        made = provisioning.create_tenant(name=obj.name, email=obj.email, slug=obj.slug, **actor(request))
        obj.pk, obj.schema_name = made.pk, made.schema_name
        obj._state.adding = False

    def has_delete_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        # A tenant's ledger outlives it, and its schema is not dropped by accident: suspend it.
        return False

    @admin.action(description=_("Suspend"), permissions=["change"])
    def suspend(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> HttpResponse | None:
        question = gettext("Suspend? All keys are refused within a second; members still see their pages.")
        if (page := ask(self, request, "suspend", tenants, question=question)) is not None:
            return page
        changed = [suspension.suspend(tenant, **actor(request)) for tenant in tenants]
        self.message_user(request, gettext("Suspended: %(number)s.") % {"number": sum(changed)})
        return None

    @admin.action(description=_("Reactivate"), permissions=["change"])
    def reactivate(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> HttpResponse | None:
        if (page := ask(self, request, "reactivate", tenants, question=gettext("Serve their keys again?"))) is not None:
            return page
        changed = [suspension.reactivate(tenant, **actor(request)) for tenant in tenants]
        self.message_user(request, gettext("Reactivated: %(number)s.") % {"number": sum(changed)})
        return None

    @admin.action(description=_("Issue an API key"), permissions=["change"])
    def issue_key(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> HttpResponse:
        """For who cannot do it themselves."""
        question = gettext("Issue a new API key? You will see it once; it can do all that the plan allows.")
        if (page := ask(self, request, "issue_key", tenants, question=question)) is not None:
            return page
        who = actor(request)
        issued = [apikeys.issue(tenant, name="issued", created_by=who["actor"], ip=who["ip"]) for tenant in tenants]
        return show_keys(self, request, issued)

    @admin.action(description=_("Rotate all API keys"), permissions=["change"])
    def rotate_keys(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> HttpResponse | None:
        question = gettext("Rotate all their keys? You will see the new ones once; the old ones go on for a day.")
        if (page := ask(self, request, "rotate_keys", tenants, question=question)) is not None:
            return page
        with transaction.atomic():
            keys = [key for tenant in tenants for key in apikeys.living(tenant).order_by("pk")]
            issued = [apikeys.rotate(key, **actor(request)) for key in keys if not _manages(key)]
        for key in filter(_manages, keys):
            self.message_user(request, _not_theirs(key), messages.WARNING)
        return show_keys(self, request, issued) if issued else None

    @action(description=_("Look in"), url_path="look-in", permissions=["change"])
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
        question = gettext("Look at the pages of %(name)s?") % {"name": tenant.name}
        return ask_with(self, request, tenant, form, question=question, explains=str(LOOKING_IN))

    suspend_button = button("suspend", _("Suspend"), variant=ActionVariant.DANGER)
    reactivate_button = button("reactivate", _("Reactivate"))
    issue_key_button = button("issue_key", _("Issue an API key"))
    rotate_keys_button = button("rotate_keys", _("Rotate all keys"))


def _counted(tenant: Tenant, rows: QuerySet[Any]) -> str:
    """How many there are, and the way to a list of them."""
    name = rows.model._meta.model_name
    url = reverse(f"admin:tenants_{name}_changelist") + f"?tenant__id__exact={tenant.pk}"
    return format_html('<a class="underline" href="{}">{}</a>', url, number(rows.count()))


def _manages(key: ApiKey) -> bool:
    """Whoever has the text of such a key may read or change what is the workspace's own."""
    return not set(key.scopes) <= {OPERATOR}


def _not_theirs(key: ApiKey) -> str:
    return gettext("%(key)s may manage its workspace, whose people rotate it. You can revoke it.") % {"key": key}


LOOKING_IN = _(
    "You see what a viewer of the workspace sees, for 60 minutes, and change nothing. Prompts and answers are shown"
    " only while the workspace lets support in. Its owners and admins find your address, the reason, the start and the"
    " end in their audit log."
)


class LookInForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=impersonation.REASON_LENGTH,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Such as a ticket's number. The workspace's people can read it."),
    )


class ApiKeyForm(LimitsForm):
    def clean_scopes(self) -> list[str]:
        scopes = _texts(self.cleaned_data["scopes"])
        if given := set(scopes) - set(self.instance.scopes) - {OPERATOR}:
            told = {"scopes": ", ".join(sorted(given))}
            raise forms.ValidationError(gettext("Only people of the workspace give a key this: %(scopes)s.") % told)
        return scopes

    def clean_allowed_models(self) -> list[str]:
        return _texts(self.cleaned_data["allowed_models"])


def _texts(value: Any) -> list[str]:
    """The data plane would stumble over anything else."""
    if not isinstance(value or [], list) or not all(isinstance(text, str) and text for text in value or []):
        raise forms.ValidationError(gettext('Write a JSON list of texts, for example ["gpt-4o-mini"], or [].'))
    return value or []


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """Keys are issued on a tenant's page or by their owners; a key's text is shown once."""

    form = ApiKeyForm
    list_per_page = ROWS
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

    @admin.action(description=_("Rotate"), permissions=["change"])
    def rotate(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> HttpResponse | None:
        question = gettext("Rotate? You will see the new key once; the old one goes on for a day.")
        if (page := ask(self, request, "rotate", keys, question=question)) is not None:
            return page
        issued = []
        with transaction.atomic():
            for key in keys:
                if _manages(key):
                    self.message_user(request, _not_theirs(key), messages.ERROR)
                    continue
                try:
                    issued.append(apikeys.rotate(key, **actor(request)))
                except apikeys.KeyIsDead as error:
                    self.message_user(request, str(error), messages.ERROR)
        return show_keys(self, request, issued) if issued else None

    @admin.action(description=_("Revoke"), permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> HttpResponse | None:
        question = gettext("Revoke? Whoever uses them is refused within a second. This cannot be undone.")
        if (page := ask(self, request, "revoke", keys, question=question)) is not None:
            return page
        for key in keys:
            apikeys.revoke(key, **actor(request))
        self.message_user(request, gettext("Revoked: %(number)s.") % {"number": len(keys)})
        return None

    rotate_button = button("rotate", _("Rotate"))
    revoke_button = button("revoke", _("Revoke"), variant=ActionVariant.DANGER)


@admin.register(User)
class UserAdmin(ModelAdmin):
    list_per_page = ROWS
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
    list_per_page = ROWS
    # Counting them all, and once more those that are found, takes longer than the page.
    show_full_result_count = False
    list_display = ("at", "actor_label", "action", "target", "tenant", "ip_address")
    list_filter = ("action",)
    search_fields = ("actor_label", "target", "tenant__slug")
    date_hierarchy = "at"
    list_select_related = ("tenant",)
