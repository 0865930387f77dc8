"""Outside formats, pure: bytes in, values out. Library parsers of strangers' bytes run only in the sandbox."""
