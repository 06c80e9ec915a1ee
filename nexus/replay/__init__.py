"""Plays questions through the HTTP API and tells what the cache did with them. Needs nothing but a URL and a key."""
