"""The address-book door: professionals' mail clients look people up by LDAP (RFC 4510 to 4519). Read-only."""
