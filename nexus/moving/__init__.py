"""Moves one tenant to another database, as one file: its schema, and what is its own in `public`."""
