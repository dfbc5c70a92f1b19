"""The two providers' formats, sans-I/O: bytes to values and values to requests."""
