"""Connections to PostgreSQL: the pool, poolers, outages."""
