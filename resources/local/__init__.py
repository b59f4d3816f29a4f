"""Local inference with `transformers`: one model, one worker thread, shared prefixes, rows that join and leave."""
