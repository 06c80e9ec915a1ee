"""Who may answer a request, and in which order: from a model's name to a plan. Pure, but for what it is told.

A name is a route of the tenant's, `auto`, `provider/model`, or a model that a provider has.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from django.conf import settings

from billing import pricing
from gateway import complexity
from gateway.errors import Forbidden, InvalidRequest, ModelNotFound
from gateway.setups import RouteSetup, Setup, TargetSetup
from gateway.types import Candidate, ChatRequest, Plan, ProviderConfig
from tenants.principal import Principal

AUTO = "auto"
# What an answer is taken to cost where the client sets no limit.
USUAL_COMPLETION_TOKENS = 400
MAX_PLANS = 1000


class Signals(NamedTuple):
    """What strategies look at: the time to the first token of late (None: not known), and prices."""

    latency_ms: Callable[[Candidate], float | None]
    prices: pricing.PriceBook


def plan(setup: Setup, principal: Principal, request: ChatRequest, signals: Signals) -> Plan:
    """Raises Forbidden, InvalidRequest, ModelNotFound."""
    model = request.model
    if principal.allowed_models and model not in principal.allowed_models:
        raise Forbidden(
            f"This key may not use the model “{model}”. It may use: {', '.join(sorted(principal.allowed_models))}.",
            code="model_not_allowed",
            param="model",
        )
    if known := setup.plans.get(model):
        return known
    route = route_of(setup, model)
    if route is None:
        found = _listed(able(setup, model))
    elif route.strategy in _ALWAYS_THE_SAME:
        found = _listed(_expanded(setup, route.targets), route.hedge_after_s)
        if route.strategy == "fixed":
            found = found._replace(candidates=found.candidates[:1], ways=found.ways[:1])
    else:
        return _STRATEGIES[route.strategy](setup, route, request, signals)
    if len(setup.plans) < MAX_PLANS:
        setup.plans[model] = found
    return found


def route_of(setup: Setup, model: str) -> RouteSetup | None:
    """The tenant's route of that name; `auto` is one even where nobody has set it up."""
    route = setup.routes.get(model)
    if route is None and model == AUTO:
        return _automatic(setup)
    if route is not None and not route.targets:
        raise ModelNotFound(f"All providers of the route “{model}” are switched off.", param="model")
    return route


def _automatic(setup: Setup) -> RouteSetup | None:
    """A cheap and a strong model of the first provider whose models are known here."""
    for provider in setup.providers:
        if models := auto_models().get(provider.catalog):
            simple, strong = models
            return RouteSetup(
                AUTO,
                "complexity",
                (TargetSetup(provider, simple, tier="simple"), TargetSetup(provider, strong, tier="complex")),
            )
    return None


def auto_models() -> dict[str, tuple[str, str]]:
    """By price catalog: a cheap model and a strong one."""
    return {
        "openai": (settings.AUTO_SIMPLE_MODEL, settings.AUTO_COMPLEX_MODEL),
        "anthropic": ("claude-haiku-4-5", "claude-sonnet-4-5"),
        "google": ("gemini-2.5-flash", "gemini-2.5-pro"),
        "cohere": ("command-r7b-12-2024", "command-a-03-2025"),
    }


def _listed(candidates: Iterable[Candidate], hedge_after_s: float | None = None) -> Plan:
    """Each way once."""
    chosen: dict[tuple[str, str], Candidate] = {}
    for candidate in candidates:
        chosen.setdefault((candidate.provider.name, candidate.model), candidate)
    return Plan(tuple(chosen.values()), tuple(chosen), hedge_after_s=hedge_after_s)


def _ways(candidates: Iterable[Candidate]) -> tuple[tuple[str, str], ...]:
    return tuple((candidate.provider.name, candidate.model) for candidate in candidates)


def _expanded(setup: Setup, targets: Iterable[TargetSetup]) -> list[Candidate]:
    candidates: list[Candidate] = []
    for target in targets:
        if target.provider is None:
            candidates += able(setup, target.model)
        else:
            candidates.append(Candidate(target.provider, target.model))
    return candidates


# --- strategies that look at the request or the moment ---------------------------------------------------------------


def _weighted(setup: Setup, route: RouteSetup, request: ChatRequest, signals: Signals) -> Plan:
    """One user, or one conversation, always gets the same target; the others stand by."""
    targets = route.targets
    drawn = _drawn(f"{route.model}\n{subject_of(request)}", sum(target.weight for target in targets))
    chosen = targets[0]
    for target in targets:
        if drawn < target.weight:
            chosen = target
            break
        drawn -= target.weight
    first = _expanded(setup, [chosen])
    others = sorted((target for target in targets if target is not chosen), key=lambda target: -target.weight)
    found = _listed([*first, *_expanded(setup, others)], route.hedge_after_s)
    # Another variant, another answer: each has cache entries of its own.
    return found._replace(ways=_ways(first), variant="/".join(_ways(first)[0]))


def _drawn(text: str, total: int) -> int:
    digest = hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % max(1, total)


def subject_of(request: ChatRequest) -> str:
    """Who sticks to a target: the end user if the app names one, else the conversation by its first question.

    Raises InvalidRequest.
    """
    payload = request.payload
    for name in ("user", "safety_identifier"):
        if isinstance(payload.get(name), str) and payload[name]:
            return str(payload[name])
    first = next((message for message in payload["messages"] if message.get("role") == "user"), None)
    try:
        return orjson.dumps(first).decode()
    except TypeError:
        raise InvalidRequest("The body is nested too deeply.", code="invalid_json") from None


