"""Fits and measures the finder. No product code imports it."""
