"""Every call of the API that is served: its path, what answers it, and the SDK's name for its parameters."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from tests.fakes.stripe import (
    catalog,
    checkout,
    coupons,
    customers,
    endings,
    invoicing,
    items,
    merchant,
    metering,
    portal,
    schedules,
    subscriptions,
    webhooks,
)
from tests.fakes.stripe.catalog import retrieve
from tests.fakes.stripe.faults import Object

Answer = Callable[..., Object]


class Route(NamedTuple):
    method: str
    path: re.Pattern[str]
    answer: Answer
    parameters: str


def _route(method: str, path: str, answer: Answer, parameters: str) -> Route:
    return Route(method, re.compile("^/v1/" + path.replace("*", "([^/]+)") + "$"), answer, f"{parameters}Params")


ROUTES = [
    _route(*row)
    for row in (
        ("GET", "account", merchant.get, "AccountRetrieve"),
        ("GET", "accounts/*", merchant.get, "AccountRetrieve"),
        ("GET", "tax/settings", merchant.tax_settings, "tax.SettingsRetrieve"),
        ("POST", "tax/settings", merchant.update_tax_settings, "tax.SettingsModify"),
        ("POST", "products", catalog.create_product, "ProductCreate"),
        ("GET", "products", catalog.list_products, "ProductList"),
        ("GET", "products/*", retrieve("product"), "ProductRetrieve"),
        ("POST", "products/*", catalog.update_product, "ProductModify"),
        ("DELETE", "products/*", catalog.delete_product, "ProductDelete"),
        ("GET", "products/*/features", catalog.list_features, "ProductListFeatures"),
        ("POST", "prices", catalog.create_price, "PriceCreate"),
        ("GET", "prices", catalog.list_prices, "PriceList"),
        ("GET", "prices/*", retrieve("price"), "PriceRetrieve"),
        ("POST", "prices/*", catalog.update_price, "PriceModify"),
        ("POST", "coupons", coupons.create_coupon, "CouponCreate"),
        ("GET", "coupons", coupons.list_coupons, "CouponList"),
        ("GET", "coupons/*", retrieve("coupon"), "CouponRetrieve"),
        ("POST", "coupons/*", coupons.update_coupon, "CouponModify"),
        ("DELETE", "coupons/*", coupons.delete_coupon, "CouponDelete"),
        ("POST", "promotion_codes", coupons.create_promotion_code, "PromotionCodeCreate"),
        ("GET", "promotion_codes", coupons.list_promotion_codes, "PromotionCodeList"),
        ("GET", "promotion_codes/*", retrieve("promotion_code"), "PromotionCodeRetrieve"),
        ("POST", "promotion_codes/*", coupons.update_promotion_code, "PromotionCodeModify"),
        ("POST", "billing/meters", metering.create_meter, "billing.MeterCreate"),
        ("GET", "billing/meters", metering.list_meters, "billing.MeterList"),
        ("GET", "billing/meters/*", retrieve("billing.meter"), "billing.MeterRetrieve"),
        ("POST", "billing/meters/*", metering.update_meter, "billing.MeterModify"),
        ("POST", "billing/meters/*/deactivate", metering.deactivate_meter, "billing.MeterDeactivate"),
        ("POST", "billing/meters/*/reactivate", metering.reactivate_meter, "billing.MeterReactivate"),
        ("GET", "billing/meters/*/event_summaries", metering.list_summaries, "billing.MeterListEventSummaries"),
        ("POST", "billing/meter_events", metering.create_event, "billing.MeterEventCreate"),
        ("POST", "customers", customers.create_customer, "CustomerCreate"),
        ("GET", "customers", customers.list_customers, "CustomerList"),
        ("GET", "customers/*", customers.get_customer, "CustomerRetrieve"),
        ("POST", "customers/*", customers.update_customer, "CustomerModify"),
        ("DELETE", "customers/*", endings.delete_customer, "CustomerDelete"),
        ("POST", "customers/*/tax_ids", customers.create_tax_id, "CustomerCreateTaxId"),
        ("GET", "customers/*/tax_ids", customers.list_tax_ids, "CustomerListTaxIds"),
        ("GET", "customers/*/tax_ids/*", customers.get_tax_id, "CustomerRetrieveTaxId"),
        ("DELETE", "customers/*/tax_ids/*", customers.delete_tax_id, "CustomerDeleteTaxId"),
        ("GET", "customers/*/payment_methods", customers.list_customer_methods, "CustomerListPaymentMethods"),
        ("GET", "tax_ids/*", retrieve("tax_id"), "TaxIdRetrieve"),
        ("POST", "payment_methods", customers.create_method, "PaymentMethodCreate"),
        ("GET", "payment_methods", customers.list_methods, "PaymentMethodList"),
        ("GET", "payment_methods/*", retrieve("payment_method"), "PaymentMethodRetrieve"),
        ("POST", "payment_methods/*/attach", customers.attach_method, "PaymentMethodAttach"),
        ("POST", "payment_methods/*/detach", customers.detach_method, "PaymentMethodDetach"),
        ("POST", "setup_intents", customers.create_setup_intent, "SetupIntentCreate"),
        ("GET", "setup_intents/*", retrieve("setup_intent"), "SetupIntentRetrieve"),
        ("GET", "payment_intents/*", retrieve("payment_intent"), "PaymentIntentRetrieve"),
        ("GET", "payment_intents", merchant.listing("payment_intent", "payment_intents"), "PaymentIntentList"),
        ("GET", "charges/*", retrieve("charge"), "ChargeRetrieve"),
        ("GET", "charges", merchant.listing("charge", "charges"), "ChargeList"),
        ("POST", "checkout/sessions", checkout.create, "checkout.SessionCreate"),
        ("GET", "checkout/sessions", checkout.listing, "checkout.SessionList"),
        ("GET", "checkout/sessions/*", retrieve("checkout.session"), "checkout.SessionRetrieve"),
        ("POST", "checkout/sessions/*", checkout.update, "checkout.SessionModify"),
        ("POST", "checkout/sessions/*/expire", checkout.expire_session, "checkout.SessionExpire"),
        ("GET", "checkout/sessions/*/line_items", checkout.list_line_items, "checkout.SessionListLineItems"),
        ("POST", "billing_portal/configurations", portal.create_configuration, "billing_portal.ConfigurationCreate"),
        ("GET", "billing_portal/configurations", portal.list_configurations, "billing_portal.ConfigurationList"),
        (
            "GET",
            "billing_portal/configurations/*",
            retrieve("billing_portal.configuration"),
            "billing_portal.ConfigurationRetrieve",
        ),
        ("POST", "billing_portal/configurations/*", portal.update_configuration, "billing_portal.ConfigurationModify"),
        ("POST", "billing_portal/sessions", portal.create_session, "billing_portal.SessionCreate"),
        ("POST", "subscriptions", subscriptions.create, "SubscriptionCreate"),
        ("GET", "subscriptions", subscriptions.listing, "SubscriptionList"),
        ("GET", "subscriptions/*", retrieve("subscription"), "SubscriptionRetrieve"),
        ("POST", "subscriptions/*", subscriptions.update, "SubscriptionModify"),
        ("DELETE", "subscriptions/*", endings.cancel, "SubscriptionCancel"),
        ("POST", "subscriptions/*/resume", endings.resume, "SubscriptionResume"),
        ("POST", "subscription_items", items.create_item, "SubscriptionItemCreate"),
        ("GET", "subscription_items", items.list_items, "SubscriptionItemList"),
        ("GET", "subscription_items/*", retrieve("subscription_item"), "SubscriptionItemRetrieve"),
        ("POST", "subscription_items/*", items.update_item, "SubscriptionItemModify"),
        ("DELETE", "subscription_items/*", items.delete_item, "SubscriptionItemDelete"),
        ("POST", "subscription_schedules", schedules.create, "SubscriptionScheduleCreate"),
        ("GET", "subscription_schedules", schedules.listing, "SubscriptionScheduleList"),
        ("GET", "subscription_schedules/*", retrieve("subscription_schedule"), "SubscriptionScheduleRetrieve"),
        ("POST", "subscription_schedules/*", schedules.update, "SubscriptionScheduleModify"),
        ("POST", "subscription_schedules/*/release", schedules.release, "SubscriptionScheduleRelease"),
        ("POST", "subscription_schedules/*/cancel", schedules.cancel, "SubscriptionScheduleCancel"),
        ("POST", "invoices/create_preview", invoicing.preview, "InvoiceCreatePreview"),
        ("POST", "invoices", invoicing.create, "InvoiceCreate"),
        ("GET", "invoices", invoicing.listing, "InvoiceList"),
        ("GET", "invoices/*", retrieve("invoice"), "InvoiceRetrieve"),
        ("POST", "invoices/*", invoicing.update, "InvoiceModify"),
        ("DELETE", "invoices/*", invoicing.delete, "InvoiceDelete"),
        ("POST", "invoices/*/finalize", invoicing.finalize, "InvoiceFinalizeInvoice"),
        ("POST", "invoices/*/pay", invoicing.pay, "InvoicePay"),
        ("POST", "invoices/*/void", invoicing.void, "InvoiceVoidInvoice"),
        ("POST", "invoices/*/mark_uncollectible", invoicing.mark_uncollectible, "InvoiceMarkUncollectible"),
        ("GET", "invoices/*/lines", invoicing.list_lines, "InvoiceListLines"),
        ("GET", "invoice_payments", invoicing.list_payments, "InvoicePaymentList"),
        ("GET", "invoice_payments/*", retrieve("invoice_payment"), "InvoicePaymentRetrieve"),
        ("POST", "invoiceitems", invoicing.create_item, "InvoiceItemCreate"),
        ("GET", "invoiceitems", invoicing.list_items, "InvoiceItemList"),
        ("GET", "invoiceitems/*", retrieve("invoiceitem"), "InvoiceItemRetrieve"),
        ("DELETE", "invoiceitems/*", invoicing.delete_item, "InvoiceItemDelete"),
        ("GET", "events", webhooks.list_events, "EventList"),
        ("GET", "events/*", retrieve("event"), "EventRetrieve"),
        ("POST", "webhook_endpoints", webhooks.create_endpoint, "WebhookEndpointCreate"),
        ("GET", "webhook_endpoints", webhooks.list_endpoints, "WebhookEndpointList"),
        ("GET", "webhook_endpoints/*", retrieve("webhook_endpoint"), "WebhookEndpointRetrieve"),
        ("POST", "webhook_endpoints/*", webhooks.update_endpoint, "WebhookEndpointModify"),
        ("DELETE", "webhook_endpoints/*", webhooks.delete_endpoint, "WebhookEndpointDelete"),
    )
]


def find(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    for route in ROUTES:
        found = route.path.match(path)
        if found and route.method == method:
            return route, found.groups()
    return None
