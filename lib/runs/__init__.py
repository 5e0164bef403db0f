"""A run: its cells, what each is made from, what they cost, and how they are made."""
