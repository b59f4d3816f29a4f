"""The embedded model organism: a small world as data, a corpus made from it, the training of a model that speaks it.

`world` reads the grammar, `corpus` turns it into chats with planted answers, `tokenizer` and `network` make the empty
model, `train` fills it, `evaluate` measures it on what it never saw, `card` writes the figures down. Nothing that
measures models knows this package: the organism is asked like any other local model.
"""
