"""Evaluation: search in a pool of passages, measures of effectiveness and of language bias."""
