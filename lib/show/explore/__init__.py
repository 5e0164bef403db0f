"""The explorer: what models rank first for a question, side by side."""
