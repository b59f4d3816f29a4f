"""Every checkpoint in one profile: how far it can be steered, where its replies lie, what it does to people."""
