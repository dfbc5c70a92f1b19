"""Parts of `loadtest.memory`."""
