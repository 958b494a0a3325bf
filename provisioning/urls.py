"""Where everything is."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path, register_converter
from django.urls.converters import StringConverter
from django.views.i18n import set_language

from provisioning import api
from provisioning.brand import brand_css
from provisioning.desk.dashboard import page as dashboard
from provisioning.desk.site import site as order_desk
from provisioning.pages import (
    account,
    delegation,
    documents,
    history,
    links,
    mail_events,
    orders,
    privacy,
    progress,
    rights,
    same_partner,
    well_known,
)
from provisioning.wizard.views import FinderWizard, SetUpWizard


class NumberConverter(StringConverter):
    """An order number: what subscriptions.rules.validation lets one be."""

    regex = "[A-Za-z0-9._-]{1,40}"


class FormConverter(StringConverter):
    """In which form a history is exported."""

    regex = "json|csv"


register_converter(NumberConverter, "number")
register_converter(FormConverter, "form")

handler500 = "provisioning.api.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("robots.txt", well_known.robots_txt, name="robots_txt"),
    path(".well-known/security.txt", well_known.security_txt, name="security_txt"),
    path("brand.css", brand_css, name="brand_css"),
    path("language/", set_language, name="set_language"),
    path("l/<str:token>/", links.link, name="link"),
    path("l/<str:token>/reminders/", mail_events.reminders, name="reminders"),
    path("mail-events/", mail_events.mail_events, name="mail_events"),
    path("sign-in/", links.start_sign_in, name="account_login"),
    path("sign-in/code/", links.confirm_code, name="account_confirm_login_code"),
    path("sign-in/sign-out/", links.sign_out, name="account_logout"),
    # allauth goes to these names where nobody waits for a code, or an account was closed a moment ago.
    path("sign-in/start/", links.start_sign_in, name="account_request_login_code"),
    path("sign-in/again/", links.start_sign_in, name="account_inactive"),
    path("sign-in/passkey/", account.passkey_sign_in, name="passkey_sign_in"),
    path("sign-in/passkey/options/<slug:purpose>/", account.passkey_options, name="passkey_options"),
    path("account/", account.account, name="account"),
    path("account/passkey/", account.add_passkey, name="add_passkey"),
    path("account/app/", account.add_app, name="add_app"),
    path("account/recovery-codes/", account.recovery_codes, name="recovery_codes"),
    path("account/remove/<int:pk>/", account.remove_factor, name="remove_factor"),
    path("account/second-factor/", account.second_factor_page, name="second_factor"),
    path("", orders.home, name="home"),
    path("orders/", orders.my_orders, name="my_orders"),
    path("same-partner/", same_partner.same_partner, name="same_partner"),
    path("orders/<number:number>/", orders.order, name="order"),
    path("orders/<number:number>/organizations/", FinderWizard.as_view(), name="find"),
    path("orders/<number:number>/organizations/<slug:at>/", FinderWizard.as_view(), name="find"),
    path("orders/<number:number>/services/", SetUpWizard.as_view(), name="set_up"),
    path("orders/<number:number>/services/<slug:at>/", SetUpWizard.as_view(), name="set_up"),
    path("orders/<number:number>/site-name/", orders.site_name, name="site_name"),
    path("orders/<number:number>/history/", history.order_history, name="history"),
    path("orders/<number:number>/history.<form:form>", history.export_history, name="history_as"),
    path("orders/<number:number>/send-again/", history.send_again, name="send_again"),
    path("orders/<number:number>/handed-over/", orders.handed_over, name="handed_over"),
    path("orders/<number:number>/held/", orders.held, name="held"),
    path("orders/<number:number>/requests/<uuid:request_id>/", orders.access_request, name="access_request"),
    path("orders/<number:number>/full-right/", rights.ask_for_full_right, name="full_right"),
    path("rights/", rights.organizations, name="organizations"),
    path("rights/<uuid:organization>/", rights.rights, name="rights"),
    path("rights/<uuid:organization>/<uuid:request_id>/", rights.right, name="right"),
    path("orders/<number:number>/hand-back/", delegation.hand_back, name="hand_back"),
    path("orders/<number:number>/questions/", delegation.questions, name="questions"),
    path("orders/<number:number>/delegated/", orders.delegated, name="delegated"),
    path("orders/<number:number>/taken-over/", orders.taken_over, name="taken_over"),
    path("orders/<number:number>/later/", orders.postponed, name="postponed"),
    path("orders/<number:number>/cancelled/", orders.cancelled, name="cancelled"),
    path("orders/<number:number>/closed/", orders.closed, name="closed"),
    path("orders/<number:number>/on-hold/", orders.on_hold, name="on_hold"),
    path("orders/<number:number>/progress/", progress.progress, name="progress"),
    path("orders/<number:number>/progress/stop/", progress.stop, name="stop_set_up"),
    path("orders/<number:number>/summary/", orders.order_summary, name="summary"),
    path("orders/<number:number>/summary.pdf", documents.order_summary_pdf, name="summary_pdf"),
    path("privacy/", privacy.privacy, name="privacy"),
    path("verify/", documents.verify, name="verify"),
    path("verify/<str:code>/", documents.verify, name="verify"),
    path("api/", include(api.urlpatterns)),
    path("admin/dashboard/", order_desk.admin_view(dashboard.dashboard), name="desk_dashboard"),
    path("admin/dashboard.csv", order_desk.admin_view(dashboard.export), name="desk_dashboard_csv"),
    path("admin/", order_desk.urls),
]
# The tour is the demo's front page; no other installation has it or the mailbox.
if settings.DEMO:
    urlpatterns.insert(0, path("", include("provisioning.local.demo.urls")))
