"""Accounts: who may sign in, with what, and what their mailbox's life is."""
