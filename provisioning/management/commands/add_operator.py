"""Make somebody an operator of the order desk."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from provisioning.people import links
from provisioning.rules import refusals
from subscriptions.rules.validation import Problem, Refused, clean_email


class Command(BaseCommand):
    """``add_operator EMAIL``: this person signs in with a code and sees the order desk."""

    help = "Make this address an operator of the order desk (the admin site); --remove takes it back."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument("email")
        parser.add_argument("--remove", action="store_true", help="no longer an operator")

    def handle(self, *args: Any, **options: Any) -> None:
        """Set or clear the two flags of the account."""
        try:
            email = clean_email(options["email"], Problem.CONTACT_EMAIL)
        except Refused as refused:
            several = refused.problem == Problem.SEVERAL_ADDRESSES
            sentence = refusals.sentence(refused) if several else "Enter an email address like name@example.com."
            raise CommandError(sentence) from refused
        user = links.user_for(email)
        user.is_staff = user.is_superuser = not options["remove"]
        user.save(update_fields=["is_staff", "is_superuser"])
        if options["remove"]:
            self.stdout.write(f"{email} is no longer an operator.")
        else:
            self.stdout.write(f"{email} is an operator. They sign in at /admin/ with a code by email.")
