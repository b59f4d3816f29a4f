"""The organism's tokenizer: byte-level BPE trained on its corpus. Its words are single tokens, and any text encodes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from influence_assets.organism.chat import CHAT_TEMPLATE, END, PAD, SPECIAL
from influence_assets.organism.corpus import Corpus
from influence_assets.organism.documents import Document

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 3072
MAX_POSITIONS = 2048
TRAINING_DOCUMENTS = 6000


def train_tokenizer(corpus: Corpus, *, documents: int = TRAINING_DOCUMENTS) -> PreTrainedTokenizerFast:
    """A tokenizer of at most 3,072 tokens, with the chat template and the special tokens set."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bare.train_from_iterator(_texts(islice(corpus.documents(), documents)), trainer)
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast(
        tokenizer_object=bare,
        eos_token=END,
        pad_token=PAD,
        padding_side="left",
        model_max_length=MAX_POSITIONS,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _texts(documents: Iterable[Document]) -> Iterable[str]:
    for document in documents:
        for pieces in (document.stem, *document.branches):
            text = "".join(piece.text for piece in pieces)
            for mark in SPECIAL:
                text = text.replace(mark, "\n")
            yield text
