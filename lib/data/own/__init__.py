"""Rows that people bring, as JSONL, CSV or TSV."""
