"""The data sets: where their files come from, how they are read, and what can be trained on and scored."""
