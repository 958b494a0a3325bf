"""Registers the order desk with Django's admin site."""

from provisioning.desk import orders as orders
