"""The forms of the routing pages. They hold what was typed: the API's own serializers check it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from gateway.models import CallSettings, Provider, Route, Target
from gateway.pages import sent

_AS_USUAL = [("", _("as in the policy")), ("on", _("on")), ("off", _("off"))]
# Short enough for a box that is closed.
_KINDS = [("openai", _("OpenAI, or any API like it")), *Provider.Kind.choices[1:]]


def _text(label: Any, *, help: Any = "", hint: str = "", mode: str = "text", most: int = 400) -> forms.CharField:
    attributes = {"placeholder": hint, "inputmode": mode, "autocomplete": "off", "spellcheck": "false"}
    widget = forms.TextInput(attrs={name: value for name, value in attributes.items() if value})
    return forms.CharField(label=label, required=False, help_text=help, widget=widget, max_length=most)


def _figure(label: Any, *, help: Any = "", hint: str = "") -> forms.CharField:
    return _text(label, help=help, hint=hint, mode="decimal", most=20)


class ProviderForm(forms.Form):
    """Makes or changes a provider. A credential goes in, and is never shown."""

    WHOLE = ("max_tokens", "tokens")
    NUMBERS = ("first_byte_timeout_s", "latency_ms", "tokens_per_s", "failure_rate", "cut_rate")

    name = _text(_("Name"), help=_("Letters, digits and dashes: apps may ask for name/model."), hint="own", most=80)
    kind = forms.ChoiceField(label=_("Kind"), choices=_KINDS)
    base_url = _text(_("Base URL"), help=_("Empty: the vendor's own."), hint="https://api.example.com/v1", most=500)
    api_key = forms.CharField(
        label=_("API key"), required=False, max_length=4200, strip=True,
        help_text=_("Kept encrypted, never shown again."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "spellcheck": "false"}),
    )  # fmt: skip
    without_key = forms.BooleanField(label=_("Take the key away"), required=False)
    models = forms.CharField(
        label=_("Models"), required=False, max_length=61_000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text=_("What it has, one a line. Empty: what its price catalog knows."),
    )  # fmt: skip
    enabled = forms.BooleanField(label=_("In use"), required=False, initial=True)
    position = _figure(_("Place in line"), help=_("Lower ones are asked first."))
    max_concurrency = _figure(_("Calls at the same time"), help=_("Empty: no limit. Others wait, by priority."))
    catalog = _text(_("Price catalog"), help=_("Whose prices apply; empty: the kind's."), most=80)
    first_byte_timeout_s = _figure(_("First byte within, s"), help=_("Empty: as the gateway has it."))
    max_tokens = _figure(_("Longest answer, tokens"), help=_("Anthropic: where the request sets no limit."))
    api_version = _text(_("API version"), help=_("Azure."), hint="2024-10-21", most=60)
    latency_ms = _figure(_("Thinks for, ms"), help=_("Simulated."))
    tokens_per_s = _figure(_("Tokens a second"), help=_("Simulated; 0: at once."))
    tokens = _figure(_("Tokens of an answer"), help=_("Simulated."))
    failure_rate = _figure(_("Share of calls that fail"), help=_("Simulated: 0 to 1."))
    cut_rate = _figure(_("Share of streams that break off"), help=_("Simulated: 0 to 1."))

    MAIN = ("name", "kind", "base_url", "api_key")
    MORE = ("position", "max_concurrency", "catalog", "first_byte_timeout_s", "max_tokens", "api_version")
    SIMULATED = ("latency_ms", "tokens_per_s", "tokens", "failure_rate", "cut_rate")

    @classmethod
    def of(cls, provider: Provider) -> ProviderForm:
        own = {name: provider.settings.get(name, "") for name in (*cls.WHOLE, *cls.NUMBERS, "api_version")}
        columns = ("name", "kind", "base_url", "catalog", "enabled", "position", "max_concurrency")
        models = "\n".join(provider.settings.get("models", []))
        return cls(initial={**{name: getattr(provider, name) for name in columns}, **own, "models": models})

    def sent(self) -> dict[str, Any]:
        """As the API would be sent it. What is left empty is left out, or null."""
        values = self.cleaned_data
        own: dict[str, Any] = {name: sent.whole(values[name]) for name in self.WHOLE if values[name]}
        own |= {name: sent.number(values[name]) for name in self.NUMBERS if values[name]}
        if values["api_version"]:
            own["api_version"] = values["api_version"]
        if models := [model.strip() for model in values["models"].splitlines() if model.strip()]:
            own["models"] = models
        body = {name: values[name] for name in ("name", "kind", "base_url", "catalog", "enabled")}
        body |= {"settings": own, "position": sent.whole(values["position"] or "0")}
        body["max_concurrency"] = sent.whole(values["max_concurrency"]) if values["max_concurrency"] else None
        if values["without_key"]:
            body["api_key"] = ""
        elif values["api_key"]:
            body["api_key"] = values["api_key"]
        return body

    def group(self, names: tuple[str, ...]) -> list[forms.BoundField]:
        return [self[name] for name in names]

    @property
    def main(self) -> list[forms.BoundField]:
        return self.group(self.MAIN)

    @property
    def more(self) -> list[forms.BoundField]:
        return self.group(self.MORE)

    @property
    def simulated(self) -> list[forms.BoundField]:
        return self.group(self.SIMULATED)

    @property
    def has_more(self) -> bool:
        """Whether something below the fold is wrong, or is not as usual."""
        return any(
            self[name].errors or self[name].value() not in ("", None, 0) for name in (*self.MORE, *self.SIMULATED)
        )


class RouteForm(forms.Form):
    model = _text(_("Name"), help=_("What apps ask for as “model”."), hint="house", most=200)
    strategy = forms.ChoiceField(label=_("How a target is chosen"), choices=Route.Strategy.choices)
    hedge_after_ms = _figure(
        _("Hedge after, ms"), help=_("Ask the next one, too, when no answer has begun. Empty: never.")
    )
    exact = forms.ChoiceField(label=_("Exact tier"), choices=_AS_USUAL, required=False)
    semantic = forms.ChoiceField(label=_("Semantic tier"), choices=_AS_USUAL, required=False)
    shadow = forms.ChoiceField(label=_("Shadow mode"), choices=_AS_USUAL, required=False)
    threshold = _figure(_("Threshold"), help=_("0.5 to 1; empty: the workspace's."))
    ttl_s = _figure(_("Kept for, s"), help=_("Empty: the workspace's."))

    FLAGS = ("exact", "semantic", "shadow")

    @classmethod
    def of(cls, route: Route) -> RouteForm:
        flags = {name: {True: "on", False: "off", None: ""}[route.cache.get(name)] for name in cls.FLAGS}
        figures = {name: route.cache.get(name, "") for name in ("threshold", "ttl_s")}
        hedge = "" if route.hedge_after_ms is None else route.hedge_after_ms
        return cls(
            initial={"model": route.model, "strategy": route.strategy, "hedge_after_ms": hedge, **flags, **figures}
        )

    def sent(self) -> dict[str, Any]:
        values = self.cleaned_data
        cache: dict[str, Any] = {name: values[name] == "on" for name in self.FLAGS if values[name]}
        if values["threshold"]:
            cache["threshold"] = sent.number(values["threshold"])
        if values["ttl_s"]:
            cache["ttl_s"] = sent.whole(values["ttl_s"])
        hedge = sent.whole(values["hedge_after_ms"]) if values["hedge_after_ms"] else None
        return {"model": values["model"], "strategy": values["strategy"], "hedge_after_ms": hedge, "cache": cache}

    @property
    def cache(self) -> list[forms.BoundField]:
        return [self[name] for name in (*self.FLAGS, "threshold", "ttl_s")]

    @property
    def has_cache(self) -> bool:
        return any(field.errors or field.value() not in ("", None) for field in self.cache)


class TargetForm(forms.Form):
    """One row of a route."""

    provider = forms.ChoiceField(label=_("Provider"), required=False)
    model = _text(_("Model, as the provider has it"), most=200)
    weight = _figure(_("Weight"))
    tier = forms.ChoiceField(label=_("For"), choices=Target.Tier.choices, required=False)

    def __init__(self, *arguments: Any, providers: list[str], **named: Any) -> None:
        super().__init__(*arguments, **named)
        held = str(self["provider"].value() or "")
        # One that is gone in this moment: the API says so.
        names = providers if not held or held in providers else [*providers, held]
        field = self.fields["provider"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("whoever has the model")), *((name, name) for name in names)]

    def sent(self) -> dict[str, Any]:
        values = self.cleaned_data
        body = {"provider": values["provider"] or None, "model": values["model"], "tier": values["tier"]}
        return {**body, "weight": sent.whole(values["weight"])} if values["weight"] else body

    @property
    def weighs(self) -> int:
        """For its share, while it is being typed."""
        typed = self["weight"].value()
        weight = sent.whole("1" if typed in (None, "") else str(typed))
        return weight if isinstance(weight, int) else 0


class CallsForm(forms.Form):
    on_disconnect = forms.ChoiceField(
        label=_("When the app leaves before its answer is complete"),
        choices=CallSettings.OnDisconnect.choices,
        widget=forms.RadioSelect,
    )
    drain_limit_s = _figure(_("At most, s"), help=_("An answer that nobody waits for is stopped after this."))

    def sent(self) -> dict[str, Any]:
        values = self.cleaned_data
        return {"on_disconnect": values["on_disconnect"], "drain_limit_s": sent.whole(values["drain_limit_s"])}
