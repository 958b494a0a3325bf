"""Settings of the test run: the product's own, without the connection pool, and with a pack from elsewhere."""

from provisioning.database import clock
from provisioning.settings import *  # noqa: F403
from provisioning.settings import DATABASES, INSTALLED_APPS, PACKS

clock.use_host()  # tests travel in time; tests/provisioning/database/test_clock.py has processes that don't
PACKS = [*PACKS, "tests.webcast"]
INSTALLED_APPS = [*INSTALLED_APPS, "tests.webcast"]
DATABASES["default"]["OPTIONS"].pop("pool", None)
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["*"]
STORAGES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True  # a test client needs no list of all static files
SECURE_SSL_REDIRECT = False
DATABASES["default"]["OPTIONS"]["options"] = "-c synchronous_commit=off"  # test data need not survive a power cut
SECOND_FACTOR_REQUIRED = False  # tests/provisioning/people/test_second_factor.py and others turn it on
RESPONSE_PADDING_MS = 0  # tests/bench measures it
