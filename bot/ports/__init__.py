"""The words between the edge and the middle: what the runtime needs of the stores and the providers, each with its
promise. One module for each port, with the rows that cross it.

Calls take batches, because the runtime groups its work; an implementation makes a constant number of round trips of
each. A store that cannot be reached, refuses or is too slow raises `Unavailable`; a value it will not take raises
`Unacceptable`. No driver's exception leaves its adapter.
"""
