"""Encoders: which there are, how they are loaded and trimmed, and how texts become vectors."""
