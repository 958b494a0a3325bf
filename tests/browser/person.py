"""A person at a browser: opens links from emails, answers steps by their labels, presses buttons by their names."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from subscriptions.models import Order
from tests import mailbox


class Person:
    """One person with one browser."""

    def __init__(self, email: str, page: Page) -> None:
        self.email, self.page = email, page

    # Getting in

    def open_link(self) -> None:
        """Click the button of the newest email."""
        self.page.goto(mailbox.link_in(mailbox.newest(self.email)))

    def come_in_by_email(self) -> None:
        """Open the newest link, ask for the code, read it in the mailbox, and enter it."""
        self.open_link()
        self.press("Send me a code")
        self.enter_code()

    def enter_code(self) -> None:
        """Read the code in the mailbox and enter it."""
        self.sees("Enter the code")
        self.enter("One-time code", mailbox.newest_code(self.email))
        self.press("Continue")

    def open(self, order: Order, part: str = "") -> None:
        """Open an order, or a page of it (such as "services/meetings/")."""
        self.page.goto(f"/orders/{order.number}/{part}")

    # What a person sees

    def sees(self, title: str) -> None:
        """Wait until the page has this question as its title."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(title)

    def reads(self, *texts: str) -> None:
        """Expect these words on the page."""
        for text in texts:
            expect(self.main).to_contain_text(text)

    def does_not_read(self, *texts: str) -> None:
        """Expect that these words are nowhere on the page, not even out of sight."""
        for text in texts:
            assert text not in self.page.content()

    @property
    def main(self) -> Locator:
        """The page's content, without the bars and the rail."""
        return self.page.locator("main")

    # What a person does

    def field(self, label: str) -> Locator:
        """Find a field by its whole label."""
        return self.main.get_by_label(label, exact=True)

    def enter(self, label: str, text: str) -> None:
        """Type into the field with this label."""
        self.field(label).fill(text)

    def choose(self, label: str) -> None:
        """Select a radio button or tick a box."""
        self.main.get_by_label(label).check()

    def select(self, label: str, option: str) -> None:
        """Select an option of a list, by its words or its value."""
        self.field(label).select_option(option)

    def press(self, button: str) -> None:
        """Press a button by its name."""
        self.main.get_by_role("button", name=button, exact=True).click()

    def follow(self, link: str) -> None:
        """Click a link by its name."""
        self.main.get_by_role("link", name=link).click()

    # Steps that many journeys have

    def answer(self, title: str, *choices: str, then: str = "Next", **fields: str) -> None:
        """Wait for the step with this title, fill in what is given, and go on.

        ``fields`` are texts by label, with underscores for spaces.
        """
        self.sees(title)
        for label, text in fields.items():
            self.enter(label.replace("_", " "), text)
        for choice in choices:
            self.choose(choice)
        self.press(then)

    def name_the_site(self, name: str, *choices: str, zone: str = "Europe/Berlin") -> None:
        """Answer *Meeting setup*: a site without early release, and what else is ticked."""
        self.sees("Meeting setup")
        self.enter("Site name", name)
        self.select("Time zone", zone)
        self.choose("No")
        for choice in choices:
            self.choose(choice)
        self.press("Next")

    def say_where_headquarters_are(self) -> None:
        """Answer both steps of Calling with an address in Germany."""
        self.sees("Where is your main headquarters?")
        self.enter("Location name", "Headquarters")
        self.select("Country or region where most of the users are located", "DE")
        self.press("Next")
        self.sees("What is the address of your main headquarters?")
        self.enter("Street address", "Unter den Linden 1")
        self.enter("Town or city", "Berlin")
        self.enter("Postal code", "10117")
        self.choose("The emergency address is this address")
        self.press("Next")

    def confirm_and_close(self, *texts: str, pdf: bool = False) -> None:
        """Check the review, confirm, check the summary for the same facts, download the PDF if asked, and close."""
        self.sees("Review the information")
        self.reads(*texts)
        self.press("Confirm and set up")
        self.sees("Order summary")
        self.reads(*texts)
        expect(self.main.get_by_role("link", name="Download order summary (PDF)")).to_be_visible()
        if pdf:
            with self.page.expect_download() as download:
                self.follow("Download order summary (PDF)")
            assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")
        self.follow("Close")
        self.sees("My orders")
