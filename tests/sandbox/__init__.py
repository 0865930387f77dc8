"""Tests of the sandbox: what a worker cannot do, and what the house makes of whatever it answers."""
