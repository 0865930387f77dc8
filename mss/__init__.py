"""Secure health messaging in one package: relay, mailboxes, bridge, record, patient's pages."""

__version__ = "0.1.0.dev0"
