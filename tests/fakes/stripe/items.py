"""Subscription items in the API: each call is an update of the subscription."""

from __future__ import annotations

from tests.fakes.stripe.account import Account
from tests.fakes.stripe.changes import items_of
from tests.fakes.stripe.faults import Object, missing
from tests.fakes.stripe.rendering import page
from tests.fakes.stripe.subscriptions import update


def create_item(account: Account, given: Object) -> Object:
    if "subscription" not in given:
        raise missing("subscription")
    subscription = account.get("subscription", given["subscription"], "subscription")
    known = {each["id"] for each in items_of(subscription)}
    update(account, _as_update(given, None), subscription["id"])
    subscription = account.get("subscription", subscription["id"])
    return next(each for each in items_of(subscription) if each["id"] not in known)


def update_item(account: Account, given: Object, id_: str) -> Object:
    item = account.get("subscription_item", id_)
    update(account, _as_update(given, id_), item["subscription"])
    return account.get("subscription_item", id_)


def delete_item(account: Account, given: Object, id_: str) -> Object:
    item = account.get("subscription_item", id_)
    update(account, _as_update({**given, "deleted": True}, id_), item["subscription"])
    return {"id": id_, "object": "subscription_item", "deleted": True}


def _as_update(given: Object, id_: str | None) -> Object:
    own = ("price", "quantity", "metadata", "deleted")
    whole = ("proration_behavior", "proration_date", "payment_behavior")
    item: Object = {name: given[name] for name in own if name in given}
    rest: Object = {name: given[name] for name in whole if name in given}
    return {**rest, "items": [{**item, **({"id": id_} if id_ else {})}]}


def list_items(account: Account, given: Object) -> Object:
    subscription = account.get("subscription", given["subscription"], "subscription")
    return page(account, items_of(subscription), given, "/v1/subscription_items")
