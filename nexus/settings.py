"""Django settings, every deployment-specific value read once from the environment through `nexus.env`."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path
from typing import Any

from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from gateway.cache.embedding import choose
from nexus import env, logs, mail
from nexus.admin_theme import UNFOLD as UNFOLD
from tenants import cluster

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = env.path("NEXUS_VAR", BASE_DIR / "var", "Folder for embedded services, models, logs and spools.")

# --- what an operator sets ------------------------------------------------------------------------------------------

DEBUG = env.flag("NEXUS_DEBUG", False, "Django's debug pages. Never on where strangers can reach it.")
SECRET_KEY = env.secret("NEXUS_SECRET_KEY", "Signs sessions and links. At least 32 characters.")
ENCRYPTION_KEYS = env.secret_words(
    "NEXUS_ENCRYPTION_KEYS", "Fernet keys for what is kept encrypted; the first encrypts, all decrypt."
)
ALLOWED_HOSTS = env.words("NEXUS_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]", "Host names that are served.")
PUBLIC_URL = env.text("NEXUS_PUBLIC_URL", "http://localhost:8000", "The address users see; used in links and snippets.")
DATABASE_URL = env.secret(
    "DATABASE_URL", "PostgreSQL 15 or later with pgvector, as postgresql://user:password@host/name."
)
REDIS_URL = env.secret("REDIS_URL", "Redis 6.2 or later, as redis://host:6379/0 or unix:///path?db=0.")
REDIS_CLUSTER = env.secret_words(
    "NEXUS_REDIS_CLUSTER",
    "Nodes of a Redis Cluster for the tenants' data, as redis://user:password@host:6379,redis://host:6379.",
)
TRUST_PROXY = env.flag(
    "NEXUS_TRUST_PROXY", False, "Believe X-Forwarded-For and -Proto: set it only behind your own proxy."
)

if not DEBUG and len(SECRET_KEY) < 32:
    raise ImproperlyConfigured(
        "NEXUS_SECRET_KEY must have at least 32 characters. bin/up makes one in var/secrets.env."
    )
if not DATABASE_URL:
    raise ImproperlyConfigured("DATABASE_URL is not set. bin/up starts an embedded Postgres and sets it for you.")
if not REDIS_URL:
    raise ImproperlyConfigured("REDIS_URL is not set. bin/up starts an embedded Redis and sets it for you.")
try:
    cluster.parse(REDIS_CLUSTER)
except ValueError as error:
    raise ImproperlyConfigured(f"NEXUS_REDIS_CLUSTER: {error}") from error
if not ENCRYPTION_KEYS:
    raise ImproperlyConfigured("NEXUS_ENCRYPTION_KEYS is not set. bin/up makes one in var/secrets.env.")

# Accounts.
EMAIL_VERIFICATION = env.text(
    "NEXUS_EMAIL_VERIFICATION", "optional", "optional, or mandatory: nobody gets in before their address is confirmed."
)
if EMAIL_VERIFICATION not in {"optional", "mandatory"}:
    raise ImproperlyConfigured("NEXUS_EMAIL_VERIFICATION must be optional or mandatory.")
GOOGLE_CLIENT_ID = env.text("NEXUS_GOOGLE_CLIENT_ID", "", "OAuth client of Google; with its secret: log in by Google.")
GOOGLE_CLIENT_SECRET = env.secret("NEXUS_GOOGLE_CLIENT_SECRET", "That client's secret.")
GITHUB_CLIENT_ID = env.text("NEXUS_GITHUB_CLIENT_ID", "", "OAuth app of GitHub; with its secret: log in by GitHub.")
GITHUB_CLIENT_SECRET = env.secret("NEXUS_GITHUB_CLIENT_SECRET", "That app's secret.")

# The data plane.
MAX_BODY_BYTES = env.integer(
    "NEXUS_MAX_BODY_BYTES", 10 * 1024 * 1024, "Largest request body that is read.", minimum=1024
)
MAX_UPLOAD_BYTES = env.integer(
    "NEXUS_MAX_UPLOAD_BYTES", 512 * 1024 * 1024, "Largest body that is passed on to a provider.", minimum=1024
)
BODY_TIMEOUT_S = env.decimal(
    "NEXUS_BODY_TIMEOUT_S", 60.0, "Longest wait for a request's body; for each part of one passed on.", minimum=0.1
)
CALL_DEADLINE_S = env.decimal("NEXUS_CALL_DEADLINE_S", 120.0, "Longest a call may take, retries included.", minimum=0.1)
FIRST_BYTE_TIMEOUT_S = env.decimal(
    "NEXUS_FIRST_BYTE_TIMEOUT_S", 60.0, "Longest wait for a provider's first byte.", minimum=0.1
)
DRAIN_DELAY_S = env.decimal(
    "NEXUS_DRAIN_DELAY_S",
    0.0,
    "After SIGTERM, requests are taken for so long while /readyz says 503, for load balancers.",
)
DRAIN_TIMEOUT_S = env.decimal(
    "NEXUS_DRAIN_TIMEOUT_S", 30.0, "Longest that streams may go on after that, before they are cut.", minimum=1
)
SIGN_OF_LIFE = env.text("NEXUS_SIGN_OF_LIFE", "", "File that a worker, or beat, touches while it lives; for probes.")
HOLD_TTL_S = env.integer("NEXUS_HOLD_TTL_S", 300, "A hold of a process that died is given back after this.", minimum=10)
DATABASE_POOL_SIZE = env.integer(
    "NEXUS_DATABASE_POOL_SIZE", 8, "Postgres connections of one gateway process.", minimum=1
)
REDIS_TIMEOUT_MS = env.integer("NEXUS_REDIS_TIMEOUT_MS", 100, "Longest wait for Redis on the data plane.", minimum=10)
EMBEDDING_DEADLINE_MS = env.integer(
    "NEXUS_EMBEDDING_DEADLINE_MS",
    200,
    "A slower embedding skips the semantic tier for that request.",
    minimum=10,
)
MODEL_DIR = env.path("NEXUS_MODEL_DIR", VAR_DIR / "models", "Where the built embedding model is kept.")
MODEL_SOURCE_DIR = env.text(
    "NEXUS_MODEL_SOURCE_DIR",
    "",
    "Folder with all-MiniLM-L6-v2's model.safetensors and tokenizer.json, if you bring them.",
)
CROSS_ENCODER_DIR = env.text(
    "NEXUS_CROSS_ENCODER_DIR", "", "Folder with a cross-encoder (model.onnx, tokenizer.json) that has the last word."
)
CROSS_ENCODER_MIN = env.decimal(
    "NEXUS_CROSS_ENCODER_MIN", 0.5, "What it must give a pair of questions, from 0 to 1, for a semantic hit."
)
if CROSS_ENCODER_MIN > 1:
    raise ImproperlyConfigured("NEXUS_CROSS_ENCODER_MIN must be from 0 to 1.")
SPOOL_DIR = env.path("NEXUS_SPOOL_DIR", VAR_DIR / "spool", "Usage events wait here while Redis is away.")
METRICS_TOKEN = env.secret(
    "NEXUS_METRICS_TOKEN", "Lets a scraper on another machine read /metrics. At least 16 characters."
)
if METRICS_TOKEN and len(METRICS_TOKEN) < 16:
    raise ImproperlyConfigured("NEXUS_METRICS_TOKEN must have at least 16 characters; without one, unset it.")
# What is told of requests: docs/logs.md, docs/tracing.md.
ACCESS_LOG = env.text("NEXUS_ACCESS_LOG", "all", "A line for each request: all; errors, of those that failed; or off.")
if ACCESS_LOG not in {"all", "errors", "off"}:
    raise ImproperlyConfigured("NEXUS_ACCESS_LOG must be all, errors or off.")
METRICS = env.flag("NEXUS_METRICS", True, "Count each request for /metrics; without, only what is rarer.")
LOG_FORMAT = env.text("NEXUS_LOG_FORMAT", "json", "How all else is logged: json, or text for people.")
LOG_LEVEL = env.text("NEXUS_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR.").upper()
if LOG_FORMAT not in logs.FORMATS:
    raise ImproperlyConfigured("NEXUS_LOG_FORMAT must be json or text.")
if LOG_LEVEL not in logs.LEVELS:
    raise ImproperlyConfigured("NEXUS_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR.")
CANARY_URL = env.text(
    "NEXUS_CANARY_URL", "", "Where canaries ask for what is another workspace's; empty: NEXUS_PUBLIC_URL."
)
CANARY_EVERY_S = env.integer(
    "NEXUS_CANARY_EVERY_S", 300, "Seconds between two runs of the canaries; 0: none by itself.", minimum=0
)
_COLLECTOR = env.text(
    "OTEL_EXPORTER_OTLP_ENDPOINT", "", "OpenTelemetry collector, as http://host:4318; without one nothing is traced."
)
TRACES_TO = _COLLECTOR or env.text(
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "", "The same for traces alone, as http://host:4318/v1/traces."
)
TRACE_RATIO = env.decimal("NEXUS_TRACE_RATIO", 0.01, "Share of the requests that are traced, from 0 to 1.")
if TRACE_RATIO > 1:
    raise ImproperlyConfigured("NEXUS_TRACE_RATIO must be from 0 to 1.")
TRACE_PARENTS = env.flag(
    "NEXUS_TRACE_PARENTS", False, "Believe traceparent: what clients trace is traced here, too, and in their trace."
)
REGISTRATIONS_PER_HOUR = env.integer(
    "NEXUS_REGISTRATIONS_PER_HOUR", 20, "Workspaces one address may register in an hour; 0 lifts the limit."
)

# Payments. Without a key nothing can be bought here, and plans are given in the operators' admin.
STRIPE_SECRET_KEY = env.secret("STRIPE_SECRET_KEY", "Stripe's secret or restricted key: sk_test_…, sk_live_… or rk_….")
if STRIPE_SECRET_KEY and not re.fullmatch(r"(sk|rk)_(test|live)_[a-zA-Z0-9]{24,}", STRIPE_SECRET_KEY):
    raise ImproperlyConfigured(
        "STRIPE_SECRET_KEY must look like sk_test_… or sk_live_… (rk_… if restricted), as Stripe shows it under"
        " Developers > API keys. Unset it to run without payments."
    )
STRIPE_LIVE_MODE = "_live_" in STRIPE_SECRET_KEY
STRIPE_API_BASE = env.text("STRIPE_API_BASE", "https://api.stripe.com", "Where Stripe's API is; another for tests.")
_STRIPE_IS_REAL = STRIPE_API_BASE == "https://api.stripe.com"
if not _STRIPE_IS_REAL:
    # dj-stripe's name for it.
    STRIPE_API_HOST = STRIPE_API_BASE
# Where people are sent to pay: the fake one serves its pages itself.
STRIPE_PAGES = ["https://checkout.stripe.com", "https://billing.stripe.com"] if _STRIPE_IS_REAL else [STRIPE_API_BASE]
STRIPE_TIMEOUT_S = env.decimal("NEXUS_STRIPE_TIMEOUT_S", 10.0, "Longest wait for one answer of Stripe's.", minimum=0.1)
STRIPE_TAX = env.flag("NEXUS_STRIPE_TAX", False, "Let Stripe Tax work out taxes, and ask buyers for their tax ids.")
GRACE_DAYS = env.integer("NEXUS_GRACE_DAYS", 7, "Days that a workspace keeps its plan after a payment has failed.")

# The provider for tenants without one of their own. Without a key, a simulated provider answers, and says so.
OPENAI_API_KEY = env.secret("OPENAI_API_KEY", "Platform-wide key of the OpenAI-compatible provider.")
OPENAI_BASE_URL = env.text(
    "OPENAI_BASE_URL", "https://api.openai.com/v1", "Base URL of the OpenAI-compatible provider."
)
EMBEDDER = env.text(
    "NEXUS_EMBEDDER", "local", "Who turns questions into vectors: local, grpc://…, openai:… or fastembed:…."
)
try:
    choose.parse(EMBEDDER, openai_api_key=OPENAI_API_KEY, openai_base_url=OPENAI_BASE_URL)
except ValueError as error:
    raise ImproperlyConfigured(f"NEXUS_EMBEDDER: {error}") from error
DEFAULT_MODEL = env.text("NEXUS_DEFAULT_MODEL", "gpt-4o-mini", "Model of simple requests that name none.")
AUTO_SIMPLE_MODEL = env.text("NEXUS_AUTO_SIMPLE_MODEL", "gpt-4o-mini", "Where “auto” sends simple requests.")
AUTO_COMPLEX_MODEL = env.text("NEXUS_AUTO_COMPLEX_MODEL", "gpt-4o", "Where “auto” sends complex requests.")
PRIVATE_PROVIDERS = env.flag(
    "NEXUS_PRIVATE_PROVIDERS",
    False,
    "Let tenants name providers at private addresses, as localhost, without TLS; a cloud's metadata service never.",
)
PRIVATE_WEBHOOKS = env.flag(
    "NEXUS_PRIVATE_WEBHOOKS", False, "Let tenants name webhook endpoints at private addresses, and without TLS."
)
try:
    _MAIL = mail.parse(
        env.secret("NEXUS_EMAIL_URL", "Mail server, as smtp://user:password@host:587 or smtps://…; empty: the log.")
    )
except ValueError as error:
    raise ImproperlyConfigured(f"NEXUS_EMAIL_URL: {error}") from error
EMAIL_BACKEND, EMAIL_HOST, EMAIL_PORT = _MAIL.backend, _MAIL.host, _MAIL.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL.user, _MAIL.password
EMAIL_USE_SSL, EMAIL_USE_TLS, EMAIL_TIMEOUT = _MAIL.use_ssl, _MAIL.use_tls, 10
DEFAULT_FROM_EMAIL = env.text(
    "NEXUS_EMAIL_FROM", "NexusGateway <alerts@localhost>", "Sender of emails, such as alerts; one that may send."
)
SIMULATED_LATENCY_MS = env.integer(
    "NEXUS_SIMULATED_LATENCY_MS", 400, "Time the simulated provider thinks before it answers."
)
SIMULATED_TOKENS_PER_S = env.integer(
    "NEXUS_SIMULATED_TOKENS_PER_S", 200, "Speed of the simulated provider's streams; 0 is at once."
)

# --- Django ---------------------------------------------------------------------------------------------------------

SHARED_APPS = [
    # Before django-tenants, which replaces one of the admin's templates as well.
    "unfold",
    "django_tenants",
    "tenants",
    "billing",
    # Not the default configuration, which imports every admin module at start: nexus.urls does, where they are needed.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    # Operator classes in indexes.
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "channels",
    "djstripe",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "nexus",
]
# Name → client, secret, and where people are sent to agree. Only what has both is offered.
LOGIN_PROVIDERS = {
    name: (client, secret, page)
    for name, client, secret, page in (
        ("google", GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET, "https://accounts.google.com"),
        ("github", GITHUB_CLIENT_ID, GITHUB_CLIENT_SECRET, "https://github.com"),
    )
    if client and secret
}
SHARED_APPS += [f"allauth.socialaccount.providers.{name}" for name in LOGIN_PROVIDERS]
if DEBUG:
    # `runserver` speaks ASGI then. Elsewhere its 15 MB of Twisted would be for nothing.
    SHARED_APPS.insert(0, "daphne")
TENANT_APPS = ["analytics", "gateway"]
INSTALLED_APPS = SHARED_APPS + TENANT_APPS

TENANT_MODEL = "tenants.Tenant"
TENANT_DOMAIN_MODEL = "tenants.Domain"
TENANT_LIMIT_SET_CALLS = True
DATABASE_ROUTERS = ("django_tenants.routers.TenantSyncRouter",)
AUTH_USER_MODEL = "tenants.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# dj-stripe's stock migrations hold 523 operations and cost every migrate minutes; these end in the same 62 tables.
MIGRATION_MODULES = {"djstripe": "nexus.djstripe_migrations"}
DJSTRIPE_SUBSCRIBER_MODEL = "tenants.Tenant"
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "nexus.headers.HeadersMiddleware",
    "nexus.csp.PolicyMiddleware",
    "nexus.unreadable.UnreadableMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "nexus.language.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "tenants.middleware.WorkspaceMiddleware",
]
ROOT_URLCONF = "nexus.urls"
ASGI_APPLICATION = "nexus.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "tenants.navigation.workspace",
            ]
        },
    }
]


def database_from_url(url: str) -> dict[str, Any]:
    """Django's settings for one `postgresql://` URL; `?host=/dir` names a unix socket's folder."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise ImproperlyConfigured("DATABASE_URL must look like postgresql://user:password@host:5432/name.")
    query = dict(urllib.parse.parse_qsl(parts.query))
    host, port = query.pop("host", parts.hostname or ""), query.pop("port", str(parts.port or 5432))
    return {
        "ENGINE": "django_tenants.postgresql_backend",
        "NAME": urllib.parse.unquote(parts.path.lstrip("/")),
        "USER": urllib.parse.unquote(parts.username or ""),
        "PASSWORD": urllib.parse.unquote(parts.password or ""),
        "HOST": host,
        "PORT": port,
        # ASGI gives each request a thread: kept connections would leak one a thread.
        "CONN_MAX_AGE": 0,
        "OPTIONS": query,
    }


