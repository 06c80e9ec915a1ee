"""Canaries: a secret is planted in one internal workspace and asked for from another, through the front door."""
