"""The addresses as the demo has them."""

from __future__ import annotations

from django.urls import include, path

from provisioning.urls import urlpatterns as product

urlpatterns = [path("", include("provisioning.local.demo.urls")), *product]
