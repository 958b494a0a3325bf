"""Rules that actions, wizard and desk share: ``plan``, ``order_mismatch``, ``refusals``. They write nothing."""
