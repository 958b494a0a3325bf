"""The one settings module. Environment variables set every value; provisioning/README.md lists them."""

from __future__ import annotations

import base64
import importlib.util
import logging
import os
import re
import zoneinfo
from email.utils import formataddr
from pathlib import Path
from urllib.parse import urlsplit

from django.conf.locale import LANG_INFO
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP
from django.utils.translation import to_language

from provisioning.database import clock, connection_pool
from provisioning.env import Env
from provisioning.local.database import cluster, postgres
from subscriptions.rules.deadlines import MAX_DAYS

BASE_DIR = Path(__file__).resolve().parent.parent
env = Env()
# Parts of variables PROVISIONING_… that don't name the driver of a service.
_PROVISIONING_OTHERS = frozenset(
    {
        "demo",
        "callback_hours",
        "longest_hours",
        "promised_minutes",
        "promised_minutes_by_service",
        "calls_at_once",
        "lease_seconds",
        "poll_seconds",
        "longest_pause_seconds",
    }
)

STATE_DIR = Path(env.str("STATE_DIR", default=str(BASE_DIR / ".state"))).resolve()
# The demo; set by manage.py, never by an operator.
DEMO = env.bool("PROVISIONING_DEMO", default=False)
DEBUG = env.bool("DEBUG", default=False)

PUBLIC_URL, _public = env.public_address("PUBLIC_URL", default="http://127.0.0.1:8000")
_https = _public.scheme == "https"

SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    if env.str("DATABASE_URL", default="") and not DEMO and _https:
        raise ImproperlyConfigured("SECRET_KEY must be set: a random text of 50 characters or more, kept secret.")
    try:
        SECRET_KEY = postgres.local_secret(STATE_DIR)
    except cluster.Problem as _problem:
        raise ImproperlyConfigured(str(_problem)) from _problem
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
if _https and any(len(_key) < 32 or len(set(_key)) < 8 for _key in (SECRET_KEY, *SECRET_KEY_FALLBACKS)):
    raise ImproperlyConfigured("SECRET_KEY and SECRET_KEY_FALLBACKS must be random texts of 50 characters or more.")

_host = f"[{_public.hostname}]" if ":" in str(_public.hostname) else str(_public.hostname)
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", default=[_host, "localhost", "127.0.0.1", "[::1]"], public=_host)
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "provisioning",
    "subscriptions",
    "orgs",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.forms",
    "formtools",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "procrastinate.contrib.django",
    "django_countries",
]

MIDDLEWARE = [
    "provisioning.monitoring.middleware.MonitoringMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "provisioning.database.unavailable_page.UnavailableMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

# The services that are sold, in the order in which they are shown: our own by name, others by their Django app.
PACKS = env.list("PACKS", default=["meetings", "calling"])
INSTALLED_APPS += [name for name in PACKS if name not in {"meetings", "calling"}]
if not PACKS or len(set(PACKS)) < len(PACKS):
    raise ImproperlyConfigured("PACKS must name each service that is sold once, such as PACKS=meetings,calling.")
for _name in PACKS:
    if _name not in {"meetings", "calling"} and not importlib.util.find_spec(_name.partition(".")[0]):
        raise ImproperlyConfigured(f"PACKS names {_name}, which isn't installed: install it or correct PACKS.")

ROOT_URLCONF = "provisioning.urls"
WSGI_APPLICATION = "provisioning.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "provisioning.brand.brand",
            ],
        },
    }
]
FORM_RENDERER = "provisioning.wizard.form_rendering.Renderer"

# PostgreSQL: any, by DATABASE_URL; otherwise the embedded server of provisioning.local.database.postgres.
DATABASES = {"default": env.postgresql("DATABASE_URL", default=postgres.url(STATE_DIR))}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
clock.install()
# The most connections of a process. It opens them as its threads need them, and closes idle ones.
DATABASE_POOL = env.number("DATABASE_POOL", default=10, least=1)
DATABASES["default"]["OPTIONS"] = connection_pool.CONNECTION_OPTIONS | DATABASES["default"].get("OPTIONS", {})
DATABASES["default"]["OPTIONS"]["pool"] = connection_pool.options(max_size=DATABASE_POOL)
# Server-side cursors need a connection that stays the same, which a pooler in transaction mode doesn't provide.
DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
# "transaction": a pooler in transaction mode; "none": no such pooler; "": the worker finds out when it starts.
DATABASE_POOLER = env.str("DATABASE_POOLER", default="")
if DATABASE_POOLER not in {"", "transaction", "none"}:
    raise ImproperlyConfigured("DATABASE_POOLER must be transaction or none.")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# All state is in the database, so no library may cache.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
