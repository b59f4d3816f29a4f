"""Conversations played by hand: models and people in any role, turn by turn. Kept ones have tables of their own."""
