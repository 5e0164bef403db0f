"""Data sets as their authors released them, one a file."""
