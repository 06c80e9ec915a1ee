"""Invoice lines and the items that wait for an invoice: what an item costs for a period, used, or prorated."""

from __future__ import annotations

from decimal import Decimal

from tests.fakes.stripe import charging, metering
from tests.fakes.stripe.account import Account
from tests.fakes.stripe.catalog import amount_text
from tests.fakes.stripe.charging import Part
from tests.fakes.stripe.faults import Object
from tests.fakes.stripe.periods import day_text


def is_metered(item: Object) -> bool:
    return bool(item["price"]["recurring"]["usage_type"] == "metered")


def product_name(account: Account, price: Object) -> str:
    return str((account.find(price["product"]) or {}).get("name", "Deleted product"))


def pricing(price: Object, unit: Decimal) -> Object:
    details = {"price": price["id"], "product": price["product"]}
    return {"price_details": details, "type": "price_details", "unit_amount_decimal": amount_text(unit)}


def line(account: Account, subscription: str | None, fields: Object, parent: Object) -> Object:
    """A line with what every line has. It belongs to no invoice yet."""
    return {
        "id": account.new_id("line_item"),
        "object": "line_item",
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "parent": {"invoice_item_details": None, "subscription_item_details": None, **parent},
        "pretax_credit_amounts": [],
        "pricing": None,
        "quantity": 1,
        "subscription": subscription,
        "subtotal": fields["amount"],
        "taxes": [],
        **fields,
    }


def _item_parent(item: Object, waited: Object | None = None) -> Object:
    details = {
        "invoice_item": waited["id"] if waited else None,
        "proration": bool(waited and waited["proration"]),
        "proration_details": {"credited_items": None},
        "subscription": item["subscription"],
        "subscription_item": item["id"],
    }
    return {"subscription_item_details": details, "type": "subscription_item_details"}


def _priced(account: Account, item: Object, price: Object, part: Part, period: tuple[int, int], text: str) -> Object:
    fields = {
        "amount": part.amount,
        "currency": price["currency"],
        "description": f"{text} ({part.note})" if part.note else text,
        "metadata": dict(item["metadata"]),
        "period": {"start": period[0], "end": period[1]},
        "pricing": pricing(price, part.unit),
        "quantity": part.quantity,
    }
    return line(account, item["subscription"], fields, _item_parent(item))


def advance_lines(account: Account, item: Object, *, trial: bool = False) -> list[Object]:
    """A licensed item for the period it is in; nothing of it during a trial."""
    price, name = item["price"], product_name(account, item["price"])
    period = (item["current_period_start"], item["current_period_end"])
    if trial:
        text = f"Trial period for {name}"
        return [_priced(account, item, price, Part(item["quantity"], Decimal(0), 0), period, text)]
    made = charging.parts(account, price, item["quantity"])
    per = price["recurring"]["interval"]
    texts = [f"{part.quantity} × {name} (at ${part.unit / 100:.2f} / {per})" for part in made]
    return [_priced(account, item, price, part, period, text) for part, text in zip(made, texts, strict=True)]


def usage_of(account: Account, arrears: Object, customer: str) -> int:
    """Overall negative usage is billed as none."""
    meter = account.objects[arrears["price"]]["recurring"]["meter"]
    return max(0, metering.used(account, meter, customer, arrears["start"], arrears["end"]))


def arrears_lines(account: Account, arrears: Object, customer: str) -> list[Object]:
    """A metered item for the time that is over."""
    item, price = account.objects[arrears["item"]], account.objects[arrears["price"]]
    period = (arrears["start"], arrears["end"])
    made = charging.parts(account, price, usage_of(account, arrears, customer))
    name = product_name(account, price)
    return [_priced(account, item, price, part, period, f"{part.quantity} × {name}") for part in made]


def arrears(item: Object, since: int, until: int) -> Object:
    return {"item": item["id"], "price": item["price"]["id"], "start": since, "end": until}


# Items that wait for an invoice


