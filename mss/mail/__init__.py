"""The mail room: may it come in, where is it kept, how does it leave. Knows no socket and no protocol."""
