"""Two operators, a trust list and invented people on one machine: ten minutes for a stranger."""
