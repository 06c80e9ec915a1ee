"""Measures the gateway beside bare floors, in one run on one machine; `docs/bench.md` says how to read it."""
