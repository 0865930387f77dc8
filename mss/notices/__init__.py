"""Mail that the house itself writes: what became of a document, and what could not be delivered."""
