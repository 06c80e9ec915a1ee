"""The operators' list of who is a member where. They take people out; they let somebody in, or change a role, only
while the workspace lets support in: a member may see what is asked.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.translation import gettext
from unfold.admin import ModelAdmin

from tenants import audit, members, support
from tenants.members import Refused
from tenants.models import Membership, Role, Tenant, User
from tenants.operators import actor


class MemberForm(forms.ModelForm):
    def clean(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().clean() or self.cleaned_data
        try:
            if self.instance.pk is None and {"user", "tenant"} <= fields.keys():
                _check_may_join(fields["user"], fields["tenant"])
            elif self.instance.pk is not None and fields.get("role") != Role.OWNER:
                members.check_others_own(self.instance)
        except Refused as refusal:
            raise forms.ValidationError(str(refusal)) from None
        return fields


def _check_may_join(user: User, tenant: Tenant) -> None:
    """Raises Refused. The first member of a workspace that an operator has made needs nobody's leave."""
    if not support.is_open(tenant) and Membership.objects.filter(tenant=tenant).exists():
        raise Refused(gettext("This workspace does not let support in: its own people invite somebody."))
    if user.is_staff or user.is_superuser:
        raise Refused(gettext("An operator looks in, and becomes no member."))
    members.check_confirmed(user)
    members.check_room(tenant)


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):
    form = MemberForm
    list_display = ("user", "tenant", "role", "created_at")
    list_filter = ("role",)
    search_fields = ("user__email", "tenant__slug", "tenant__name")
    list_select_related = ("user", "tenant")
    fields = ("tenant", "user", "role", "created_at")
    add_fieldsets = ((None, {"fields": ("tenant", "user", "role")}),)
    autocomplete_fields = ("tenant", "user")
    # Many at once would not be asked one by one whether they are the last owner.
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> tuple[str, ...]:
        return ("created_at",) if obj is None else ("tenant", "user", "created_at")

    def has_change_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        may: bool = super().has_change_permission(request, obj)
        return may and (obj is None or (support.is_open(obj.tenant) and not obj.user.is_staff))

    def has_delete_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        may: bool = super().has_delete_permission(request, obj)
        return may and (obj is None or not members.is_last_owner(obj))

    def save_model(self, request: HttpRequest, obj: Membership, form: MemberForm, change: bool) -> None:
        before = {"role": form.initial["role"]} if change else None
        try:
            with members.changing(obj.tenant):
                if not change:
                    _check_may_join(obj.user, obj.tenant)
                elif obj.role != Role.OWNER:
                    members.check_others_own(Membership.objects.get(pk=obj.pk))
                super().save_model(request, obj, form, change)
                action = "member.changed" if change else "member.added"
                facts: dict[str, Any] = {"before": before, "after": {"role": obj.role}}
                audit.record_change(action, tenant=obj.tenant, target=obj.user.email, **facts, **actor(request))
        except Refused as refusal:
            raise PermissionDenied(str(refusal)) from None

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        try:
            with members.changing(obj.tenant):
                members.end(obj, "member.removed", **actor(request))
        except Refused as refusal:
            raise PermissionDenied(str(refusal)) from None
