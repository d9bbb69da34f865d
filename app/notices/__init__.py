"""Mail to administrators: what waits for their yes, and what has stopped."""
