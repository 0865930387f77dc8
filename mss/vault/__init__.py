"""The vault: the one room that unwraps private keys, and writes down who asked."""
