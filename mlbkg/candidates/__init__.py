"""Events to candidates: track pairs and the rest of the event."""
