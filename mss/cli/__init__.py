"""The admin commands: thin words over the rooms, one module for each group."""
