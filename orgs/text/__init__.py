"""Names and domains of organizations as plain text: normalized, split into tokens, compared."""
