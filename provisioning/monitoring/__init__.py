"""What an operator sees of a running installation: health, metrics, logs and error reports.

Settings name ``middleware`` and ``logs``; the command ``status`` reads ``health``.
"""
