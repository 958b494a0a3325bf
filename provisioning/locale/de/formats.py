"""Dates and times as every page writes them: 21. November 2026, 14:05 CET. FORMAT_MODULE_PATH names this folder."""

DATE_FORMAT = "j. F Y"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = "j. F Y, H:i T"
SHORT_DATE_FORMAT = "j. F Y"
SHORT_DATETIME_FORMAT = "j. F Y, H:i T"