SESSION_ENGINE = "provisioning.database.session_store"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# People
AUTH_USER_MODEL = "provisioning.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS: list[dict[str, str]] = []
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "my_orders"
ACCOUNT_ADAPTER = "provisioning.people.sign_in.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # the code that signs in is the proof
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
# How long a browser waits for a code, and its tries; provisioning.people.sign_in has the other limits and reasons.
# allauth measures by the hosts' clocks, which may differ: the code itself expires after an hour by the database's.
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = ACCOUNT_LOGIN_TIMEOUT = 60 * 60 * 3
ACCOUNT_LOGIN_BY_CODE_MAX_ATTEMPTS = 5
ACCOUNT_RATE_LIMITS = False  # by network address, which would lock out everybody who shares one with a mail scanner
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = True
SESSION_COOKIE_AGE = 60 * 60 * 24 * 14
# Operators prove a second factor (people/second_factor.py); the demo has no secrets to guard.
SECOND_FACTOR_REQUIRED = not DEMO
MFA_ADAPTER = "provisioning.people.second_factor.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"
MFA_TOTP_TOLERANCE = 1

# Email: smtp://user:password@host:port, smtp+tls://…, filemail:///folder, consolemail://
_email = env.mail("EMAIL_URL", default=f"filemail://{STATE_DIR / 'mail'}")
_email_options: dict[str, object] = {}
if _email["EMAIL_BACKEND"].endswith("filebased.EmailBackend"):
    _email["EMAIL_BACKEND"] = "provisioning.local.mail_files.EmailBackend"
    _email_options["file_path"] = "/" + _email["EMAIL_FILE_PATH"].lstrip("/")
elif _email["EMAIL_BACKEND"].endswith("smtp.EmailBackend"):
    _email_options = {
        "host": _email["EMAIL_HOST"],
        "port": _email["EMAIL_PORT"] or 25,
        "username": _email["EMAIL_HOST_USER"] or "",
        "password": _email["EMAIL_HOST_PASSWORD"] or "",
        "use_tls": _email.get("EMAIL_USE_TLS", False),
        "use_ssl": _email.get("EMAIL_USE_SSL", False),
        "timeout": 20,
    }
MAILERS = {"default": {"BACKEND": _email["EMAIL_BACKEND"], "OPTIONS": _email_options}}

# What comes back: a mailbox (imaps://user:password@host/folder), and the secrets that sign a mail service's events.
MAILBOX_URL = env.str("MAILBOX_URL", default="")
if MAILBOX_URL and (urlsplit(MAILBOX_URL).scheme not in {"imap", "imaps"} or not urlsplit(MAILBOX_URL).hostname):
    raise ImproperlyConfigured("MAILBOX_URL must be a mailbox such as imaps://user:password@mail.example.com/INBOX.")
MAIL_EVENTS_SECRETS = env.list("MAIL_EVENTS_SECRETS", default=[])

# The vendor's own name on the product
BRAND_NAME = env.str("BRAND_NAME", default="Northwind Cloud")
BRAND_LOGO_URL = env.link("BRAND_LOGO_URL", example="https://example.com/logo.svg, or /static/logo.svg", own=True)
BRAND_ACCENT = env.str("BRAND_ACCENT", default="")
BRAND_FONT = env.str("BRAND_FONT", default="")
BRAND_RADIUS = env.str("BRAND_RADIUS", default="")
# These values become part of a stylesheet, so only values of the expected form are accepted.
for _name, _value, _shape, _expected in (
    ("BRAND_ACCENT", BRAND_ACCENT, r"#(?:[0-9a-fA-F]{3}){1,2}", "a colour such as #0b6e4f"),
    ("BRAND_FONT", BRAND_FONT, r"[\w ,'\"-]+", "names of fonts such as 'Source Sans 3', Arial"),
    ("BRAND_RADIUS", BRAND_RADIUS, r"\d{1,2}(?:\.\d+)?(?:px|rem)|0", "a length such as 8px, or 0"),
):
    if _value and not re.fullmatch(_shape, _value):
        raise ImproperlyConfigured(f"{_name} must be {_expected}.")
