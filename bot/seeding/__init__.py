"""Believable history for trials: who wrote, what was said, and the rows it becomes (`bot seed`)."""
