"""What the worker thread does in one turn. Imports torch: import this module inside functions.

A turn takes the requests that arrived, runs one forward pass of scoring, and decodes for about as long as that took.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from resources.errors import InputError
from resources.local.batcher import AnyItem, ChooseItem, GenerateItem, Outcome
from resources.local.chat import Chat
from resources.local.decoding import Decoder
from resources.local.engine import Engine
from resources.local.generation import Row, random_stream
from resources.local.loading import Loaded
from resources.local.passes import Wave
from resources.local.prefix import plan
from resources.local.setup import Setup, SetupError
from resources.local.variants import Answers, tokenise
from resources.messages import Estimator, Status, Usage
from resources.providers import Chosen, ProviderFault

DONE = object()
_PLANNED_AT_ONCE = 8192
"""Requests in one plan: enough to meet, few enough that the first answers come soon."""
_PLANNED_IN_TURN = 1024
"""The same while other setups wait for their turn."""


@dataclass(slots=True, eq=False)
class _Question:
    """A choose request with its prompt; `logp` is filled branch by branch."""

    item: ChooseItem
    answers: Answers
    prompt_tokens: int
    logp: list[NDArray[np.floating] | None] = field(default_factory=list)


class Worker:
    """The model with everything that waits for it. Used by one thread."""

    def __init__(self, loaded: Loaded, engine: Engine, max_rows: int = 64) -> None:
        self._loaded, self.engine = loaded, engine
        self._chat = Chat(loaded.tokenizer)
        self._answers: dict[tuple[str, ...], Answers] = {}
        self._new: dict[Setup, deque[ChooseItem]] = {}
        self._scoring: Iterator[None] | None = None
        self._out: list[Outcome] = []  # answered in this turn, also when it fails later on
        self._scored: list[_Question] = []
        self._decoder = Decoder(engine, max_rows)

    @property
    def busy(self) -> bool:
        return bool(self._new or self._scoring or self._decoder.busy)

    def abandon(self, setup: Setup | None = None) -> list[AnyItem]:
        """Forgets the work in hand, all of it or that of one setup; the items that somebody still waits for."""
        setups = list(self._new) if setup is None else [setup]
        items: list[AnyItem] = [item for each in setups for item in self._new.pop(each, ())]
        if setup is None or any(question.item.setup == setup for question in self._scored):
            items += [question.item for question in self._scored]
            self._scoring, self._scored = None, []
        return [item for item in items + self._decoder.abandon(setup) if item.wanted()]

    @torch.inference_mode()
    def turn(self, arrived: Sequence[AnyItem]) -> list[Outcome]:
        """One forward pass of scoring, then decoding for as long; what was answered."""
        for item in arrived:
            if isinstance(item, ChooseItem):
                self._new.setdefault(item.setup, deque()).append(item)
            else:
                self._take_prompt(item)
        started = time.perf_counter()
        try:
            self._score()
            scored_s = time.perf_counter() - started
            while self._decoder.busy:
                self._out += self._decoder.step()
                if self._out or time.perf_counter() - started > 2 * scored_s:
                    break
        except SetupError as error:
            self._out += [(item, error.reason) for item in self.abandon(error.setup)]
        except (RuntimeError, IndexError, ValueError) as error:
            fault = self._fault(error)
            self._out += [(item, fault) for item in self.abandon()]
        outcomes, self._out = self._out, []
        return outcomes

    def _fault(self, error: Exception) -> ProviderFault:
        if isinstance(error, torch.OutOfMemoryError):
            limits = self.engine.limits
            limits.tokens, limits.kv_bytes = max(256, limits.tokens // 2), max(2**24, limits.kv_bytes // 2)
            self._decoder.max_rows = max(1, self._decoder.max_rows // 2)
            return ProviderFault("out_of_memory", "the device ran out of memory; batches are halved", retryable=True)
        fault = ProviderFault("local_model", f"the forward pass failed: {error}", retryable=False)
        fault.__cause__ = error
        return fault

    # Scoring

    def _score(self) -> None:
        """One forward pass of the plan in hand, or of a new one when questions wait; setups take turns by plans."""
        if self._scoring is None and self._new:
            self._scoring = self._score_waiting(next(iter(self._new)))
        if self._scoring is not None and next(self._scoring, DONE) is DONE:
            self._scoring, self._scored = None, []

    def _score_waiting(self, setup: Setup) -> Iterator[None]:
        """Answers the first questions of those that wait for a setup; pauses after each forward pass."""
        sequences: list[list[int]] = []
        reads: list[tuple[_Question, int]] = []
        waiting, at_once = self._new[setup], _PLANNED_AT_ONCE if len(self._new) == 1 else _PLANNED_IN_TURN
        while waiting and len(self._scored) < at_once:
            item = waiting.popleft()
            if not item.wanted():
                continue
            try:
                question, prompt = self._question(item)
            except (ProviderFault, InputError) as error:
                self._out.append((item, error))
                continue
            self._scored.append(question)
            for number, branch in enumerate(question.answers.branches):
                sequences.append([*prompt, *branch])
                reads.append((question, number))
        del self._new[setup]
        if waiting:  # the rest goes behind the other setups
            self._new[setup] = waiting
        if sequences:
            share = self.engine.shares and not setup.counts_positions
            prompts = [question.prompt_tokens for question, _ in reads]
            for wave in self.engine.run(plan(sequences, share=share), setup=setup, prompts=prompts):
                self._read_wave(wave, reads)
                yield

    def _question(self, item: ChooseItem) -> tuple[_Question, list[int]]:
        answers = self._answers.get(item.options)
        if answers is None:
            chat = self._chat
            answers = tokenise(item.options, chat.encode, lambda tokens: chat.decode(tokens, keep_special=True))
            self._answers[item.options] = answers
        prompt = self._prompt(item, len(answers.branches[-1]))
        return _Question(item, answers, len(prompt), [None] * len(answers.branches)), prompt

    def _prompt(self, item: AnyItem, room: int) -> list[int]:
        prompt = self._chat.tokens(item.request.messages)
        context = self._loaded.context
        if not prompt:
            raise ProviderFault("empty_prompt", "the messages make an empty prompt", retryable=False)
        if context is not None and len(prompt) + room > context:
            raise ProviderFault(
                "context_length",
                f"prompt of {len(prompt)} tokens and {room} more exceed the context of {context}",
                retryable=False,
            )
        return prompt

    def _read_wave(self, wave: Wave, reads: Sequence[tuple[_Question, int]]) -> None:
        logits_N_V = wave.logits_N_V if wave.logits_N_V.dtype == torch.float64 else wave.logits_N_V.float()
        logp_N_V = torch.log_softmax(logits_N_V, dim=-1)
        read = [reads[number] for number in wave.numbers]
        wanted = sorted({token for question, branch in read for token in question.answers.tokens[branch]})
        column = {token: place for place, token in enumerate(wanted)}
        logp_N_W = logp_N_V[:, torch.tensor(wanted, device=logp_N_V.device)].cpu().numpy()
        columns: dict[tuple[int, ...], list[int]] = {}
        for row, (question, branch) in enumerate(read):
            tokens = question.answers.tokens[branch]
            places = columns.get(tokens)
            if places is None:
                places = columns[tokens] = [column[token] for token in tokens]
            question.logp[branch] = logp_N_W[row, places]
            done = [logp for logp in question.logp if logp is not None]
            if len(done) == len(question.logp):
                self._out.append((question.item, _chosen(question, done)))

    # Decoding

    def _take_prompt(self, item: GenerateItem) -> None:
        request = item.request
        try:
            prompt = self._prompt(item, 1)
        except ProviderFault as fault:
            self._out.append((item, fault))
            return
        context, limit = self._loaded.context, request.sampling.max_tokens
        row = Row(
            prompt,
            request.sampling,
            max(1, limit if context is None else min(limit, context - len(prompt))),
            self._loaded.eos,
            (*request.sampling.stop, *self._chat.stops),
            self._chat.decode,
            random_stream(request.sampling, request.sample, prompt),
        )
        self._decoder.add(item, row)


def _chosen(question: _Question, logp: Sequence[NDArray[np.float32]]) -> Chosen | ProviderFault:
    mass_O = question.answers.mass_per_option(logp)
    mass = float(mass_O.sum())
    if not np.isfinite(mass):
        return ProviderFault("not_finite", "the model's logits are not finite", retryable=False)
    single = question.answers.owners_T_O is not None
    estimator = Estimator.LOGPROBS if single else Estimator.SCORED
    usage = Usage(input_tokens=question.prompt_tokens)
    if mass <= 0.0:
        return Chosen((), 0.0, Status.VOID, estimator, usage)
    return Chosen(tuple((mass_O / mass).tolist()), min(1.0, mass), Status.OK, estimator, usage)
