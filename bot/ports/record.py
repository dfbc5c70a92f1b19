"""What every row that crosses a port is."""

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The root of the rows that cross a port."""
