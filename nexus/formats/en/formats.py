"""The day before the month, hours up to 24: read alike on both sides of the Atlantic. Numbers are Django's."""

DATE_FORMAT = "j M Y"
SHORT_DATE_FORMAT = DATE_FORMAT
MONTH_DAY_FORMAT = "j M"
TIME_FORMAT = "H:i:s"
DATETIME_FORMAT = "j M Y, H:i"
SHORT_DATETIME_FORMAT = DATETIME_FORMAT
