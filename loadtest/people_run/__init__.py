"""A crowd that talks like people, and what is counted about it: the parts of `loadtest.people` and `loadtest.soak`."""
