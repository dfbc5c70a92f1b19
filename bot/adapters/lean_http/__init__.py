"""A lean HTTP/1.1 client for one thing: posting a small body to one host, thousands of times a second.

Why it is ours: `docs/decisions/0011-lean-client.md`.
"""
