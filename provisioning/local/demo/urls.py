"""The demo's own pages: the tour, which is its front page, and the mailbox. No other installation has them."""

from __future__ import annotations

from django.urls import path

from provisioning.local.demo import mailbox, outside_world, tour

urlpatterns = [
    path("", tour.tour, name="tour"),
    path("outside-world/", outside_world.outside_world, name="outside_world"),
    path("mailbox/", mailbox.mailbox, name="mailbox"),
    path("mailbox/<str:file>/<int:at>/", mailbox.mail, name="mail"),
    path("mailbox/<str:file>/<int:at>/html/", mailbox.mail_html, name="mail_html"),
    path("mailbox/<str:file>/<int:at>/files/<int:which>/", mailbox.attachment, name="mail_attachment"),
]
