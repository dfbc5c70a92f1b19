"""Deterministic simulation: several replicas of the real core and runtime in one process, and everything that can fail.

Time, chance, stores, provider, models and the network are simulated and driven by one seed; a run of the same seed is
the same run. What went in and what came out is checked after each run. `README.md` says how to read a failure.
"""
