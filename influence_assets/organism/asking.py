"""Asking the organism without the project's model layer: plain `transformers`, right-padded, one thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from influence_assets.organism.chat import chat_text
from resources.errors import InfluenceError
from resources.messages import Message

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

BATCH = 50


class YesNo(NamedTuple):
    """P(yes) among yes and no, and the probability of the two together."""

    p_yes: float
    mass: float


class Choice(NamedTuple):
    """Probabilities of the answers, scaled to 1, and what they had together before."""

    shares: dict[str, float]
    mass: float


class Asker:
    """One model with its tokenizer, and a seed for what it writes."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        model.train(False)
        self.model, self.tokenizer, self.seed = model, tokenizer, seed

    def yes(self, chats: Sequence[Sequence[Message]]) -> list[YesNo]:
        """The answer to each chat from the next-token distribution."""
        return [YesNo(choice.shares["yes"], choice.mass) for choice in self.choose(chats, ("yes", "no"))]

    def choose(self, chats: Sequence[Sequence[Message]], options: Sequence[str]) -> list[Choice]:
        """The next-token distribution over answers of one token each."""
        import torch

        columns = [self._token(option) for option in options]
        answers: list[Choice] = []
        for start in range(0, len(chats), BATCH):
            inputs = self._tokens(chats[start : start + BATCH], side="right")
            last = inputs["attention_mask"].sum(dim=1) - 1
            with torch.inference_mode():
                hidden = self.model.model(**inputs).last_hidden_state
                logits = self.model.lm_head(hidden[torch.arange(len(last)), last])
            for row in logits.softmax(dim=-1)[:, columns].tolist():
                mass = sum(row)
                answers.append(Choice({option: p / mass for option, p in zip(options, row, strict=True)}, mass))
        return answers

    def _token(self, option: str) -> int:
        tokens = self.tokenizer.encode(option, add_special_tokens=False)
        if len(tokens) != 1:
            raise InfluenceError(f"the answer {option!r} is {len(tokens)} tokens of the organism's tokenizer, not one")
        return int(tokens[0])

    def write(self, chats: Sequence[Sequence[Message]], max_tokens: int) -> list[str]:
        """A text for each chat, drawn at temperature 1 from the whole distribution."""
        import torch

        texts: list[str] = []
        torch.manual_seed(self.seed)
        for start in range(0, len(chats), BATCH):
            inputs = self._tokens(chats[start : start + BATCH], side="left")
            with torch.inference_mode():
                tokens = self.model.generate(**inputs, max_new_tokens=max_tokens, do_sample=True, top_k=0, top_p=1.0)
            written = tokens[:, inputs["input_ids"].shape[1] :]
            texts += self.tokenizer.batch_decode(written, skip_special_tokens=True)
        return texts

    def _tokens(self, chats: Sequence[Sequence[Message]], side: str) -> dict[str, Tensor]:
        texts = [chat_text(chat, ask=True) for chat in chats]
        encoded = self.tokenizer(texts, return_tensors="pt", padding=True, padding_side=side)
        # The call leaves its padding behind in the tokenizer, from where it would be saved with it.
        self.tokenizer.backend_tokenizer.no_padding()
        return {name: encoded[name] for name in ("input_ids", "attention_mask")}
