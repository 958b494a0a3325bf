"""Orders, the subscriptions made of them, product packs and order summaries.

Import from outside: ``models``, ``actions`` (every write), ``packs`` (the registry), ``summary``, ``presentation`` and
``rules`` (plain Python).
"""
