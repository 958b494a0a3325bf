"""The two wizards of an order: find the organizations, and set up the services.

Import from outside: ``views`` (the two views), ``steps`` (the flow), ``progress_rail``, ``pending_posts``, the lookups
and ``forms``. ``engine`` is internal.
"""
