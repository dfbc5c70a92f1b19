"""What a port raises, and all it raises: an adapter turns its driver's errors into one of these two."""


class Unavailable(Exception):
    """The store cannot be reached or did not answer in time; whether the call took effect is not known."""


class Unacceptable(Exception):
    """The store refuses what it was given; the same value will be refused again."""
