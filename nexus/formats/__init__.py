"""How dates and numbers are written, where we differ from Django: a folder for each language that does."""
