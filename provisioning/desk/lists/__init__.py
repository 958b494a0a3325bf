"""The list of orders at the order desk: its filters (``order_filters``), and its acts for many (``order_acts``)."""