HELP_CONTACT = env.email_address("HELP_CONTACT", default=f"help@{_public.hostname if _https else 'example.com'}")
PRIVACY_URL = env.link("PRIVACY_URL", example="https://example.com/privacy")
DEFAULT_FROM_EMAIL = env.email_address(
    "DEFAULT_FROM_EMAIL", default=formataddr((BRAND_NAME, HELP_CONTACT)), sender=True
)
SERVER_EMAIL = DEFAULT_FROM_EMAIL
MEETINGS_BASE_DOMAIN = env.domain("MEETINGS_BASE_DOMAIN", default="meet.example.com")
LINK_DAYS = env.number("LINK_DAYS", default=30, least=1, most=3650)
# Days in which an organization's administrators can object before the order desk gives a right.
DESK_WAIT_DAYS = env.number("DESK_WAIT_DAYS", default=7, least=0, most=365)
# Finder pages answer after a multiple of this many milliseconds, so that the time reveals nothing. EVEN_ANSWERS_MS is
# the older name of the variable.
RESPONSE_PADDING_MS = env.number(
    "RESPONSE_PADDING_MS", default=env.number("EVEN_ANSWERS_MS", default=50, least=0), least=0, most=10_000
)
# Days until an order has to be set up; by product or service: "calling=7,Meetings Trial=14".
SET_UP_DAYS = env.int("SET_UP_DAYS", default=30)
SET_UP_DAYS_BY_PRODUCT = env.dict("SET_UP_DAYS_BY_PRODUCT", cast={"value": int}, default={})
for _days in (SET_UP_DAYS, *SET_UP_DAYS_BY_PRODUCT.values()):
    if not 1 <= _days <= MAX_DAYS:
        raise ImproperlyConfigured(f"SET_UP_DAYS and SET_UP_DAYS_BY_PRODUCT must be between 1 and {MAX_DAYS} days.")
ORDER_DESK_EMAIL = env.email_address("ORDER_DESK_EMAIL", default=HELP_CONTACT)

# For how many days data is kept (provisioning/privacy/retention.py); 0 keeps it for good: "drafts=30,orders=3650".
RETENTION_DAYS = {"drafts": 30, "logs": 365, "codes": 2, "documents": 90, "orders": 0}
for _name, _days in env.dict("RETENTION_DAYS", cast={"value": int}, default={}).items():
    if _name not in RETENTION_DAYS or not 0 <= _days <= 36_500:
        raise ImproperlyConfigured(
            f"RETENTION_DAYS must be days for {', '.join(RETENTION_DAYS)}, such as drafts=30,orders=3650."
        )
    RETENTION_DAYS[_name] = _days

# Webhooks: the receiver, and the secrets, the newest first; all of them sign.
WEBHOOK_URL, _parts = env.web_address("WEBHOOK_URL", default="", example="https://erp.example.com/webhooks")
WEBHOOK_SECRETS = env.list("WEBHOOK_SECRETS", default=[])
if WEBHOOK_URL and not WEBHOOK_SECRETS:
    raise ImproperlyConfigured("WEBHOOK_SECRETS must be set where WEBHOOK_URL is: whsec_ and 24 to 64 bytes in Base64.")
for _name, _secret in (
    *(("WEBHOOK_SECRETS", secret) for secret in WEBHOOK_SECRETS),
    *(("MAIL_EVENTS_SECRETS", secret) for secret in MAIL_EVENTS_SECRETS),
):
    try:
        _good = 24 <= len(base64.b64decode(_secret.removeprefix("whsec_") + "==", validate=False)) <= 64
    except ValueError:
        _good = False
    if not _good:
        raise ImproperlyConfigured(f"Each of {_name} must be whsec_ and 24 to 64 random bytes in Base64.")
