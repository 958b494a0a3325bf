"""Permissions on orders, links in emails, and sign-in.

Others import from ``access`` (one person's access to one order), ``order_people``, ``pending_replies``, ``links`` and
``sign_in``; roles and ``RULES`` of ``permissions`` are for this package.
"""
