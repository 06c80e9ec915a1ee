"""What the pages of the operators' admin share: who acts, the audit row of an edit, the page that asks once before an
act, and the page that shows new keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib.admin import ModelAdmin
from django.db.models import Model, QuerySet
from django.forms import Form, ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext
from unfold.decorators import action
from unfold.enums import ActionVariant

from tenants import audit
from tenants.apikeys import Issued
from tenants.models import Tenant

actor = audit.by_of


def record_edit(
    request: HttpRequest, what: str, form: ModelForm[Any], *, target: str, tenant: Tenant | None = None
) -> None:
    """The fields that a form changed, as they were and are. To be called once the form's row is saved."""
    pairs = {name: (form.initial.get(name), getattr(form.instance, name)) for name in form.changed_data}
    # Django counts an empty list as changed.
    changed = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    if changed:
        before, after = ({name: _plain(pair[side]) for name, pair in changed.items()} for side in (0, 1))
        audit.record(what, tenant=tenant, target=target, before=before, after=after, **actor(request))


def _plain(value: Any) -> Any:
    """Itself, when JSON has it; else its text."""
    return value if value is None or isinstance(value, str | int | float | bool | list | dict) else str(value)


def ask(
    admin: ModelAdmin[Any], request: HttpRequest, name: str, chosen: QuerySet[Any], *, question: str
) -> HttpResponse | None:
    """The page that asks whether to do `name` to the chosen, or None when the operator has said yes on it."""
    if request.method == "POST" and "confirmed" in request.POST:
        return None
    context = {
        **admin.admin_site.each_context(request),
        "title": question,
        "opts": admin.opts,
        "chosen": chosen,
        # As a list's own form names it; a button's page does not look at it.
        "name": name,
        "back": reverse(f"admin:{admin.opts.app_label}_{admin.opts.model_name}_changelist"),
    }
    return TemplateResponse(request, "admin/ask.html", context)


def ask_with(
    admin: ModelAdmin[Any], request: HttpRequest, row: Model, form: Form, *, question: str, explains: str = ""
) -> HttpResponse:
    """The page that asks what an act needs to know. It is sent back to where it was asked for."""
    context = {
        **admin.admin_site.each_context(request),
        "title": question,
        "explains": explains,
        "opts": admin.opts,
        "row": row,
        "form": form,
        "back": reverse(f"admin:{admin.opts.app_label}_{admin.opts.model_name}_change", args=[row.pk]),
    }
    return TemplateResponse(request, "admin/ask_with.html", context, status=400 if form.errors else 200)


def show_keys(admin: ModelAdmin[Any], request: HttpRequest, issued: list[Issued]) -> HttpResponse:
    """In the answer itself: a message would lie in a cookie or in the session until it is read."""
    context = {
        **admin.admin_site.each_context(request),
        "title": gettext("Shown once"),
        "opts": admin.opts,
        "issued": issued,
        "back": reverse(f"admin:{admin.opts.app_label}_{admin.opts.model_name}_changelist"),
    }
    return TemplateResponse(request, "admin/issued.html", context)


def button(act: str, title: Promise, *, variant: ActionVariant = ActionVariant.DEFAULT) -> Callable[..., HttpResponse]:
    """A row's own page gets a button for one of its list's actions."""

    @action(description=title, url_path=act.replace("_", "-"), permissions=["change"], variant=variant)
    def press(admin: ModelAdmin[Model], request: HttpRequest, object_id: str) -> HttpResponse:
        row = admin.get_object(request, object_id)
        if row is None:
            raise Http404
        done: HttpResponse | None = getattr(admin, act)(request, admin.get_queryset(request).filter(pk=row.pk))
        return done or redirect(f"admin:{admin.opts.app_label}_{admin.opts.model_name}_change", row.pk)

    return cast(Callable[..., HttpResponse], press)
