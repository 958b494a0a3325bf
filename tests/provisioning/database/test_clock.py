"""A host whose clock is an hour wrong does nothing early and takes nothing for expired: the database's decides."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from provisioning.local.database import postgres
from provisioning.models import Mail, Reminder, SignInCode
from provisioning.people import links, sign_in
from subscriptions.models import Order
from tests.factories import an_order
from tests.long.local_machine import ROOT, environ

KIM = "kim@contoso.example.org"
# What web processes and a worker do, in a process whose host is wrong by so many hours.
SCRIPT = f"""
import sys, datetime, time
import time_machine
with time_machine.travel(time.time() + 3600 * int(sys.argv[1]), tick=True):
    import django
    django.setup()
    from provisioning import actions
    from provisioning.deployment import readiness
    from provisioning.people import sign_in
    from provisioning.worker import mail_sending
    from tests.factories import an_order
    readiness.database_answers()
    assert sign_in.use_code({KIM!r}, sys.argv[2]), "the code is taken for expired"
    an_order(contact="new@partner.example")
    sign_in.ask_for_code({KIM!r})
    actions.look_after_dates()
    print(mail_sending.send_waiting(grace=datetime.timedelta(0)), file=sys.stderr)
"""


def in_a_process(hours: int, code: str, mail: Path) -> subprocess.CompletedProcess[str]:
    """Run the script on the tests' database."""
    url = os.environ.get("DATABASE_URL") or postgres.url(settings.STATE_DIR)
    place, query, options = url.partition("?")
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(hours), code],
        cwd=ROOT,
        env=environ(
            DATABASE_URL=f"{place.rpartition('/')[0]}/{connection.settings_dict['NAME']}{query}{options}",
            DJANGO_SETTINGS_MODULE="provisioning.settings",
            EMAIL_URL=f"filemail://{mail}",
            SECRET_KEY=settings.SECRET_KEY,
            STATE_DIR=str(settings.STATE_DIR),
        ),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("hours", [1, -1])
def test_process_of_a_host_that_is_an_hour_wrong_writes_and_decides_by_the_database(hours: int, tmp_path: Path) -> None:
    links.user_for(KIM)
    row = sign_in.ask_for_code(KIM)
    SignInCode.objects.update(expires_at=timezone.now() + timedelta(minutes=30))  # an hour later it is over
    order = an_order()
    # Its reminder, seven days before, is due in half an hour.
    Order.objects.filter(pk=order.pk).update(closes_at=timezone.now() + timedelta(days=7, minutes=30))
    ended = in_a_process(hours, sign_in.code_of(row), tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.strip().endswith("3")  # two welcome emails and a code
    now = timezone.now()
    written = [
        *Mail.objects.values_list("created_at", flat=True),
        *Mail.objects.values_list("sent_at", flat=True),
        *SignInCode.objects.exclude(sent_at=None).values_list("sent_at", flat=True),
        *Order.objects.exclude(pk=order.pk).values_list("placed_at", flat=True),
        SignInCode.objects.get(pk=row.pk).used_at,
    ]
    assert len(written) == 7
    assert all(moment and abs(moment - now) < timedelta(minutes=2) for moment in written), written
    assert not Reminder.objects.exists()