# Networks that outgoing calls may go to although they aren't public; WEBHOOK_ALLOW_PRIVATE is its older name.
OUTGOING_ALLOW_PRIVATE = env.networks("OUTGOING_ALLOW_PRIVATE") + env.networks("WEBHOOK_ALLOW_PRIVATE")

# Calls of an API key in a minute.
API_CALLS_A_MINUTE = env.int("API_CALLS_A_MINUTE", default=6000)
if API_CALLS_A_MINUTE < 1:
    raise ImproperlyConfigured("API_CALLS_A_MINUTE must be 1 or more.")

# What sets each service up: PROVISIONING_MEETINGS=osb+https://user:password@broker.example.com, callback, or local.
PROVISIONING = {
    name.removeprefix("PROVISIONING_").lower(): value.strip()
    for name, value in os.environ.items()
    if name.startswith("PROVISIONING_") and name.removeprefix("PROVISIONING_").lower() not in _PROVISIONING_OTHERS
}
# How long the vendor's system has for its report, and how long other sides may take where they say nothing.
PROVISIONING_CALLBACK_HOURS = env.number("PROVISIONING_CALLBACK_HOURS", default=72, least=1)
PROVISIONING_LONGEST_HOURS = env.number("PROVISIONING_LONGEST_HOURS", default=24, least=1)
# In how many minutes a service is promised to be set up: people are told once where it takes longer.
PROVISIONING_PROMISED_MINUTES = env.number("PROVISIONING_PROMISED_MINUTES", default=30, least=1)
PROVISIONING_PROMISED_MINUTES_BY_SERVICE = env.dict(
    "PROVISIONING_PROMISED_MINUTES_BY_SERVICE", cast={"value": int}, default={}
)
# So many calls to one service's driver at the same time, over all machines.
PROVISIONING_CALLS_AT_ONCE = env.number("PROVISIONING_CALLS_AT_ONCE", default=8, least=1)
# After so many seconds another worker takes over from one that has died; longer than a driver's calls may take.
PROVISIONING_LEASE_SECONDS = env.number("PROVISIONING_LEASE_SECONDS", default=60.0, least=0.01)
# An operation in progress is asked for at least so often, unless the other side says otherwise.
PROVISIONING_POLL_SECONDS = env.number("PROVISIONING_POLL_SECONDS", default=5.0, least=0.01)
# What is unreachable is tried again at least so often.
PROVISIONING_LONGEST_PAUSE_SECONDS = env.number("PROVISIONING_LONGEST_PAUSE_SECONDS", default=900.0, least=0.01)

# Background work
PROCRASTINATE_IMPORT_PATHS = ["provisioning.worker.tasks"]
PROCRASTINATE_ON_APP_READY = "provisioning.database.transaction_pooler.on_app_ready"
# A job is only a wake-up; the rows say what became of it. Eight at once: two may wait for webhooks' receivers, three
# for drivers, two make PDFs (provisioning.worker.tasks), and emails and codes have the rest.
WORKER_CONCURRENCY = 8
PROCRASTINATE_WORKER_DEFAULTS = {"delete_jobs": "always", "concurrency": WORKER_CONCURRENCY}

# Languages
LOCALE_PATHS = [BASE_DIR / "provisioning" / "locale"]
# English, and each language with a compiled catalogue. Django translates the names.
LANGUAGES = [("en", "English")] + [
    (code := to_language(catalogue.parts[-3]), str(LANG_INFO.get(code, {}).get("name", code)))
    for catalogue in sorted(LOCALE_PATHS[0].glob("*/LC_MESSAGES/django.mo"))
]
# The language of emails, and of people whose browser asks for no other. (Shells use the variable LANGUAGE themselves.)
LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="en")
if LANGUAGE_CODE not in dict(LANGUAGES):
    raise ImproperlyConfigured(f"LANGUAGE_CODE must be one of {', '.join(dict(LANGUAGES))}.")
