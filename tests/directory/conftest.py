"""Certificates for every test of this folder."""

from tests.kit.pki import pki

__all__ = ["pki"]
