"""The hosted pages' HTML: checkout, portal, invoice. No scripts, nothing from elsewhere."""

from __future__ import annotations

from html import escape

from tests.fakes.stripe import lines
from tests.fakes.stripe.account import Account
from tests.fakes.stripe.cards import CARDS
from tests.fakes.stripe.changes import items_of, period_of
from tests.fakes.stripe.checkout import has_trial
from tests.fakes.stripe.faults import Object
from tests.fakes.stripe.periods import day_text
from tests.fakes.stripe.portal import features_of, prices_offered, subscriptions_of

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;background:#f6f7f9;color:#1a1f36;margin:0}
main{max-width:34rem;margin:2rem auto;background:#fff;border:1px solid #e0e4ea;border-radius:10px;padding:1.5rem 2rem}
.fake{background:#7a4b00;color:#fff;text-align:center;padding:.4rem;font-weight:600}
h1{font-size:1.3rem;margin:.2rem 0 1rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}
label{display:block;margin:.8rem 0 .2rem;font-weight:600}
input,select{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;border:1px solid #8a94a6;border-radius:6px}
button{font:inherit;font-weight:600;background:#4338ca;color:#fff;border:0;border-radius:6px;padding:.6rem 1rem;
margin-top:1rem;cursor:pointer}button.plain{background:#e6e8ee;color:#1a1f36}
table{width:100%;border-collapse:collapse}td,th{padding:.3rem 0;text-align:left;border-bottom:1px solid #e0e4ea}
td:last-child,th:last-child{text-align:right;font-variant-numeric:tabular-nums}
.error{background:#fdecec;border:1px solid #c62828;color:#8e0000;border-radius:6px;padding:.5rem .8rem}
small{color:#56607a}a{color:#3730a3}:focus-visible{outline:3px solid #a5b4fc}
"""
COUNTRIES = "US DE FR GB IE NL ES IT AT CH AU CA JP BR IN".split()


def document(title: str, body: str) -> bytes:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f'<body><p class="fake" style="margin:0">Fake Stripe, no money moves</p><main>{body}</main></body></html>'
    ).encode()


def money(cents: int, currency: str) -> str:
    sign = "-" if cents < 0 else ""
    return f"{sign}{'$' if currency == 'usd' else currency.upper() + ' '}{abs(cents) / 100:,.2f}"


def _error(text: str | None) -> str:
    return f'<p class="error" role="alert">{escape(text)}</p>' if text else ""


def _price_text(account: Account, price: Object) -> str:
    per = price["recurring"]["interval"]
    if price["billing_scheme"] == "tiered" or price["recurring"]["usage_type"] == "metered":
        return f"by usage, billed each {per}"
    return f"{money(int(float(price['unit_amount_decimal'])), price['currency'])} / {per}"


def _card_field() -> str:
    offered = "".join(f'<option value="{number}">' for number in CARDS)
    return (
        '<label for="card">Card number</label><input id="card" name="card" list="cards" inputmode="numeric" '
        f'autocomplete="off" value="4242 4242 4242 4242" required><datalist id="cards">{offered}</datalist>'
    )


def checkout_page(account: Account, session: Object, filled: Object, error: str | None) -> bytes:
    given = account.notes[session["id"]]["given"]
    rows = "".join(_item_row(account, item) for item in account.notes[session["id"]]["line_items"])
    taken = session["total_details"]["amount_discount"]
    off = f"<tr><td>Discount</td><td>{money(-taken, session['currency'])}</td></tr>" if taken else ""
    tax = "<small>Tax is added by country.</small>" if session["automatic_tax"]["enabled"] else ""
    trial = given.get("subscription_data", {}).get("trial_period_days")
    button = "Start trial" if has_trial(given) else "Subscribe"
    fields = [
        _text_field("email", "Email", filled, "email") if not (session["customer"] or session["customer_email"]) else ""
    ]
    fields += [_text_field("name", "Name on card", filled), _card_field(), _country_field(filled)]
    if session["tax_id_collection"]["enabled"]:
        fields.append(_text_field("tax_id", "VAT id (optional)", filled))
    if given.get("allow_promotion_codes"):
        fields.append(_text_field("promotion_code", "Promotion code (optional)", filled))
    cancel = f'<p><a id="cancel" href="{escape(session["cancel_url"])}">Cancel</a></p>' if session["cancel_url"] else ""
    return document(
        "Checkout",
        f"<h1>Subscribe</h1>{_error(error)}<table>{rows}{off}<tr><th>Due today</th>"
        f"<th id='total'>{money(session['amount_total'], session['currency'])}</th></tr></table>{tax}"
        + (f"<p>{trial} days free, then billed.</p>" if trial else "")
        + f'<form method="post">{"".join(fields)}<button id="pay">{button}</button></form>{cancel}',
    )


def _item_row(account: Account, item: Object) -> str:
    times = f" × {item['quantity']}" if (item["quantity"] or 1) > 1 else ""
    return (
        f"<tr><td>{escape(item['description'])}{times}</td><td>{escape(_price_text(account, item['price']))}</td></tr>"
    )


def _text_field(name: str, label: str, filled: Object, sort: str = "text") -> str:
    value = escape(str(filled.get(name, "")))
    field = f'<input id="{name}" name="{name}" type="{sort}" value="{value}" maxlength="200">'
    return f'<label for="{name}">{label}</label>{field}'


def _country_field(filled: Object) -> str:
    chosen = filled.get("country", "US")
    options = "".join(f"<option{' selected' if each == chosen else ''}>{each}</option>" for each in COUNTRIES)
    return f'<label for="country">Country</label><select id="country" name="country">{options}</select>'


def closed_page(session: Object) -> bytes:
    return document("Checkout", f"<h1>This session is {session['status']}</h1><p>Go back to where you came from.</p>")


def portal_page(account: Account, session: Object, error: str | None) -> bytes:
    features, flow = features_of(account, session), (session["flow"] or {}).get("type", "")
    parts = [_error(error)]
    for subscription in subscriptions_of(account, session):
        parts.append(_subscription_part(account, session, subscription, features))
    if features["payment_method_update"]["enabled"] and not flow.startswith("subscription_"):
        parts.append(f"<h2>Card</h2><p>{_card_now(account, session)}</p>")
        parts.append(
            f'<form method="post">{_card_field()}<button name="action" value="card">Use this card</button></form>'
        )
    if features["customer_update"]["enabled"] and not flow:
        parts.append(_details_part(account.objects[session["customer"]]))
    if features["invoice_history"]["enabled"] and not flow:
        parts.append(_invoice_part(account, session))
    if session["return_url"]:
        parts.append(f'<p><a id="return" href="{escape(session["return_url"])}">Return</a></p>')
    return document("Billing", "<h1>Billing</h1>" + "".join(parts))


def _details_part(customer: Object) -> str:
    filled = {"name": customer["name"] or "", "country": (customer["address"] or {}).get("country")}
    fields = _text_field("name", "Name", filled) + _country_field(filled)
    button = '<button class="plain" name="action" value="details">Save</button>'
    return f'<h2>Details</h2><form method="post">{fields}{button}</form>'


def _subscription_part(account: Account, session: Object, subscription: Object, features: Object) -> str:
    names = ", ".join(lines.product_name(account, item["price"]) for item in items_of(subscription))
    end = day_text(period_of(subscription)[1])
    state = f"ends on {day_text(subscription['cancel_at'])}" if subscription["cancel_at"] else f"renews on {end}"
    note = ", changes when it renews" if subscription["schedule"] else ""
    made = f"<h2>{escape(names)}</h2><p>{subscription['status']}, {state}{note}.</p>"
    hidden = f'<form method="post"><input type="hidden" name="subscription" value="{subscription["id"]}">'
    current = {item["price"]["id"] for item in items_of(subscription)}
    options = "".join(
        f'<option value="{price["id"]}">{escape(lines.product_name(account, price))}: '
        f"{escape(_price_text(account, price))}</option>"
        for price in prices_offered(account, session)
        if price["id"] not in current
    )
    if options:
        made += f'{hidden}<label for="price">Change plan</label><select id="price" name="price">{options}</select>'
        made += '<button name="action" value="change">Change plan</button></form>'
    if features["subscription_cancel"]["enabled"]:
        verb, text = ("resume", "Do not cancel") if subscription["cancel_at"] else ("cancel", "Cancel plan")
        made += f'{hidden}<button class="plain" name="action" value="{verb}">{text}</button></form>'
    return made


def _card_now(account: Account, session: Object) -> str:
    customer = account.objects[session["customer"]]
    own = [each["default_payment_method"] for each in subscriptions_of(account, session)]
    method = account.find(next(filter(None, own), None) or customer["invoice_settings"]["default_payment_method"])
    return f"{method['card']['brand']} ending in {method['card']['last4']}" if method else "No card yet."


def _invoice_part(account: Account, session: Object) -> str:
    rows = ""
    for invoice in reversed(account.all("invoice", customer=session["customer"])):
        if invoice["status"] == "draft":
            continue
        link = f'<a href="{invoice["hosted_invoice_url"]}">{invoice["number"]}</a>'
        pay = ""
        if invoice["status"] == "open":
            pay = f'<form method="post"><input type="hidden" name="invoice" value="{invoice["id"]}">'
            pay += '<button name="action" value="pay">Pay now</button></form>'
        rows += f"<tr><td>{day_text(invoice['created'])} {link} {invoice['status']}{pay}</td>"
        rows += f"<td>{money(invoice['total'], invoice['currency'])}</td></tr>"
    return f"<h2>Invoices</h2><table>{rows or '<tr><td>None yet.</td><td></td></tr>'}</table>"


def invoice_rows(invoice: Object) -> list[tuple[str, str]]:
    """Every line, then the sums."""
    currency = invoice["currency"]
    rows = [(line["description"] or "", money(line["amount"], currency)) for line in invoice["lines"]["data"]]
    rows.append(("Subtotal", money(invoice["subtotal"], currency)))
    rows += [("Discount", money(-each["amount"], currency)) for each in invoice["total_discount_amounts"]]
    rows += [("Tax", money(each["amount"], currency)) for each in invoice["total_taxes"]]
    rows.append(("Total", money(invoice["total"], currency)))
    if invoice["amount_due"] != invoice["total"]:
        rows.append(("Amount due after balance", money(invoice["amount_due"], currency)))
    return rows


def invoice_page(invoice: Object) -> bytes:
    rows = "".join(f"<tr><td>{escape(text)}</td><td>{amount}</td></tr>" for text, amount in invoice_rows(invoice))
    return document(
        f"Invoice {invoice['number']}",
        f"<h1>Invoice {invoice['number']}</h1><p>{day_text(invoice['created'])}, {invoice['status']}, for "
        f"{escape(invoice['customer_email'] or invoice['customer'])}</p><table>{rows}</table>"
        f'<p><a href="{invoice["invoice_pdf"]}">Download as PDF</a></p>',
    )
