"""Make somebody an operator of the order desk."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from provisioning.models import OperatorRole
from provisioning.people import links, operators
from provisioning.rules import refusals
from subscriptions.rules.validation import Problem, Refused, clean_email


class Command(BaseCommand):
    """``add_operator EMAIL --role ROLE``: this person signs in and sees the order desk."""

    help = "Make this address an operator of the order desk (the admin site); --remove takes it back."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument("email")
        parser.add_argument(
            "--role",
            choices=OperatorRole.values,
            default=OperatorRole.SUPERVISOR.value,
            help="viewer: sees everything; desk: does the daily work; supervisor: also confirms rights and manages "
            "operators and people's data (default)",
        )
        parser.add_argument("--remove", action="store_true", help="no longer an operator")
        parser.add_argument(
            "--forget-second-factors",
            action="store_true",
            help="for somebody who lost them: removes them, and signs the person out",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Give or take the role."""
        try:
            email = clean_email(options["email"], Problem.CONTACT_EMAIL)
        except Refused as refused:
            several = refused.problem == Problem.SEVERAL_ADDRESSES
            sentence = refusals.sentence(refused) if several else "Enter an email address like name@example.com."
            raise CommandError(sentence) from refused
        if options["forget_second_factors"]:
            operators.forget_second_factors(user=links.user_for(email), by=None)
            self.stdout.write(f"{email} has no second factor any more, and sets up a new one at the next sign-in.")
        elif options["remove"]:
            operators.set_operator(email=email, role=None, by=None)
            self.stdout.write(f"{email} is no longer an operator.")
        else:
            operators.set_operator(email=email, role=OperatorRole(options["role"]), by=None)
            self.stdout.write(
                f"{email} is an operator ({options['role']}). They sign in at /admin/ with a code by email and a "
                "second factor, which they set up at the first sign-in."
            )
