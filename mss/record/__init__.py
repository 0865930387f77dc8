"""The medical record: documents with their versions, who may see which, and who did what."""
