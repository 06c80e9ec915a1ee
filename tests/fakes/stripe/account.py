"""The merchant's account: every object by its id, the clock, the private notes beside objects, and what happened.

The clock is real time plus an offset. Handlers change objects only; rendering copies them.
"""

from __future__ import annotations

import contextlib
import copy
import secrets
import string
import time
from collections.abc import Iterable, Iterator
from typing import Any

import stripe

from tests.fakes.stripe.faults import Object, invalid, no_such

_ALPHABET = string.ascii_letters + string.digits
# What ids begin with, by the object's name.
PREFIXES: dict[str, str] = {
    "billing.meter": "mtr_test_",
    "billing.meter_event_summary": "mtrusg_test_",
    "billing_portal.configuration": "bpc_",
    "billing_portal.session": "bps_",
    "charge": "ch_",
    "checkout.session": "cs_test_",
    "coupon": "",
    "customer": "cus_",
    "discount": "di_",
    "event": "evt_",
    "invoice": "in_",
    "invoice_payment": "inpay_",
    "invoiceitem": "ii_",
    "item": "li_",
    "line_item": "il_",
    "payment_intent": "pi_",
    "payment_method": "pm_",
    "price": "price_",
    "product": "prod_",
    "promotion_code": "promo_",
    "setup_intent": "seti_",
    "subscription": "sub_",
    "subscription_item": "si_",
    "subscription_schedule": "sub_sched_",
    "tax_id": "txi_",
    "webhook_endpoint": "we_",
}
DEFAULT_SETTINGS: Object = {
    # Days between one failed payment of an invoice and the next try.
    "dunning_days": [3, 5, 7],
    # What becomes of the subscription after the last of them: unpaid, canceled or past_due.
    "dunning_end": "unpaid",
    # `invoice.upcoming` is sent that long before a renewal.
    "upcoming_days": 7,
    # A meter event counts so long after it was taken.
    "meter_lag_s": 0,
}


def random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


class Account:
    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Empty again, at real time. The account's own id stays."""
        self.objects: dict[str, Object] = {}
        self.kinds: dict[str, list[str]] = {}
        # What the API never shows, by the object's id.
        self.notes: dict[str, Object] = {}
        self.settings: Object = copy.deepcopy(DEFAULT_SETTINGS)
        self.meter_events: list[Object] = []
        self.meter_errors: list[Object] = []
        self.meter_identifiers: dict[str, int] = {}
        self.tax_defaults: Object = {}
        self.offset_s = 0
        self.tick()
        # Where this server is reached, as its callers say.
        self.url = "http://127.0.0.1:12111"
        # The API call that is being answered: events name it.
        self.request: Object = {"id": None, "idempotency_key": None}
        self._quiet = 0

    def tick(self) -> None:
        """Real time goes on between two requests, not within one."""
        self._real = int(time.time())

    def now(self) -> int:
        return self._real + self.offset_s

    def set_clock(self, to: int) -> None:
        self.offset_s = to - self._real

    # Objects

    def new_id(self, kind: str) -> str:
        return PREFIXES[kind] + random_text(24)

    def add(self, kind: str, fields: Object, **notes: Any) -> Object:
        """Keeps a new object; its id is made unless the fields hold one."""
        id_ = fields.get("id") or self.new_id(kind)
        if id_ in self.objects:
            raise invalid(f"{kind.capitalize()} already exists.", "id", "resource_already_exists")
        made = {**fields, "id": id_, "object": kind}
        made.setdefault("livemode", False)
        made.setdefault("created", self.now())
        self.objects[id_] = made
        self.kinds.setdefault(kind, []).append(id_)
        self.notes[id_] = notes
        return made

    def get(self, kind: str, id_: str, param: str = "id") -> Object:
        found = self.objects.get(id_)
        if found is None or found["object"] != kind or found.get("deleted"):
            raise no_such(kind, id_, param)
        return found

    def find(self, id_: str | None) -> Object | None:
        return self.objects.get(id_) if id_ else None

    def all(self, kind: str, **equal: Any) -> list[Object]:
        """Of one sort and with these fields, oldest first."""
        found = (self.objects[id_] for id_ in self.kinds.get(kind, []))
        return [each for each in found if all(each.get(name) == value for name, value in equal.items())]

    def remove(self, made: Object, *, remembered: bool = False) -> Object:
        """Of a remembered one a stub stays, which says that it is deleted."""
        self.kinds[made["object"]].remove(made["id"])
        stub = {"id": made["id"], "object": made["object"], "deleted": True}
        if remembered:
            self.objects[made["id"]] = stub
        else:
            del self.objects[made["id"]]
        return stub

    # What happened

    def tell(self, type_: str, about: Object, previous: Object | None = None) -> None:
        """Records an event with the object as it is now."""
        if self._quiet:
            return
        data: Object = {"object": copy.deepcopy(about)}
        if previous is not None:
            data["previous_attributes"] = copy.deepcopy(previous)
        id_ = self.new_id("event")
        self.objects[id_] = {
            "id": id_,
            "object": "event",
            "account": None,
            "api_version": stripe.api_version,
            "context": None,
            "created": self.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": dict(self.request),
            "type": type_,
        }
        self.kinds.setdefault("event", []).append(id_)
        self.notes[id_] = {"attempts": []}

    @contextlib.contextmanager
    def changing(self, about: Object, type_: str) -> Iterator[Object]:
        """Records the event when the body has changed the object, with the values that were before."""
        before = copy.deepcopy(about)
        yield about
        changed = _previous(before, about)
        if changed:
            self.tell(type_, about, changed)

    @contextlib.contextmanager
    def undone(self, *, only_on_fault: bool = False) -> Iterator[None]:
        """Whatever the body did is forgotten afterwards: for previews, and for all-or-nothing updates.

        Objects that the caller holds are stale then.
        """
        # In one piece, so that what is one object inside several stays one.
        saved = copy.deepcopy({name: getattr(self, name) for name in ("objects", "kinds", "notes")})
        kept = False
        try:
            yield
            kept = only_on_fault
        finally:
            if not kept:
                vars(self).update(saved)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """No events from the body."""
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1


def _previous(before: Object, after: Object) -> Object:
    changed: Object = {}
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict) and "id" not in old:
            changed[name] = _previous(old, new)
        else:
            changed[name] = old
    return changed


def merged_metadata(before: Object, given: Object | str) -> Object:
    """An empty value drops its key, an empty text drops all."""
    if isinstance(given, str):
        return {}
    return {key: value for key, value in {**before, **given}.items() if value != ""}


def newest_first(objects: Iterable[Object]) -> list[Object]:
    return list(reversed(list(objects)))