def _fastest(setup: Setup, route: RouteSetup, request: ChatRequest, signals: Signals) -> Plan:
    """Those that nobody has tried of late come first: that is how their speed gets known."""
    found = _listed(_expanded(setup, route.targets), route.hedge_after_s)
    order = sorted(found.candidates, key=lambda candidate: signals.latency_ms(candidate) or 0.0)
    # The order changes by the minute; the answer is taken to be as good from any of them.
    return found._replace(candidates=tuple(order))


def _cheapest(setup: Setup, route: RouteSetup, request: ChatRequest, signals: Signals) -> Plan:
    """Where nobody knows the price, it comes last."""
    found = _listed(_expanded(setup, route.targets), route.hedge_after_s)
    now = dt.datetime.now(dt.UTC)

    def price(candidate: Candidate) -> Decimal:
        usd = estimated_usd(candidate, request, signals.prices, now)
        return Decimal("Infinity") if usd is None else usd

    return found._replace(candidates=tuple(sorted(found.candidates, key=price)))


def estimated_usd(
    candidate: Candidate, request: ChatRequest, prices: pricing.PriceBook, at: dt.datetime
) -> Decimal | None:
    """For the estimated prompt, and the longest answer that the client allows or else a usual one."""
    price = prices.unit_price(candidate.provider.catalog, candidate.model, at)
    if price is None:
        return None
    completion = (request.max_tokens or USUAL_COMPLETION_TOKENS) * request.n
    return pricing.cost(price, request.prompt_tokens, 0, completion)


def _by_complexity(setup: Setup, route: RouteSetup, request: ChatRequest, signals: Signals) -> Plan:
    """Targets of the other tier stand by: a strong model can answer what is simple, a cheap one is better than none."""
    tier = "complex" if complexity.assess(request).complex else "simple"
    meant = [target for target in route.targets if target.tier in (tier, "")]
    others = [target for target in route.targets if target.tier not in (tier, "")]
    first = _expanded(setup, meant)
    found = _listed([*first, *_expanded(setup, others)], route.hedge_after_s)
    return found._replace(ways=_ways(first or found.candidates))


_ALWAYS_THE_SAME = frozenset({"fixed", "fallback"})
_STRATEGIES: dict[str, Callable[[Setup, RouteSetup, ChatRequest, Signals], Plan]] = {
    "weighted": _weighted,
    "fastest": _fastest,
    "cheapest": _cheapest,
    "complexity": _by_complexity,
}


# --- models without a route ------------------------------------------------------------------------------------------


def able(setup: Setup, model: str) -> list[Candidate]:
    """Providers that have a model, in the tenant's order. Raises ModelNotFound."""
    name, slash, rest = model.partition("/")
    if slash and rest:
        named = [Candidate(provider, rest) for provider in setup.providers if provider.name == name]
        if named:
            return named
    sure = [Candidate(provider, model) for provider in setup.providers if has(provider, model)]
    if sure:
        return sure
    # No price list knows every name: a model of one's own, or one from yesterday. Its API will say so if it is neither.
    perhaps = [Candidate(p, model) for p in setup.providers if not p.simulated and not p.settings.get("models")]
    if not perhaps:
        raise ModelNotFound(
            f"No provider here has a model “{model}”. GET /v1/models lists those that can be asked for.", param="model"
        )
    return perhaps


def has(provider: ProviderConfig, model: str) -> bool:
    """As its settings list it, or else as its price catalog does."""
    listed = provider.settings.get("models")
    return model in listed if isinstance(listed, list) else is_priced(provider, model)


def is_priced(provider: ProviderConfig, model: str) -> bool:
    """The simulated provider stands in for models that exist; a typing error in a model's name should show."""
    # Half a second to import.
    from genai_prices.data_snapshot import get_snapshot

    known = _KNOWN.get((provider.catalog, model))
    if known is None:
        try:
            get_snapshot().find_provider_model(model, None, provider.catalog, None)
            known = True
        except LookupError:
            known = False
        if len(_KNOWN) < 10_000:
            _KNOWN[(provider.catalog, model)] = known
    return known


_KNOWN: dict[tuple[str, str], bool] = {}


# What is listed for a provider that lists nothing: a few that people know. It may have many more.
_WELL_KNOWN = {
    "openai": ("gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "gpt-4.1", "gpt-5-mini", "gpt-5"),
    "anthropic": ("claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5"),
    "google": ("gemini-2.5-flash-lite", "gemini-2.5-flash", "gemini-2.5-pro"),
    "cohere": ("command-r7b-12-2024", "command-a-03-2025"),
}


def model_names(setup: Setup, principal: Principal) -> dict[str, str]:
    """Names that can be asked for, with who answers: routes first, then what providers list."""
    names: dict[str, str] = {}
    for model, route in setup.routes.items():
        if route.targets:
            provider = route.targets[0].provider
            names[model] = provider.name if provider else "nexus"
    names.setdefault(AUTO, "nexus")
    for provider in setup.providers:
        for model in models_of(provider):
            names.setdefault(model, provider.name)
    if principal.allowed_models:
        names = {model: names.get(model, setup.providers[0].name) for model in sorted(principal.allowed_models)}
    return names


def models_of(provider: ProviderConfig) -> Iterable[Any]:
    """What it lists, or else a few well-known ones of its price catalog."""
    listed = provider.settings.get("models")
    return listed if isinstance(listed, list) else _WELL_KNOWN.get(provider.catalog, ())
