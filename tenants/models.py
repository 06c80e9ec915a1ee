"""The public schema's account of who is calling: users, tenants, memberships, API keys and the audit log."""

from __future__ import annotations

import secrets
import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_tenants.models import DomainMixin, TenantMixin

from tenants.keys import PUBLIC_ID_LENGTH
from tenants.limits import Limited


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        if not email:
            raise ValueError("A user needs an email address.")
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Logs in by email, and sees the tenants of which they are a member."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, help_text=_("May enter the operators' admin."))
    date_joined = models.DateTimeField(default=timezone.now)
    claimed_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text=_("Since then the account is theirs alone; what others left in it is still to be looked at."),
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_case_insensitive")]

    def __str__(self) -> str:
        return self.email


class LivingTenants(models.Manager["Tenant"]):
    """Those that have a schema, and may ever be served again."""

    def get_queryset(self) -> models.QuerySet[Tenant]:
        return super().get_queryset().exclude(status=Tenant.Status.DELETED)


class Tenant(TenantMixin):
    """A customer's workspace: one row here, one schema of its own. `email` is where Stripe and alerts write to.

    Of a deleted one the row stays, without a name: the ledger leads to it.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        SUSPENDED = "suspended", _("Suspended")
        DELETED = "deleted", _("Deleted")

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=48, unique=True)
    email = models.EmailField()
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    created_at = models.DateTimeField(default=timezone.now)
    retention_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Usage records are kept this long; empty, or more than the plan's: as long as the plan says."),
    )
    internal = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text=_("The installation's own: left out of operators' lists and sums."),
    )
    support_access_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("Operators may see prompts and answers until then.")
    )
    moving_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("Frozen, on its way to another database.")
    )

    # Schemas come from template DDL (tenants.provisioning), never from replaying migrations on save.
    auto_create_schema = False
    auto_drop_schema = False

    # Migrations, too, ask the first one whose schemas there are.
    objects = LivingTenants()
    everyone: ClassVar[models.Manager[Tenant]] = models.Manager()

    def __str__(self) -> str:
        return self.slug


class Domain(DomainMixin):
    """Required by django-tenants. Tenants are found by key or by `/t/<slug>/`, not by host name."""


class Role(models.TextChoices):
    OWNER = "owner", _("Owner")
    ADMIN = "admin", _("Admin")
    DEVELOPER = "developer", _("Developer")
    FINANCE = "finance", _("Finance")
    VIEWER = "viewer", _("Viewer")


class Membership(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "tenant"], name="one_membership_per_user_and_tenant")]

    def __str__(self) -> str:
        return f"{self.user} in {self.tenant} as {self.role}"


class Invitation(models.Model):
    """Of somebody who is to become a member. Ends as a membership, or is withdrawn: then the row is gone.

    Of the link only its token's SHA-256 is kept; until it has been sent there is none.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=16, choices=Role.choices)
    token_sha256 = models.BinaryField(max_length=32, unique=True, null=True, editable=False)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "email"], name="one_invitation_per_tenant_and_email")]

    def __str__(self) -> str:
        return f"{self.email} to {self.tenant} as {self.role}"


def new_public_id() -> str:
    """Random and lower case, so that it reads well in logs: 12 characters of base 36 (62 bits)."""
    return "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(PUBLIC_ID_LENGTH))


class ApiKey(Limited):
    """A key of an app. Only the SHA-256 of the secret is kept. Empty limits mean those of the plan alone."""

    class Priority(models.TextChoices):
        HIGH = "high", _("High")
        DEFAULT = "default", _("Default")
        LOW = "low", _("Low")

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="keys")
    name = models.CharField(max_length=80, default="default")
    public_id = models.CharField(max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id, editable=False)
    secret_sha256 = models.BinaryField(max_length=32, editable=False)
    scopes = models.JSONField(
        default=list, blank=True, help_text=_("Empty: the data plane. Add “admin” for /v1/admin.")
    )
    allowed_models = models.JSONField(default=list, blank=True, help_text=_("Models this key may ask for; empty: all."))
    priority = models.CharField(
        max_length=8, choices=Priority.choices, default=Priority.DEFAULT, help_text=_("Who gets a full provider first.")
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    def __str__(self) -> str:
        return f"nk-{self.public_id}-… ({self.name})"

    @property
    def is_alive(self) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())


class RefreshFamily(models.Model):
    """What one login with a key has become: its refresh tokens, of which one is good at a time.

    Of the tokens only SHA-256s are kept: of the part that all of the family share, and of the last one's own.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+")
    family_sha256 = models.BinaryField(max_length=32, editable=False)
    step_sha256 = models.BinaryField(max_length=32, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    refreshed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True, help_text=_("Its tokens are refused since then."))

    class Meta:
        indexes = [models.Index(fields=["key", "-created_at"], name="families_by_key")]

    def __str__(self) -> str:
        return f"tokens of {self.key}"


class AuditEvent(models.Model):
    """Who did what, from where, with the values before and after. Rows are only ever added."""

    at = models.DateTimeField(default=timezone.now)
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.SET_NULL, related_name="+")
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_label = models.CharField(max_length=254, help_text=_("Readable after the actor is gone."))
    action = models.CharField(max_length=64)
    target = models.CharField(max_length=200)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    ip_address = models.GenericIPAddressField(null=True)

    class Meta:
        indexes = [models.Index(fields=["tenant", "-at"], name="audit_by_tenant")]
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor_label} {self.action} {self.target}"
