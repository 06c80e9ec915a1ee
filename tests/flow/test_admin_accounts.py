"""How operators get into the admin, and how somebody gets in again who has lost the second factor."""

from __future__ import annotations

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from tenants.models import AuditEvent, User
from tests import filled
from tests.conftest import Workspace
from tests.pages import flat
from tests.post import mail_to


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(filled.operator())
    return client


@pytest.mark.parametrize(
    ("wish", "place"), [("/admin/system/", "/admin/system/"), ("https://evil.example/", "/admin/"), ("", "/admin/")]
)
def test_who_has_logged_in_is_led_on_and_to_this_site_only(operator: Client, wish: str, place: str) -> None:
    assert operator.get("/admin/login/", {"next": wish}).headers["Location"] == place


def test_who_is_no_operator_is_told_so(alice: Workspace) -> None:
    client = Client()
    client.force_login(alice.owner)
    answer = client.get("/admin/", follow=True)
    assert answer.status_code == 403 and "This is not for you" in flat(answer) and alice.owner.email in flat(answer)


def test_a_password_is_changed_where_everybody_does_it(operator: Client) -> None:
    assert operator.get("/admin/password_change/").headers["Location"] == "/account/password/change/"


def test_lost_second_factors_are_taken_away_after_one_question_told_and_audited(
    operator: Client, alice: Workspace
) -> None:
    user: User = alice.owner
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    TOTP.activate(user, generate_totp_secret())
    RecoveryCodes.activate(user)
    page = reverse("admin:tenants_user_change", args=[user.pk])
    assert "TOTP Authenticator" in flat(operator.get(page))
    act = reverse("admin:tenants_user_take_factors_button", args=[user.pk])
    assert "Take away all second factors" in flat(operator.get(act))
    assert Authenticator.objects.filter(user=user).count() == 2
    assert "Taken away: 2." in flat(operator.post(act, {"confirmed": "yes"}, follow=True))
    assert not Authenticator.objects.filter(user=user).exists()
    noted = AuditEvent.objects.filter(action="user.factors_removed", target=user.email)
    assert [event.before for event in noted] == [{"types": ["recovery_codes", "totp"]}] * 2
    assert {event.tenant for event in noted} == {None, alice.tenant}
    assert [message.subject for message in mail_to(user.email)] == ["Authenticator App Deactivated"]
    assert "Taken away: 0." in flat(operator.post(act, {"confirmed": "yes"}, follow=True))
    assert noted.count() == 2


def test_who_may_only_look_takes_nothing_away(alice: Workspace, mallory: Workspace) -> None:
    from django.contrib.auth.models import Permission

    TOTP.activate(alice.owner, generate_totp_secret())
    User.objects.filter(pk=mallory.owner.pk).update(is_staff=True)
    mallory.owner.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(mallory.owner)
    act = reverse("admin:tenants_user_take_factors_button", args=[alice.owner.pk])
    assert client.post(act, {"confirmed": "yes"}).status_code == 403
    assert Authenticator.objects.filter(user=alice.owner).exists()


def test_what_is_mirrored_is_looked_at_only() -> None:
    labels = {model._meta.app_label for model in admin.site._registry}
    assert labels == {"tenants", "billing", "djstripe"}
    shown = [model for model in admin.site._registry if model._meta.app_label == "djstripe"]
    request = type("Request", (), {"user": filled.operator()})()
    for model in shown:
        of_model = admin.site._registry[model]
        assert not of_model.has_add_permission(request) and not of_model.has_change_permission(request)
        assert not of_model.has_delete_permission(request)
        assert "secret" not in of_model.get_fields(request)
