"""Finds the organizations that an order may be for. Entry point: find."""
