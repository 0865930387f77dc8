"""Workers without keys, network or files, in which libraries parse what strangers sent.

The house asks through `client` and never sees the library; `pool` keeps the workers; `jobs` is what they can do.
"""
