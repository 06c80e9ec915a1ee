"""Invitations, support's access, and an audit log of which Postgres itself refuses to change a row."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

# Links to a person or a workspace that is deleted become null. With `nexus.forgetting` on (tenants.deletion), names and
# values may be taken out of a row; who did what when stays.
APPEND_ONLY = """
CREATE FUNCTION tenants_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.id, NEW.at, NEW.action) = (OLD.id, OLD.at, OLD.action)
            AND (NEW.tenant_id IS NULL OR NEW.tenant_id = OLD.tenant_id)
            AND (NEW.actor_id IS NULL OR NEW.actor_id = OLD.actor_id)
            AND (NEW.before IS NULL OR NEW.before = OLD.before)
            AND (NEW.after IS NULL OR NEW.after = OLD.after)
            AND (NEW.ip_address IS NULL OR NEW.ip_address = OLD.ip_address)
            AND (
                current_setting('nexus.forgetting', true) = 'on'
                OR (NEW.actor_label, NEW.target, NEW.before, NEW.after, NEW.ip_address)
                    IS NOT DISTINCT FROM (OLD.actor_label, OLD.target, OLD.before, OLD.after, OLD.ip_address)
            )
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'The audit log is append-only.';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON tenants_auditevent
    FOR EACH ROW EXECUTE FUNCTION tenants_audit_is_append_only();
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON tenants_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION tenants_audit_is_append_only();
"""
CHANGEABLE = """
DROP TRIGGER append_only ON tenants_auditevent;
DROP TRIGGER not_emptied ON tenants_auditevent;
DROP FUNCTION tenants_audit_is_append_only();
"""

ROLES = [
    ("owner", "Owner"),
    ("admin", "Admin"),
    ("developer", "Developer"),
    ("finance", "Finance"),
    ("viewer", "Viewer"),
]


class Migration(migrations.Migration):

    dependencies = [
        ("tenants", "0004_deleted_tenants"),
    ]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="support_access_until",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="Operators may see prompts and answers until then.",
                null=True,
            ),
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("email", models.EmailField(max_length=254)),
                ("role", models.CharField(choices=ROLES, max_length=16)),
                ("token_sha256", models.BinaryField(max_length=32, null=True, unique=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("sent_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField()),
                (
                    "invited_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invitations",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="invitation",
            constraint=models.UniqueConstraint(
                fields=("tenant", "email"), name="one_invitation_per_tenant_and_email"
            ),
        ),
        migrations.RunSQL(APPEND_ONLY, CHANGEABLE),
    ]