USE_I18N = True
USE_TZ = True
FORMAT_MODULE_PATH = "provisioning.locale"  # one date format on every page, the order desk's lists included
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
if TIME_ZONE not in zoneinfo.available_timezones():
    raise ImproperlyConfigured("TIME_ZONE must be the name of a time zone such as Europe/Berlin.")

# Static files
STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(STATE_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = DEMO
WHITENOISE_AUTOREFRESH = False
# Under STATE_DIR only the product reads them; elsewhere a web server may.
_static_modes = (0o700, 0o600) if STATIC_ROOT.is_relative_to(STATE_DIR) else (0o755, 0o644)
STORAGES = {
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEMO
        else "whitenoise.storage.CompressedManifestStaticFilesStorage",
        "OPTIONS": {"directory_permissions_mode": _static_modes[0], "file_permissions_mode": _static_modes[1]},
    },
}

# Security
_logo = [f"{urlsplit(BRAND_LOGO_URL).scheme}://{urlsplit(BRAND_LOGO_URL).netloc}"] if "://" in BRAND_LOGO_URL else []
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:", *_logo],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.NONE],
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_AGE = 60 * 60 * 24 * 365
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = _https
if _https:  # the prefix binds a cookie to this host and to https (RFC 6265bis)
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
    LANGUAGE_COOKIE_NAME = "__Host-language"
PERMISSIONS_POLICY = ", ".join(
    f"{name}=()"
    for name in "camera display-capture geolocation microphone midi payment serial usb xr-spatial-tracking".split()
)
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=_https)
SECURE_HSTS_SECONDS = env.number("SECURE_HSTS_SECONDS", default=31_536_000 if _https else 0, least=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    ALLAUTH_TRUSTED_PROXY_COUNT = 1
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
FILE_UPLOAD_HANDLERS: list[str] = []  # only one page takes a file, in memory: other uploads are skipped

# Monitoring: who sees the details of /readyz, and /metrics.
MONITORING_NETWORKS = env.networks("MONITORING_NETWORKS", default=["127.0.0.1/32", "::1/128"])
# Whoever has this token sees /metrics from everywhere: Authorization: Bearer …
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
if METRICS_TOKEN and len(METRICS_TOKEN) < 20:
    raise ImproperlyConfigured("METRICS_TOKEN must be a random text of 20 characters or more.")
# Reports of errors to Sentry; none without it.
SENTRY_DSN = env.str("SENTRY_DSN", default="")
if SENTRY_DSN and not re.fullmatch(r"https?://[^/@\s]+@[^/@\s]+/\S+", SENTRY_DSN):
    raise ImproperlyConfigured("SENTRY_DSN must be an address such as https://key@sentry.example.com/1.")

LOG_LEVEL = env.str("LOG_LEVEL", default="WARNING" if DEMO else "INFO").upper()
if LOG_LEVEL not in logging.getLevelNamesMapping():
    raise ImproperlyConfigured(f"LOG_LEVEL must be one of {', '.join(logging.getLevelNamesMapping())}.")
# line: for people; json: one object a line.
LOG_FORMAT = env.str("LOG_FORMAT", default="line").lower()
if LOG_FORMAT not in {"line", "json"}:
    raise ImproperlyConfigured("LOG_FORMAT must be line or json, such as LOG_FORMAT=json.")
# A line for each request.
LOG_REQUESTS = env.bool("ACCESS_LOG", default=LOG_FORMAT == "json")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "provisioning.monitoring.scrubbing.ScrubbingFormatter",
            "format": "{asctime} {levelname} {name} {message}",
            "style": "{",
        },
        "json": {"()": "provisioning.monitoring.logs.JsonFormatter"},
    },
    "filters": {"outages": {"()": "provisioning.database.errors.NoTracebacks"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["outages"]}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    # They log every job and every start of a command.
    "loggers": {name: {"level": "WARNING"} for name in ("procrastinate", "weasyprint", "fontTools")}
    # It logs every attempt to connect; provisioning.database.unavailable_page logs each outage once.
    | {"psycopg.pool": {"level": "ERROR"}},
}

# The rest of what gunicorn reads is in provisioning.deployment.gunicorn.
env.refuse_misspelt(("PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS"))
