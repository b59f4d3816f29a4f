"""What is part of a content address: everything that can change an answer, and nothing else."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from resources.addresses import Kind, address_of, static_part
from resources.content import canonical
from resources.messages import Message, Request, Role, Sampling
from resources.providers import Identity

texts = st.text(st.characters(codec=None), max_size=12)
messages = st.builds(Message, role=st.sampled_from(["system", "user", "assistant", "tool"]), content=texts)
samplings = st.builds(
    Sampling,
    temperature=st.floats(0, 2),
    top_p=st.floats(0, 1),
    max_tokens=st.integers(1, 4096),
    stop=st.lists(texts, max_size=2).map(tuple),
    seed=st.one_of(st.none(), st.integers(0, 2**31)),
)
requests = st.builds(
    Request,
    model=st.just("m"),
    messages=st.lists(messages, min_size=1, max_size=3).map(tuple),
    role=st.sampled_from(list(Role)),
    sampling=samplings,
    sample=st.integers(0, 5),
)
identities = st.builds(Identity, provider=texts, model=texts, revision=texts, weights=texts, base_url=texts)


@given(identities, requests, st.lists(texts, max_size=3), st.sampled_from(list(Kind)))
def test_the_role_a_model_plays_is_not_in_the_key(
    identity: Identity, request: Request, options: list[str], kind: Kind
) -> None:
    static = static_part(identity, "")
    keys = {address_of(static, replace(request, role=role), kind, options) for role in Role}
    assert len(keys) == 1
    assert all(len(key) == 64 for key in keys)


@given(identities, identities, texts, texts)
def test_any_field_of_an_identity_changes_the_key(one: Identity, other: Identity, a: str, b: str) -> None:
    for field in dataclasses.fields(Identity):
        changed = replace(one, **{field.name: getattr(other, field.name)})
        assert (static_part(one, a) == static_part(changed, a)) == (one == changed)
    assert (static_part(one, a) == static_part(one, b)) == (a == b)


@given(requests, requests)
def test_any_field_of_a_request_changes_the_key(one: Request, other: Request) -> None:
    def key(request: Request) -> str:
        return address_of("static", request, Kind.GENERATE)

    changed = [replace(one, messages=other.messages), replace(one, sample=other.sample)]
    for name in Sampling.model_fields:
        value = getattr(other.sampling, name)
        changed.append(replace(one, sampling=one.sampling.model_copy(update={name: value})))
    for request in changed:
        same = (request.messages, request.sampling, request.sample) == (one.messages, one.sampling, one.sample)
        assert (key(request) == key(one)) == same


@given(requests, st.integers(0, 2), st.sampled_from(["role", "content"]), texts)
def test_any_field_of_a_message_changes_the_key(request: Request, index: int, name: str, content: str) -> None:
    index %= len(request.messages)
    before = request.messages[index]
    update = {"content": content} if name == "content" else {"role": "user" if before.role != "user" else "system"}
    after = before.model_copy(update=update)
    assume(after != before)
    changed = replace(request, messages=(*request.messages[:index], after, *request.messages[index + 1 :]))
    assert address_of("s", request, Kind.CHOOSE, ("a", "b")) != address_of("s", changed, Kind.CHOOSE, ("a", "b"))


@given(requests, st.lists(texts, max_size=4), st.lists(texts, max_size=4))
def test_options_their_order_the_kind_and_the_number_of_draws_are_in_the_key(
    request: Request, one: list[str], other: list[str]
) -> None:
    same = address_of("s", request, Kind.CHOOSE, one) == address_of("s", request, Kind.CHOOSE, other)
    assert same == (one == other)
    assert len({address_of("s", request, kind, one) for kind in Kind}) == len(Kind)
    assert address_of("s", request, Kind.ESTIMATE, one, 5) != address_of("s", request, Kind.ESTIMATE, one, 6)


@given(st.dictionaries(texts, st.one_of(st.integers(), texts), max_size=6), st.randoms())
def test_the_order_of_a_mapping_is_not_content(value: dict[str, int | str], random: object) -> None:
    items = list(value.items())
    random.shuffle(items)  # type: ignore[attr-defined]  # a random.Random, which Hypothesis types as object
    assert canonical(dict(items)) == canonical(value)
    assert json.loads(canonical(value)) == value
