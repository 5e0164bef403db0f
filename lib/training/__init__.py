"""Training: how batches are put together, and fine-tuning."""
