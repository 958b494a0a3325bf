"""Who may do what with an order, and how people get in."""
