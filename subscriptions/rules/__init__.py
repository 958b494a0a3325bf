"""Rules for orders and services. Plain Python."""
