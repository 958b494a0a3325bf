"""Pages around the wizard."""
