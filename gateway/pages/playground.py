"""The playground: any model or route of the workspace, asked by a member; the browser never sees a key.

With JavaScript answers stream, up to three side by side; without it one comes as a whole, in the page.
"""

from __future__ import annotations

from typing import Any

import orjson
from asgiref.sync import async_to_sync
from django import forms
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from gateway import playground, routing
from gateway.cache.judging import own_providers
from gateway.cache.transfer import principal_of
from gateway.dialects.chat_fields import MAX_MODEL_CHARACTERS
from gateway.models import Route
from gateway.pages.snippets import Snippet, snippets
from gateway.setups import Setup, platform_provider
from gateway.types import Reply
from gateway.views import response_of
from tenants import onboarding
from tenants.access import allowed, by_of, membership_of
from tenants.apikeys import TooManyKeys
from tenants.models import Tenant
from tenants.roles import Action

COLUMNS = 3
SYSTEM, MESSAGE, TOKENS = 20_000, 100_000, 1_000_000
MODES = [
    ("", gettext_lazy("as in the policy")),
    ("off", gettext_lazy("off: always ask the model")),
    ("exact", gettext_lazy("exact: the same request alone")),
    ("semantic", gettext_lazy("semantic: the same meaning, too")),
    ("shadow", gettext_lazy("shadow: look and report")),
]


class AskForm(forms.Form):
    model = forms.CharField(
        label=gettext_lazy("Model or route"), max_length=MAX_MODEL_CHARACTERS,
        widget=forms.TextInput(attrs={"list": "models", "autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip
    system = forms.CharField(
        label=gettext_lazy("System"), required=False, max_length=SYSTEM, strip=False,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": gettext_lazy("You are …")}),
    )  # fmt: skip
    user = forms.CharField(
        label=gettext_lazy("Message"), max_length=MESSAGE, strip=False, widget=forms.Textarea(attrs={"rows": 5})
    )
    temperature = forms.FloatField(
        label=gettext_lazy("Temperature"), required=False, min_value=0, max_value=2,
        widget=forms.NumberInput(attrs={"step": "0.1", "placeholder": gettext_lazy("as usual")}),
    )  # fmt: skip
    max_tokens = forms.IntegerField(
        label=gettext_lazy("Most tokens"), required=False, min_value=1, max_value=TOKENS,
        widget=forms.NumberInput(attrs={"placeholder": gettext_lazy("no limit")}),
    )  # fmt: skip
    cache = forms.ChoiceField(label=gettext_lazy("Cache"), required=False, choices=MODES)
    stream = forms.BooleanField(label=gettext_lazy("Stream"), required=False)

    def clean_user(self) -> str:
        """As it was written, but not nothing."""
        text: str = self.cleaned_data["user"]
        if not text.strip():
            raise forms.ValidationError(_("Write a message."))
        return text

    def body(self) -> dict[str, Any]:
        """Of Chat Completions; also while it is being written, from what is right of it."""
        given = getattr(self, "cleaned_data", {})
        messages = [{"role": "system", "content": given["system"]}] if given.get("system", "").strip() else []
        messages.append({"role": "user", "content": given.get("user", "")})
        body: dict[str, Any] = {"model": given.get("model", ""), "messages": messages}
        for name in ("temperature", "max_tokens"):
            if given.get(name) is not None:
                body[name] = given[name]
        return {**body, "stream": True} if given.get("stream") else body

    @property
    def mode(self) -> str:
        return str(getattr(self, "cleaned_data", {}).get("cache", ""))


@allowed(Action.PLAYGROUND)
@require_http_methods(["GET", "POST"])
def page(request: HttpRequest, slug: str) -> HttpResponseBase:
    """A POST comes from browsers without JavaScript."""
    if request.method == "GET":
        named = request.GET.get("model", "")[:MAX_MODEL_CHARACTERS]
        form = AskForm(initial={"model": named or onboarding.MODEL, "stream": True})
        return _page(request, form)
    form = AskForm(request.POST.dict() | {"stream": ""})
    if not form.is_valid():
        return _page(request, form, status=400)
    reply = _ask(request, form)
    said = orjson.loads(reply.body) if isinstance(reply.body, bytes) else {}
    column = {"model": form.cleaned_data["model"], **said, "status": reply.status}
    return _page(request, form, column=column, status=reply.status if reply.status < 500 else 200)


def _page(request: HttpRequest, form: AskForm, *, status: int = 200, **more: Any) -> HttpResponseBase:
    tenant = membership_of(request).tenant
    context = {
        "form": form,
        "models": _models(tenant),
        "snippets": _snippets(form),
        "story": reverse("request", args=[tenant.slug, "REQUEST"]),
        "others": range(2, COLUMNS + 1),
        **more,
    }
    return render(request, "gateway/playground/page.html", context, status=status)


def _models(tenant: Tenant) -> list[str]:
    """Names that can be asked for: routes first."""
    setup = Setup(tuple(own_providers(tenant)) or (platform_provider(),))
    routes = Route.objects.values_list("model", flat=True)
    return list(dict.fromkeys([*routes, *routing.model_names(setup, principal_of(tenant))]))


def _snippets(form: AskForm) -> list[Snippet]:
    """Of what is in the form; where nothing is, of the first question that we show people."""
    body = form.body()
    body["model"] = body["model"] or onboarding.MODEL
    body["messages"][-1]["content"] = body["messages"][-1]["content"] or onboarding.QUESTION
    headers = {"X-Nexus-Cache": form.mode} if form.mode else {}
    return snippets(onboarding.base_url(), onboarding.NO_KEY, body, headers)


@allowed(Action.PLAYGROUND)
@require_POST
def snippet(request: HttpRequest, slug: str) -> HttpResponseBase:
    """What is in the form, as code."""
    form = AskForm(request.POST)
    form.is_valid()
    return render(request, "gateway/playground/_snippets.html", {"snippets": _snippets(form)})


@allowed(Action.PLAYGROUND)
@require_POST
def ask(request: HttpRequest, slug: str) -> HttpResponseBase:
    """One column: server-sent events, or JSON where it is not to stream, or is refused."""
    form = AskForm(request.POST)
    if not form.is_valid():
        field, wrong = next(iter(form.errors.items()))
        return _refusal(f"{form.fields[field].label}: {wrong[0]}", field, 400)
    return response_of(_ask(request, form))


def _ask(request: HttpRequest, form: AskForm) -> Reply:
    try:
        key = playground.find_key(membership_of(request).tenant, by_of(request))
    except TooManyKeys as error:
        refused = _refusal(str(error), None, 409)
        return Reply(409, [(b"content-type", b"application/json")], refused.content)
    headers = {b"x-nexus-cache": form.mode.encode()} if form.mode else {}
    # Answers take long: no connection to Postgres is held meanwhile.
    connection.close()
    return async_to_sync(playground.answer)(key.public_id, headers, orjson.dumps(form.body()))


def _refusal(message: str, param: str | None, status: int) -> HttpResponse:
    body = orjson.dumps({"error": {"message": message, "param": param}})
    return HttpResponse(body, status=status, content_type="application/json")
