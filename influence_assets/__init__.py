"""How language models influence people, how far they can be steered, and which features carry it."""
