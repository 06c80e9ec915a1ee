"""Makes Stripe's products, meters and prices what our plans are. May run any number of times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import djstripe.models as mirror
from django.conf import settings

from billing.models import Plan
from billing.stripe import catalog
from billing.stripe.client import Object, ask, v1


class Done(NamedTuple):
    """One line of the report."""

    what: str
    name: str
    did: str
    id: str


def sync() -> Iterator[Done]:
    meter_ids: dict[str, str] = {}
    for name, title in catalog.METERS.items():
        meter, did = _meter(name, title)
        meter_ids[name] = meter["id"]
        yield Done("meter", name, did, meter["id"])
    for plan in Plan.objects.all():
        if plan.is_sold:
            product, did = _product(plan)
            keep(mirror.Product, product)
            yield Done("product", plan.name, did, product["id"])
            for wanted in catalog.prices_of(plan):
                yield _price(plan, wanted, meter_ids)


def _meter(name: str, title: str) -> tuple[Object, str]:
    """A meter cannot be changed; its name says which it is."""
    meters = ask(v1().billing.meters.list, {"status": "active", "limit": 100})["data"]
    for meter in meters:
        if meter["event_name"] == name:
            return meter, "unchanged"
    wanted = {
        "display_name": title,
        "event_name": name,
        "default_aggregation": {"formula": "sum"},
        "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
        "value_settings": {"event_payload_key": "value"},
    }
    return ask(v1().billing.meters.create, wanted), "created"


def _product(plan: Plan) -> tuple[Object, str]:
    wanted: Object = {"name": f"NexusGateway {plan.name}", "metadata": {"plan": plan.code}}
    found = ask(v1().products.list, {"ids": [catalog.product_id(plan)]})["data"]
    if not found:
        return ask(v1().products.create, {"id": catalog.product_id(plan), **wanted}), "created"
    product = found[0]
    if product["name"] == wanted["name"] and product["metadata"].get("plan") == plan.code and product["active"]:
        return product, "unchanged"
    return ask(v1().products.update, product["id"], {**wanted, "active": True}), "updated"


def _price(plan: Plan, wanted: catalog.WantedPrice, meter_ids: Mapping[str, str]) -> Done:
    """A price cannot be changed: a new one takes over the lookup key, and who pays the old one goes on paying it."""
    parameters = catalog.parameters(plan, wanted, meter_ids)
    found = ask(v1().prices.list, {"lookup_keys": [wanted.lookup_key], "expand": ["data.tiers"]})["data"]
    old = found[0] if found else None
    if old and old["active"] and catalog.is_same(old, parameters):
        keep(mirror.Price, old)
        return Done("price", wanted.lookup_key, "unchanged", old["id"])
    price = ask(v1().prices.create, {**parameters, "transfer_lookup_key": True})
    keep(mirror.Price, price)
    if old is None:
        return Done("price", wanted.lookup_key, "created", price["id"])
    keep(mirror.Price, ask(v1().prices.update, old["id"], {"active": False}))
    return Done("price", wanted.lookup_key, f"replaced {old['id']}, archived", price["id"])


def keep(model: type[mirror.StripeModel], made: Object) -> None:
    """In dj-stripe's tables, as its webhooks would."""
    model.sync_from_stripe_data(made, api_key=settings.STRIPE_SECRET_KEY)
