"""Python imports this file at every start when its folder stands in PYTHONPATH: kills without pauses."""

from hurry import hurry  # type: ignore[import-not-found]

hurry()
