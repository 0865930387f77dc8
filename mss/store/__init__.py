"""The cellar: what is kept, durably and sealed. Opens nothing; knows public keys only."""
