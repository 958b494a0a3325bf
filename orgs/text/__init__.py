"""Names, email addresses, domains and CSV files as plain text, without Django. All modules may be imported."""
