"""The bridge: from a patient's mail to her record, or to a human."""
