"""Where everything is."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path
from django.views.i18n import set_language

from provisioning import link_views
from provisioning.brand import brand_css

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
    path("admin/login/", link_views.order_desk_sign_in),
    path("admin/", admin.site.urls),
]
