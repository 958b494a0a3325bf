"""Plans and refusals that actions and pages share."""
