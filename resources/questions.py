"""One question to one model: its address, how to put it to a provider, how to read its stored answer."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from resources.addresses import Kind, address_of
from resources.answers import must_draw
from resources.errors import InfluenceError
from resources.messages import Estimator, OptionProbabilities, Reply, Request, Status
from resources.providers import Chosen, Generated, Provider, ProviderFault
from resources.records import chosen_of, probabilities_of, reply_of
from resources.registry import ModelEntry, ProviderName

T_co = TypeVar("T_co", covariant=True)

_DRAWS_AT_MOST = 1_000


@dataclass(frozen=True, slots=True)
class GaveUp:
    """A question that no provider answered; it is not remembered, and is asked again by the next run."""

    fault: ProviderFault
    retries: int
    latency_s: float

    @property
    def detail(self) -> str:
        """What the last try met, for the row."""
        return f"{self.fault.kind}: {self.fault}"


class Question(Protocol[T_co]):
    """What the layer needs to know of a question, whatever comes back."""

    @property
    def address(self) -> str: ...
    @property
    def request(self) -> Request: ...
    @property
    def entry(self) -> ModelEntry: ...
    @property
    def kind(self) -> Kind: ...

    @property
    def output_tokens(self) -> int:
        """The most tokens that one answer can have."""
        ...

    def put_to(self, provider: Provider) -> Awaitable[Generated | Chosen]:
        """One try."""
        ...

    def read(self, body: str, *, cached: bool) -> T_co | None:
        """The answer from its record; None when the record is not (yet) an answer."""
        ...

    def gave_up(self, end: GaveUp) -> T_co:
        """The row for a question that was not answered."""
        ...


@dataclass(frozen=True, slots=True)
class TextQuestion:
    """Asks for text; with `kind=DRAW`, for one sampled answer of an estimate."""

    static: str
    request: Request
    entry: ModelEntry
    address: str
    kind: Kind = Kind.GENERATE

    @property
    def output_tokens(self) -> int:
        return self.request.sampling.max_tokens

    def put_to(self, provider: Provider) -> Awaitable[Generated | Chosen]:
        return provider.generate(self.request)

    def read(self, body: str, *, cached: bool) -> Reply | None:
        return reply_of(body, self.address, cached=cached)

    def gave_up(self, end: GaveUp) -> Reply:
        return Reply(self.address, Status.GAVE_UP, latency_s=end.latency_s, retries=end.retries, detail=end.detail)


@dataclass(frozen=True, slots=True)
class ChoiceQuestion:
    """Asks for a distribution; with `kind=ESTIMATE`, for its estimate from draws, which no provider gives itself."""

    static: str
    request: Request
    entry: ModelEntry
    address: str
    options: tuple[str, ...]
    void_below: float
    kind: Kind = Kind.CHOOSE

    @property
    def output_tokens(self) -> int:
        return 1

    def put_to(self, provider: Provider) -> Awaitable[Generated | Chosen]:
        if self.kind is Kind.ESTIMATE:
            raise InfluenceError("an estimate is made of draws; put those to the provider")
        return provider.choose(self.request, self.options)

    def read(self, body: str, *, cached: bool) -> OptionProbabilities | None:
        return probabilities_of(body, self.address, self.options, cached=cached, void_below=self.void_below)

    def wants_draws(self, body: str) -> bool:
        """Whether the provider's recorded answer was that it cannot tell, so that draws must."""
        chosen = chosen_of(body)
        return chosen is not None and must_draw(chosen)

    def gave_up(self, end: GaveUp) -> OptionProbabilities:
        estimator = Estimator.SAMPLED if self.kind is Kind.ESTIMATE else Estimator.LOGPROBS
        return OptionProbabilities(
            self.address,
            self.options,
            (),
            float("nan"),
            Status.GAVE_UP,
            estimator,
            latency_s=end.latency_s,
            retries=end.retries,
            detail=end.detail,
        )


def always_draws(entry: ModelEntry) -> bool:
    """Whether a model's provider is known to have no log-probabilities."""
    return entry.provider is ProviderName.ANTHROPIC or (entry.provider is ProviderName.OPENAI and not entry.logprobs)


def text_question(static: str, entry: ModelEntry, request: Request) -> TextQuestion:
    """The question for `generate`; `static` is `addresses.static_part` of the model."""
    return TextQuestion(static, request, entry, address_of(static, request, Kind.GENERATE))


def choice_question(
    static: str, entry: ModelEntry, request: Request, options: tuple[str, ...], *, void_below: float, draws: int
) -> ChoiceQuestion:
    """The question for `choose`: for the distribution itself, or for its estimate where there is no other way."""
    if always_draws(entry):
        return estimate_question(static, entry, request, options, void_below=void_below, draws=draws)
    address = address_of(static, request, Kind.CHOOSE, options)
    return ChoiceQuestion(static, request, entry, address, options, void_below)


def estimate_question(
    static: str, entry: ModelEntry, request: Request, options: tuple[str, ...], *, void_below: float, draws: int
) -> ChoiceQuestion:
    """The question for an estimate from `draws` samples."""
    address = address_of(static, request, Kind.ESTIMATE, options, draws)
    return ChoiceQuestion(static, request, entry, address, options, void_below, Kind.ESTIMATE)


def draw_questions(question: ChoiceQuestion, draws: int) -> list[TextQuestion]:
    """The draws of an estimate: the same prompt at temperature 1, nothing cut off, each under its own sample index.

    The first draws of a larger estimate are those of a smaller one.
    """
    request = question.request
    sampling = request.sampling.model_copy(update={"temperature": 1.0, "top_p": 1.0})
    questions = []
    for draw in range(draws):
        own = replace(request, sampling=sampling, sample=request.sample * _DRAWS_AT_MOST + draw)
        address = address_of(question.static, own, Kind.DRAW)
        questions.append(TextQuestion(question.static, own, question.entry, address, Kind.DRAW))
    return questions
