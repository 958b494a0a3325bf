"""Settings of the processes that tests/long/test_provisioning_under_fire.py kills: what is committed is on the disk."""

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, env

DATABASES["default"]["OPTIONS"].pop("options")
DATABASES["default"]["OPTIONS"]["connect_timeout"] = 5
PROVISIONING_BROKER = env.str("BROKER")
PROVISIONING = {"meetings": PROVISIONING_BROKER, "calling": PROVISIONING_BROKER}
