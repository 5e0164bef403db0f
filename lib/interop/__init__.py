"""Other tools: an audit of any encoder, TREC files, MTEB tasks, model cards."""
