"""The one place that builds and joins everything, and decides which process gets which keys."""
