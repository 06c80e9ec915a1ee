"""Who a tenant's members are at the target: matched by address, or made, without a password. An account of somebody who
has not confirmed its address may be a stranger's: from then on only the mailbox opens it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession

from nexus.moving.numbers import Numbers
from tenants.models import User

Row = Mapping[str, str | None]


class People:
    """`numbers`: of the file's, by what they are called there, those that they have here."""

    def __init__(self, found: Sequence[Row], addresses: Sequence[Row]) -> None:
        self._found = found
        self._addresses = addresses
        there = dict(User.objects.filter(email__in=[row["email"] for row in found]).values_list("email", "pk"))
        self.made = [row for row in found if row["email"] not in there]
        self.matched = len(there)
        new = iter(Numbers.next("tenants_user", len(self.made)))
        self.numbers = {int(row["id"] or 0): there.get(str(row["email"])) or next(new) for row in found}

    def write(self) -> None:
        """Raises IntegrityError where somebody has signed up with an address meanwhile."""
        for row in self.made:
            user = User(pk=self.numbers[int(row["id"] or 0)], email=row["email"] or "", name=row["name"] or "")
            user.date_joined = dt.datetime.fromisoformat(str(row["date_joined"]))
            user.is_active = row["is_active"] == "t"
            user.set_unusable_password()
            user.save(force_insert=True)
        made = {row["id"]: row["email"] for row in self.made}
        EmailAddress.objects.bulk_create(
            EmailAddress(
                user_id=self.numbers[int(row["user_id"] or 0)],
                email=row["email"],
                verified=row["verified"] == "t",
                primary=row["primary"] == "t",
            )
            # Another address of theirs may be in use here, by somebody else.
            for row in self._addresses
            if made.get(row["user_id"]) == row["email"]
        )
        known = [row["email"] for row in self._found if row["id"] not in made]
        confirmed = EmailAddress.objects.filter(email__in=known, verified=True, primary=True).values("user_id")
        for user in User.objects.select_for_update().filter(email__in=known).exclude(pk__in=confirmed):
            _leave_to_the_mailbox(user)


def _leave_to_the_mailbox(user: User) -> None:
    for of_account in (Authenticator, SocialAccount):
        of_account.objects.filter(user=user).delete()
    EmailAddress.objects.filter(user=user).exclude(email=user.email).delete()
    for session in UserSession.objects.filter(user=user):
        session.end()
    user.set_unusable_password()
    user.save(update_fields=["password"])
