"""Tests of the cellar, on both engines."""
