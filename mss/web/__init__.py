"""The patient's pages: rendered here, without a line of script, in French or English."""
