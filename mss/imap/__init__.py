"""The door for mail clients: IMAP4rev1 over TLS, our own server, with the protocol apart from the waiting."""
