"""What a server needs to run it: checks, readiness, gunicorn, nginx."""
