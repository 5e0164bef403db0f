"""What else could explain the answer: one question a file, asked of the same scores."""
