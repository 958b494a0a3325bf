"""What an order asks the organization finder."""
