"""The ports of `bot.ports` in memory, with their promises kept: for tests of the runtime and for simulations.

They are the same as the real adapters wherever `tests/adapters/test_contracts.py` looks. What they cost is one turn of
the event loop per call; what goes wrong is put on the `Link` between one replica and the tables.
"""
