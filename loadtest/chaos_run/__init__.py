"""A run of the real thing under faults: what is started, what is done to it, who writes to it, and what is counted."""
