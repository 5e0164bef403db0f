"""The paper held against what was found: its claims, its numbers, and whether anything leaked."""
