"""Publishes what snapshots must forget, after the commit that made them wrong."""