DATABASES = {"default": database_from_url(DATABASE_URL)}
CHANNEL_LAYERS = {
    "default": {
        # The list-based layer raises TimeoutError after five idle seconds with redis-py 8; pub/sub does not.
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}], "prefix": "nexus.live"},
    }
}
CACHES = {
    "default": {
        # Limits of logins are kept here: with Redis away there are none, and people get in.
        "BACKEND": "nexus.forgiving_cache.ForgivingCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "nexus",
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    }
}

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "workspaces"
LOGOUT_REDIRECT_URL = "landing"
_HTTPS = PUBLIC_URL.startswith("https://")

# django-allauth (tenants.accounts): login by email, two factors, passkeys, sessions, other providers' accounts.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
ACCOUNT_ADAPTER = "tenants.accounts.AccountAdapter"
ACCOUNT_FORMS = {"add_email": "tenants.forms.ChangeEmailForm", "reset_password": "tenants.forms.ResetPasswordForm"}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = EMAIL_VERIFICATION
# One address an account; a new one counts once it is confirmed.
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
# No mail to addresses that have no account here.
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
# Beside allauth's own: an office has one address.
# Letters to one address are few: who asks for them need not be who gets them.
ACCOUNT_RATE_LIMITS = {"login": "60/m/ip", "reset_password": "20/m/ip,5/h/key"}
USERSESSIONS_ADAPTER = "tenants.accounts.SessionsAdapter"
MFA_ADAPTER = "tenants.accounts.SecretsAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "NexusGateway"
# Clocks may differ by one code.
MFA_TOTP_TOLERANCE = 1
MFA_ALLOW_UNVERIFIED_EMAIL = EMAIL_VERIFICATION == "optional"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not _HTTPS
SOCIALACCOUNT_ADAPTER = "tenants.accounts.ProviderAdapter"
SOCIALACCOUNT_PROVIDERS = {
    name: {"APPS": [{"client_id": client, "secret": secret}]} for name, (client, secret, _) in LOGIN_PROVIDERS.items()
}