def wait(
    account: Account,
    subscription: Object,
    item: Object,
    part: Part,
    text: str,
    period: tuple[int, int],
) -> Object:
    """A proration, for the subscription's next invoice."""
    price = item["price"]
    fields = {
        "amount": part.amount,
        "currency": price["currency"],
        "customer": subscription["customer"],
        "customer_account": None,
        "date": account.now(),
        "description": text,
        "discountable": False,
        "discounts": [],
        "frozen_fields": None,
        "invoice": None,
        "metadata": {},
        "net_amount": part.amount,
        "parent": {
            "subscription_details": {"subscription": subscription["id"], "subscription_item": item["id"]},
            "type": "subscription_details",
        },
        "period": {"start": period[0], "end": period[1]},
        "pricing": pricing(price, part.unit),
        "proration": True,
        "proration_details": {"discount_amounts": []},
        "quantity": part.quantity,
        "quantity_decimal": str(part.quantity),
        "tax_rates": [],
        "test_clock": None,
    }
    made = account.add("invoiceitem", fields)
    del made["created"]
    account.tell("invoiceitem.created", made)
    return made


def waiting(account: Account, customer: str, subscription: str | None) -> list[Object]:
    return [
        each
        for each in account.all("invoiceitem", customer=customer, invoice=None)
        if ((each["parent"] or {}).get("subscription_details") or {}).get("subscription") == subscription
    ]


def line_of(account: Account, waited: Object) -> Object:
    """The line that an invoice item becomes."""
    details = (waited["parent"] or {}).get("subscription_details") or {}
    same = "amount currency description discountable metadata period pricing quantity".split()
    fields = {name: waited[name] for name in same}
    item = account.find(details.get("subscription_item"))
    if item:
        return line(account, details["subscription"], fields, _item_parent(item, waited))
    own = {
        "invoice_item": waited["id"],
        "proration": waited["proration"],
        "proration_details": {"credited_items": None},
        "subscription": details.get("subscription"),
    }
    parent = {"invoice_item_details": own, "type": "invoice_item_details"}
    return line(account, details.get("subscription"), fields, parent)


def owe(account: Account, subscription: Object, item: Object, until: int) -> None:
    """A metered item's price is left: what was used so far is owed at that price, on the next invoice."""
    owed = account.notes[subscription["id"]].setdefault("owed", [])
    owed.append(arrears(item, metered_since(account, item), until))
    account.notes[item["id"]]["since"] = until


def take_owed(account: Account, subscription: Object) -> list[Object]:
    taken: list[Object] = account.notes[subscription["id"]].pop("owed", [])
    return taken


def metered_since(account: Account, item: Object) -> int:
    """From when on usage is not yet billed."""
    return int(max(account.notes[item["id"]].get("since", 0), item["current_period_start"]))


# Prorations


def bill_debits(account: Account, made: list[Object]) -> None:
    """Remembers what an item's coming time was billed at: a credit gives back a share of exactly that."""
    for each in made:
        details = each["parent"]["subscription_item_details"]
        if details and each["amount"] > 0 and not details["proration"]:
            net = each["amount"] - sum(part["amount"] for part in each["discount_amounts"])
            remember_debit(account, details["subscription_item"], net, each["period"]["start"], each["period"]["end"])


def remember_debit(account: Account, item: str, net: int, start: int, end: int) -> None:
    account.notes[item].setdefault("debits", []).append({"net": net, "start": start, "end": end})


def credit_rest(account: Account, subscription: Object, item: Object, at: int) -> int:
    """Gives back what was billed for the item's time after `at`; the sum, in cents."""
    debits = account.notes[item["id"]].pop("debits", [])
    given_back = 0
    for debit in debits:
        credit = (
            charging.share(debit["net"], debit["end"] - at, debit["end"] - debit["start"]) if debit["end"] > at else 0
        )
        if credit:
            text = f"Unused time on {product_name(account, item['price'])} after {day_text(at)}"
            part = Part(item.get("quantity") or 1, Decimal(-credit), -credit)
            wait(account, subscription, item, part, text, (at, debit["end"]))
            given_back += credit
    return given_back


def debit_rest(account: Account, subscription: Object, item: Object, at: int) -> None:
    """Bills the item's time from `at` to the end of its period, discounts included."""
    start, end = item["current_period_start"], item["current_period_end"]
    whole = _net_of_discounts(account, item, subscription["discounts"])
    amount = charging.share(whole, end - at, end - start)
    if amount:
        text = f"Remaining time on {product_name(account, item['price'])} after {day_text(at)}"
        wait(account, subscription, item, Part(item["quantity"], Decimal(amount), amount), text, (at, end))
        remember_debit(account, item["id"], amount, at, end)


def _net_of_discounts(account: Account, item: Object, discounts: list[str]) -> int:
    trial_lines = advance_lines(account, item)
    charging.discount_lines(account, trial_lines, discounts)
    return sum(each["amount"] - sum(d["amount"] for d in each["discount_amounts"]) for each in trial_lines)
