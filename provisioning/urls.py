"""Where everything is."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path, register_converter
from django.urls.converters import StringConverter
from django.views.i18n import set_language

from provisioning import delegation_views, document_views, history_views, link_views, rights_views, views
from provisioning.admin import site as order_desk
from provisioning.brand import brand_css
from provisioning.wizard import FinderWizard, SetUpWizard


class NumberConverter(StringConverter):
    """An order number: what subscriptions.rules lets one be."""

    regex = "[A-Za-z0-9._-]{1,40}"


class FormConverter(StringConverter):
    """In which form a history is exported."""

    regex = "json|csv"


register_converter(NumberConverter, "number")
register_converter(FormConverter, "form")

handler500 = "provisioning.unavailable.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("brand.css", brand_css, name="brand_css"),
    path("language/", set_language, name="set_language"),
    path("l/<str:token>/", link_views.link, name="link"),
    path("sign-in/", link_views.start_sign_in, name="account_login"),
    path("sign-in/code/", link_views.confirm_code, name="account_confirm_login_code"),
    path("sign-in/sign-out/", link_views.sign_out, name="account_logout"),
    # allauth goes to these names where nobody waits for a code, or an account was closed a moment ago.
    path("sign-in/start/", link_views.start_sign_in, name="account_request_login_code"),
    path("sign-in/again/", link_views.start_sign_in, name="account_inactive"),
    path("", views.home, name="home"),
    path("orders/", views.my_orders, name="my_orders"),
    path("orders/<number:number>/", views.order, name="order"),
    path("orders/<number:number>/organizations/", FinderWizard.as_view(), name="find"),
    path("orders/<number:number>/organizations/<slug:at>/", FinderWizard.as_view(), name="find"),
    path("orders/<number:number>/services/", SetUpWizard.as_view(), name="set_up"),
    path("orders/<number:number>/services/<slug:at>/", SetUpWizard.as_view(), name="set_up"),
    path("orders/<number:number>/site-name/", views.site_name, name="site_name"),
    path("orders/<number:number>/history/", history_views.order_history, name="history"),
    path("orders/<number:number>/history.<form:form>", history_views.export_history, name="history_as"),
    path("orders/<number:number>/send-again/", history_views.send_again, name="send_again"),
    path("orders/<number:number>/handed-over/", views.handed_over, name="handed_over"),
    path("orders/<number:number>/held/", views.held, name="held"),
    path("orders/<number:number>/requests/<uuid:request_id>/", views.access_request, name="access_request"),
    path("orders/<number:number>/full-right/", rights_views.ask_for_full_right, name="full_right"),
    path("rights/", rights_views.organizations, name="organizations"),
    path("rights/<uuid:organization>/", rights_views.rights, name="rights"),
    path("rights/<uuid:organization>/<uuid:request_id>/", rights_views.right, name="right"),
    path("orders/<number:number>/hand-back/", delegation_views.hand_back, name="hand_back"),
    path("orders/<number:number>/questions/", delegation_views.questions, name="questions"),
    path("orders/<number:number>/delegated/", views.delegated, name="delegated"),
    path("orders/<number:number>/taken-over/", views.taken_over, name="taken_over"),
    path("orders/<number:number>/later/", views.postponed, name="postponed"),
    path("orders/<number:number>/cancelled/", views.cancelled, name="cancelled"),
    path("orders/<number:number>/closed/", views.closed, name="closed"),
    path("orders/<number:number>/summary/", views.order_summary, name="summary"),
    path("orders/<number:number>/summary.pdf", document_views.order_summary_pdf, name="summary_pdf"),
    path("verify/", document_views.verify, name="verify"),
    path("verify/<str:code>/", document_views.verify, name="verify"),
    path("admin/", order_desk.urls),
]
# The tour is the demo's front page; no other installation has it or the mailbox.
if settings.DEMO:
    urlpatterns.insert(0, path("", include("provisioning.local.urls")))
