"""Validation and locale rules for orders and services. Plain Python: no Django, no database.

Import the modules, such as ``validation``, ``sites`` and ``addresses``.
"""
