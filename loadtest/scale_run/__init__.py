"""A database of millions of messages, and how the service's statements do on it (`python -m loadtest.scale`)."""
