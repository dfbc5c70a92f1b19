"""The edge: each module fulfils ports of `bot.ports` with one library."""
