"""Flows and rules as YAML files: read with their lines, checked whole, compiled to what the core runs.

`loading` is the way in; `problems` is what it finds; `language` describes every construct once, for the checks and for
the JSON Schema that editors use.
"""