LANGUAGE_CODE = "en"
# Those with a catalogue in locale/; docs/translation.md tells how to add one.
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "nexus.formats"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG

SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
# No inline script or style anywhere but in the operators' admin (nexus.csp). A form may lead on to pages of Stripe's,
# and of those by whom people log in.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF, *STRIPE_PAGES, *(page for _, _, page in LOGIN_PROVIDERS.values())],
    }
}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
if TRUST_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
if _HTTPS:
    SECURE_HSTS_SECONDS = 31_536_000

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["tenants.bodies.JsonParser"],
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "tenants.api.on_exception",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "NexusGateway",
    "VERSION": "0.1.0",
    "DESCRIPTION": "An OpenAI-compatible gateway with a verified cache.",
    "SERVE_INCLUDE_SCHEMA": False,
    "PREPROCESSING_HOOKS": ["gateway.openapi.hooks.leave_out"],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "gateway.openapi.hooks.describe"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- Celery ---------------------------------------------------------------------------------------------------------


def celery_broker(url: str) -> str:
    """Kombu spells a unix socket `redis+socket://`."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "unix":
        return url
    database = dict(urllib.parse.parse_qsl(parts.query)).get("db", "0")
    return f"redis+socket://{parts.path}?virtual_host={database}"


CELERY_BROKER_URL = celery_broker(REDIS_URL)
# It logs as all others do.
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "global_keyprefix": "nexus.celery."}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    # `expires`: a beat that missed ticks must not leave a queue of stale ones behind.
    "drain-usage": {"task": "analytics.tasks.drain_usage", "schedule": 1.0, "options": {"expires": 5}},
    "evaluate-alerts": {"task": "analytics.tasks.evaluate_alerts", "schedule": 5.0, "options": {"expires": 10}},
    "send-alerts": {"task": "analytics.tasks.send_alerts", "schedule": 2.0, "options": {"expires": 5}},
    "sweep-alerts": {"task": "analytics.tasks.sweep_alerts", "schedule": 300.0, "options": {"expires": 300}},
    "purge-cache": {"task": "gateway.tasks.purge_cache", "schedule": 60.0, "options": {"expires": 60}},
    "judge-samples": {"task": "gateway.tasks.judge_samples", "schedule": 30.0, "options": {"expires": 30}},
    "purge-verdicts": {
        "task": "gateway.tasks.purge_verdicts",
        "schedule": crontab(minute="41"),
        "options": {"expires": 3600},
    },
    "report-meters": {"task": "billing.tasks.report_meters", "schedule": 60.0, "options": {"expires": 60}},
    "refresh-subscriptions": {
        "task": "billing.tasks.refresh_subscriptions",
        "schedule": 120.0,
        "options": {"expires": 120},
    },
    "close-periods": {"task": "analytics.tasks.close_periods", "schedule": 300.0, "options": {"expires": 300}},
    "compare-books": {"task": "analytics.tasks.compare_books", "schedule": 180.0, "options": {"expires": 180}},
    "compare-all-books": {
        "task": "analytics.tasks.compare_all_books",
        "schedule": crontab(hour="3", minute="29"),
        "options": {"expires": 3600},
    },
    "purge-events": {
        "task": "billing.tasks.purge_events",
        "schedule": crontab(hour="3", minute="29"),
        "options": {"expires": 3600},
    },
    "purge-tokens": {
        "task": "tenants.tasks.purge_tokens",
        "schedule": crontab(minute="53"),
        "options": {"expires": 3600},
    },
    "finish-deletions": {"task": "tenants.tasks.finish_deletions", "schedule": 600.0, "options": {"expires": 600}},
    "purge-records": {
        "task": "analytics.tasks.purge_records",
        "schedule": crontab(minute="17"),
        "options": {"expires": 3600},
    },
}
if CANARY_EVERY_S:
    CELERY_BEAT_SCHEDULE["canaries"] = {
        "task": "gateway.tasks.ask_canaries",
        "schedule": float(CANARY_EVERY_S),
        "options": {"expires": CANARY_EVERY_S},
    }

LOGGING_CONFIG = "nexus.logs.apply"
LOGGING = logs.settings_of(LOG_FORMAT, LOG_LEVEL)
