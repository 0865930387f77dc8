"""Keys, seals, certificates, signatures, TLS. Nothing here decides who may do what; it says what is true."""
