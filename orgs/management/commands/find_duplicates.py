"""Report organizations that are likely the same one, for the order desk."""

from __future__ import annotations

import csv
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

_SAME = """
    SELECT o.name_key, d.registrable, array_agg(DISTINCT o.id ORDER BY o.id)
    FROM orgs_organization o LEFT JOIN orgs_domain d ON d.organization_id = o.id
    WHERE o.name_key <> '' AND {tie}
    GROUP BY 1, 2 HAVING count(DISTINCT o.id) > 1 ORDER BY 3
"""


class Command(BaseCommand):
    """Writes CSV: why, and the organizations' ids, names and countries."""

    help = "Report likely duplicates: the same name on the same domain, or the same name where there is no domain."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How many."""
        parser.add_argument("--limit", type=int, default=1000, help="groups to report, at most")

    def handle(self, **options: Any) -> None:
        """Report."""
        writer = csv.writer(self.stdout)
        writer.writerow(["why", "public_id", "name", "country", "users", "active_subscriptions"])
        with connection.cursor() as cursor:
            for why, tie in (
                ("same name and domain", "d.registrable <> ''"),
                ("same name, no domain", "d.id IS NULL"),
            ):
                cursor.execute(_SAME.format(tie=tie) + " LIMIT %s", [options["limit"]])
                for _key, _domain, pks in cursor.fetchall():
                    cursor.execute(
                        "SELECT public_id, name, country, user_count, active_subscription_count "
                        "FROM orgs_organization WHERE id = ANY(%s) ORDER BY id",
                        [pks],
                    )
                    for row in cursor.fetchall():
                        writer.writerow([why, *row])
