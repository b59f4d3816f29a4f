"""The viewer: a page that shows what has landed, reads only published tables, and runs nothing that a model wrote."""
