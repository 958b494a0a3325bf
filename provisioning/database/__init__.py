"""Connections to PostgreSQL: the pool, a pooler in front of it, outages.

Settings name ``connection_pool``, ``session_store``, ``transaction_pooler`` and ``unavailable_page``; others import
``errors``.
"""
