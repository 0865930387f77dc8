"""Migrations of the store, run by mss/store/create.py."""
