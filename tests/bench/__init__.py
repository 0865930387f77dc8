"""Measures: `python -m tests.bench` (or `make bench`). No test; loopback only, bounded, stops by itself."""
