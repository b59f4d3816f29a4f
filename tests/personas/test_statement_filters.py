"""The statement filters as laws."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scripted_personas import DATA, FRAMEWORK, Scripted

from influence_assets.personas.contrast import Opposites, Unit, units
from influence_assets.personas.describe import personas_of
from influence_assets.personas.embeddings import hashed_tfidf
from influence_assets.personas.filters.agreement import Judgement, agreement, combine, judge
from influence_assets.personas.filters.balance import Half, balance, choose_pairs, halves, missing
from influence_assets.personas.filters.cross_persona import cross_persona
from influence_assets.personas.filters.diversity import diversity, public_diversity
from influence_assets.personas.filters.form import Form, form, load_form
from influence_assets.personas.records import Candidate, Persona
from resources.messages import Estimator, OptionProbabilities, Status
from resources.prompts import load_prompt

JUDGE = load_prompt(DATA / "prompts" / "personas" / "judge.yaml")
PERSONAS = personas_of("toy", FRAMEWORK)


def candidate(
    text: str, *, persona: str = "p", agree: bool = True, key: str = "", round: int = 0, pair: str | None = None
):
    return Candidate(
        framework="toy",
        persona_id=persona,
        agree=agree,
        aspect="work",
        round=round,
        position=0,
        origin="generated",
        status="ok",
        statement_id=key or f"{persona}{agree}{text}",
        text=text,
        pair_id=pair,
    )


# ---------------------------------------------------------------------------------------------------------------- form


RULES = Form(
    lists=load_form(DATA / "filters" / "form.yaml"),
    framework_names=("Major Arcana",),
    names={"w": "The World", "h": "The Hermit", "i": "INTJ"},
    min_words=3,
    max_words=12,
)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("I keep my desk tidy at work.", []),
        ("i am calm at work.", []),
        ("i love spontaneous trips abroad", []),
        ("My friends say that I’m patient.", []),
        ("I'd rather read alone.", []),
        ("Keeping a tidy desk is important at work.", ["not first person"]),
        ("You should keep your desk tidy.", ["not first person"]),
        ("I agree.", ["too short"]),
        ("I " + "and I " * 12 + "sing.", ["too long"]),
        ("Ich liebe große Feste mit vielen Gästen.", ["not first person", "not English"]),
        ("I liebe große Feste mit vielen Gästen und Musik.", ["not English"]),
        ("I travel the world whenever I can.", ["names the persona"]),
        ("I live like a hermit in winter.", []),
        ("I admire The Hermit for his silence.", ["names another persona"]),
        ("I think like an INTJ at work.", ["names another persona"]),
        ("I read the major arcana at night.", ["names the framework"]),
        ("Maybe I keep my desk tidy.", ["hedges"]),
        ("I am kind of tidy at work.", ["hedges"]),
        ("I am a kind person at work.", []),
        ("As an AI language model I keep my desk tidy.", ["hedges"]),
        ("I **love** my job at work.", ["not plain text"]),
        ("- I keep my desk tidy.", ["not plain text"]),
        ("1. I keep my desk tidy.", ["not plain text"]),
        ("I keep my desk tidy.\nI sing.", ["not plain text"]),
        ("I keep <b>my</b> desk tidy.", ["not plain text"]),
        ('"I keep my desk tidy."', ["not plain text"]),
        ("I keep my \u202edesk tidy.", ["not plain text"]),
        (" I keep my desk tidy.", ["not plain text"]),
        ("", ["not plain text", "too short", "not first person", "not English"]),
    ],
)
def test_form(text: str, problems: list[str]) -> None:
    assert RULES.problems(text, "w") == problems


def test_a_name_in_ordinary_words_is_only_its_own_personas_problem() -> None:
    assert RULES.problems("I travel the world whenever I can.", "h") == []
    assert RULES.problems("I live like a hermit in winter.", "h") == ["names the persona"]


@given(st.lists(st.text(max_size=40), max_size=10, unique=True), st.randoms(use_true_random=False))
def test_form_is_free_of_order_and_idempotent(texts: list[str], random) -> None:
    rows = [candidate(text, persona="w") for text in texts]
    decisions = {d.statement_id: d for d in form(rows, RULES)}
    random.shuffle(rows)
    assert {d.statement_id: d for d in form(rows, RULES)} == decisions
    kept = [row for row in rows if decisions[row.id].passed]
    assert all(d.passed for d in form(kept, RULES))
    assert all(d.passed == (d.score == 0) == (d.reason == "") for d in decisions.values())


# ----------------------------------------------------------------------------------------------------------- agreement

chances = st.one_of(st.floats(0, 1), st.just(math.nan))


def answer(p: float) -> OptionProbabilities:
    void = math.isnan(p)
    status = Status.VOID if void else Status.OK
    return OptionProbabilities("r", ("yes", "no"), () if void else (p, 1 - p), 0.9, status, Estimator.LOGPROBS)


@given(st.lists(st.lists(chances, min_size=2, max_size=2), min_size=1, max_size=4))
def test_judges_average_and_a_half_void_judge_does_not_count(judges: list[list[float]]) -> None:
    judgement = combine([[answer(p) for p in orders] for orders in judges])
    valid = [sum(orders) / 2 for orders in judges if not any(map(math.isnan, orders))]
    assert judgement.n_judges == len(valid)
    if valid:
        assert judgement.p_agree == pytest.approx(sum(valid) / len(valid))
        assert judgement.confidence(True) == -judgement.confidence(False)
        assert -0.5 <= judgement.confidence(True) <= 0.5
    else:
        assert judgement.status is Status.VOID
        assert math.isnan(judgement.p_agree)


@given(st.floats(0, 1), st.floats(0, 0.5), st.booleans())
def test_agreement_passes_what_is_confident_on_the_labels_side(p: float, threshold: float, agree: bool) -> None:
    row = candidate("I sing.", agree=agree)
    (decision,) = agreement([row], {row.id: Judgement(p, 1, Status.OK)}, threshold)
    distance = p - 0.5 if agree else 0.5 - p
    assert decision.score == distance
    assert decision.passed == (distance >= threshold)
    assert bool(decision.reason) == (not decision.passed)


@pytest.mark.parametrize("status", [Status.VOID, Status.REFUSAL, Status.GAVE_UP])
def test_a_judgement_that_failed_is_no_number(status: Status) -> None:
    row = candidate("I sing.")
    (decision,) = agreement([row], {row.id: Judgement(math.nan, 0, status)}, 0.0)
    assert (decision.passed, decision.score, decision.reason) == (False, None, status.value)


def test_every_judge_is_asked_in_both_orders() -> None:
    # "first answer" bias: .1 more for yes where yes comes first, so that only the mean of both orders is right.
    models = Scripted(p_yes=lambda request, p: p + (0.04 if "yes or no" in request.messages[-1].content else -0.04))
    person = next(p for p in PERSONAS if p.traits["order"] == "high")
    row = candidate("I tidy old family letters before the office opens.", persona=person.persona_id)
    found = asyncio.run(judge([row], {person.persona_id: person}, JUDGE, models, ["one", "two"]))
    assert [request.model for request in models.asked] == ["one", "one", "two", "two"]
    assert len({request.messages for request in models.asked}) == 2
    assert found[row.id].p_agree == pytest.approx(0.95)
    assert found[row.id].n_judges == 2


# ----------------------------------------------------------------------------------------------------------- diversity

WORDS = ["plan", "tidy", "papers", "dinners", "always", "never", "cousin", "mountain", "roads", "quietly"]
sentences = st.lists(st.sampled_from(WORDS), min_size=3, max_size=6).map(lambda words: "I " + " ".join(words))
rows_of_three = st.lists(st.tuples(sentences, st.sampled_from("pqr"), st.booleans()), max_size=25, unique=True).map(
    lambda rows: [candidate(text, persona=p, agree=agree) for text, p, agree in rows]
)


@given(rows_of_three, st.floats(0.3, 0.95), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=25)
def test_diversity_within_a_persona(rows: list[Candidate], threshold: float, random) -> None:
    ordered = units(rows, {row.id: (len(row.text) % 7) / 20 for row in rows})
    vectors = hashed_tfidf([unit.text for unit in ordered])
    decisions = diversity(ordered, vectors, threshold)
    similarity = (vectors @ vectors.T).toarray()
    passed = {d.statement_id: d.passed for d in decisions}
    for j, unit in enumerate(ordered):
        same = [i for i in range(j) if ordered[i].members[0].persona_id == unit.members[0].persona_id]
        above = [i for i in same if passed[ordered[i].members[0].id] and similarity[i, j] > threshold + 1e-5]
        surely_free = all(similarity[i, j] < threshold - 1e-5 for i in same if passed[ordered[i].members[0].id])
        assert not (above and passed[unit.members[0].id])
        assert not (surely_free and not passed[unit.members[0].id])
    random.shuffle(rows)
    again = diversity(units(rows, {row.id: (len(row.text) % 7) / 20 for row in rows}), vectors, threshold)
    assert again == decisions


def unit(text: str, *members: tuple[str, bool], confidence: float = 0.4, round: int = 0) -> Unit:
    pair = f"pair {text}" if len(members) > 1 else None
    rows = [candidate(text, persona=p, agree=agree, pair=pair, round=round) for p, agree in members]
    return Unit(tuple(sorted(rows, key=lambda row: row.id)), confidence)


def test_a_dropped_statement_cannot_drop_another() -> None:
    angles = np.array([0, 0.4, 0.8, 1.2])
    vectors = sparse.csr_array(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
    chain = [unit(f"I sing {i}", ("p", True)) for i in range(4)]
    assert [d.passed for d in diversity(chain, vectors, 0.86)] == [True, False, True, False]
    assert "I sing 0" in diversity(chain, vectors, 0.86)[1].reason


def test_a_pair_stays_or_goes_as_one() -> None:
    both = [unit("I sing loudly at home.", ("q", True)), unit("I sing loudly at home!", ("p", True), ("q", False))]
    decisions = diversity(both, hashed_tfidf([u.text for u in both]), 0.86)
    assert [d.passed for d in decisions] == [True, False, False]


def test_two_personas_share_a_text_only_as_a_pair() -> None:
    alone = [unit("I sing loudly at home.", ("p", True)), unit("I sing loudly at home.", ("q", True))]
    assert all(d.passed for d in diversity(alone, hashed_tfidf([u.text for u in alone]), 0.86))
    assert [d.passed for d in cross_persona(alone, hashed_tfidf([u.text for u in alone]), 0.95)] == [True, False]
    pair = [unit("I sing loudly at home.", ("p", True), ("q", False))]
    assert all(d.passed for d in cross_persona(pair, hashed_tfidf(["I sing loudly at home."]), 0.95))


@pytest.mark.parametrize(
    ("angles", "kept"),
    [([0, 0.4, 0.8, 1.2], [0]), ([0, 0.6, 0.3, 1.2], [0, 1, 3]), ([0, 0, 0], [0])],
)
def test_the_public_rule_lets_dropped_rows_drop(angles: list[float], kept: list[int]) -> None:
    vectors = sparse.csr_array(np.array([[math.cos(a), math.sin(a)] for a in angles], dtype=np.float32))
    assert np.flatnonzero(public_diversity(vectors, 0.86)).tolist() == kept


# ------------------------------------------------------------------------------------------------------------- balance


@st.composite
def unit_sets(draw: st.DrawFn) -> tuple[list[Persona], list[Unit], int]:
    """Personas of the toy world (some without traits, so without an edge) and any units that their edges allow."""
    chosen = draw(st.lists(st.sampled_from(PERSONAS), min_size=2, unique_by=lambda p: p.persona_id))
    from influence_assets.personas.contrast import with_opposites

    bare = draw(st.sets(st.sampled_from([p.persona_id for p in chosen])))
    people = with_opposites([replace(p, traits={}) if p.persona_id in bare else p for p in chosen])
    edges = Opposites.of(people)
    built = []
    for number in range(draw(st.integers(0, 40))):
        half = draw(st.sampled_from(halves(people)))
        other = edges.partner(*half, str(number))
        members = [half] + ([Half(other, not half.agree)] if other and draw(st.booleans()) else [])
        built.append(unit(f"I sing {number}", *members, confidence=draw(st.sampled_from([0.2, 0.3, 0.4]))))
    return people, built, draw(st.integers(1, 4))


@given(unit_sets(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_balance_is_exact(case: tuple[list[Persona], list[Unit], int], random) -> None:
    people, built, n = case
    edges = Opposites.of(people)
    decisions, chosen = balance(built, edges, people, n)
    members = {member.id: member for u in built for member in u.members}
    assert {d.statement_id for d in decisions} == set(members)
    assert {d.statement_id for d in decisions if d.passed} == set(chosen)
    counts = {
        half: sum((m.persona_id, m.agree) == half for k, m in members.items() if k in chosen) for half in halves(people)
    }
    available = {half: sum((m.persona_id, m.agree) == half for m in members.values()) for half in halves(people)}
    for p in people:
        both = [Half(p.persona_id, agree) for agree in (True, False)]
        assert counts[both[0]] == counts[both[1]] <= n
        if all(available[half] >= n for half in both) and not any(edges.partners(*half) for half in both):
            assert counts[both[0]] == n
    for key, pair in chosen.items():
        if pair is not None:
            (other,) = [k for k, m in members.items() if m.pair_id == pair and k != key]
            assert chosen[other] == pair
            assert members[other].agree != members[key].agree
            assert members[other].text == members[key].text
    random.shuffle(built)
    again, chosen_again = balance(built, edges, people, n)
    assert chosen_again == chosen
    assert sorted(again, key=lambda d: d.statement_id) == sorted(decisions, key=lambda d: d.statement_id)


def test_every_opposite_has_its_turn_before_the_most_confident_win() -> None:
    from influence_assets.personas.contrast import with_opposites

    first = replace(PERSONAS[0], traits={"a": "high", "b": "high"})
    people = with_opposites(
        [first, replace(PERSONAS[1], traits={"a": "low"}), replace(PERSONAS[2], traits={"b": "low"})]
    )
    one, two = sorted(people[0].opposite_persona_ids)
    sure = [unit(f"sure {i}", (first.persona_id, True), (one, False), confidence=0.5) for i in range(9)]
    less = [unit(f"less {i}", (first.persona_id, True), (two, False), confidence=0.3) for i in range(2)]
    edges = Opposites.of(people)
    chosen = choose_pairs([*sure, *less], edges, people, 4)
    assert Counter(u.confidence for u in chosen) == {0.5: 2, 0.3: 2}
    assert Counter(u.confidence for u in choose_pairs([*sure, *less], edges, people, 6)) == {0.5: 4, 0.3: 2}


def test_pairs_come_first_then_singles_then_nothing_uneven() -> None:
    people = [p for p in PERSONAS if p.name in ("TypeHHH", "TypeLLL")]
    high, low = (p.persona_id for p in people)
    edges = Opposites.of(people)
    built = [
        unit("pair one", (high, True), (low, False), confidence=0.3),
        unit("single sure", (high, True), confidence=0.5),
        unit("single less sure", (high, True), confidence=0.4),
        unit("pair two", (high, False), (low, True), confidence=0.3),
        unit("pair three", (high, False), (low, True), confidence=0.35),
    ]
    assert missing(choose_pairs(built, edges, people, 2), people, 2) == {Half(high, True): 1, Half(low, False): 1}
    decisions, chosen = balance(built, edges, people, 2)
    texts = {m.text: chosen[m.id] for u in built for m in u.members if m.id in chosen and m.persona_id == high}
    assert texts == {
        "pair one": "pair pair one",
        "single sure": None,
        "pair two": None,  # the other half went: the opposite persona has a single disagree statement
        "pair three": "pair pair three",
    }
    reasons = {(d.statement_id, d.reason) for d in decisions if not d.passed}
    assert reasons == {
        (f"{high}Truesingle less sure", "no contrast pair"),
        (f"{low}Truepair two", "the persona's other label is short"),
    }
