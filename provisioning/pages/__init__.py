"""The views around the wizard. ``urls.py`` imports them; the order desk imports ``history`` and ``links``.

``base`` has what all of them share; ``order_status`` says which page fits an order and a person.
"""
