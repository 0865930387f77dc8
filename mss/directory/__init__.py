"""Who belongs to the trust space: the trust list, and (people.py) the directory of professionals."""
