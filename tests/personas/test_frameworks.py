"""The shipped persona frameworks, and what the loader says of broken ones."""

import itertools
import random
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from influence_assets.personas.frameworks import Framework, PersonaSpec, aspects_of, load_framework, load_frameworks
from resources.errors import InputError

DATA = Path(__file__).parents[2] / "data"
SHIPPED = {"mbti": 16, "zodiac": 12, "enneagram": 18, "tarot": 22, "big_five": 32}

GOOD = """\
name: Weather
about: Kinds of weather as characters.
dimensions:
  warmth: high is hot, low is cold
  water: high is wet, low is dry
aspects: [work, love]
personas:
  - name: Drizzle
    description: Goes on quietly for days and never makes up its mind.
    traits: {warmth: low, water: high}
  - name: Heatwave
    description: null
    traits: {warmth: high}
"""


@pytest.fixture(scope="module")
def shipped() -> dict[str, Framework]:
    return {slug: load_framework(DATA / "frameworks" / f"{slug}.yaml") for slug in SHIPPED}


def _personas(shipped: dict[str, Framework]) -> list[tuple[Framework, PersonaSpec]]:
    return [(framework, persona) for framework in shipped.values() for persona in framework.personas]


def test_a_hundred_personas(shipped: dict[str, Framework]) -> None:
    assert {slug: len(framework.personas) for slug, framework in shipped.items()} == SHIPPED
    assert sum(SHIPPED.values()) == 100


def test_mbti_types_carry_their_four_letters_as_traits(shipped: dict[str, Framework]) -> None:
    letters = {"extraversion": "EI", "intuition": "NS", "thinking": "TF", "judging": "JP"}
    names = set()
    for persona in shipped["mbti"].personas:
        assert tuple(persona.traits) == tuple(letters)
        poles = zip(letters.values(), persona.traits.values(), strict=True)
        assert persona.name == "".join(high_low[level == "low"] for high_low, level in poles)
        names.add(persona.name)
    assert len(names) == 16


def test_every_corner_of_the_big_five_once_and_named_by_its_traits(shipped: dict[str, Framework]) -> None:
    framework = shipped["big_five"]
    assert [dimension[0].upper() for dimension in framework.dimensions] == list("OCEAN")
    corners = [tuple(persona.traits[d].value for d in framework.dimensions) for persona in framework.personas]
    assert sorted(corners) == sorted(itertools.product(("high", "low"), repeat=5))
    for persona, corner in zip(framework.personas, corners, strict=True):
        signs = (f"{letter}:{1 if level == 'high' else -1}" for letter, level in zip("OCEAN", corner, strict=True))
        assert persona.name == ", ".join(signs)


def test_enneagram_types_have_both_neighbours_as_wings(shipped: dict[str, Framework]) -> None:
    wings = {f"{kind}w{(kind + step - 1) % 9 + 1}" for kind in range(1, 10) for step in (-1, 1)}
    assert {persona.name for persona in shipped["enneagram"].personas} == wings


def test_descriptions_are_of_like_length_and_one_to_three_sentences(shipped: dict[str, Framework]) -> None:
    for _, persona in _personas(shipped):
        assert persona.description is not None
        assert 25 <= len(persona.description.split()) <= 60, persona.name
        assert 1 <= len(re.findall(r"[.!?](?:\s|$)", persona.description)) <= 3, persona.name
        assert persona.description.isascii(), persona.name


def test_no_phrase_of_four_words_stands_in_two_descriptions(shipped: dict[str, Framework]) -> None:
    owner: dict[tuple[str, ...], str] = {}
    for framework, persona in _personas(shipped):
        title = f"{framework.name} {persona.name}"
        words = re.findall(r"[a-z']+", (persona.description or "").lower())
        for phrase in itertools.pairwise(itertools.pairwise(itertools.pairwise(words))):
            flat = (phrase[0][0][0], phrase[0][0][1], phrase[0][1][1], phrase[1][1][1])
            assert owner.setdefault(flat, title) == title, flat


def test_no_description_names_a_persona_framework_or_dimension(shipped: dict[str, Framework]) -> None:
    names = {persona.name.removeprefix("The ") for _, persona in _personas(shipped)}
    names |= {framework.name for framework in shipped.values()} | {"Myers-Briggs", "star sign", "wheel", "judgment"}
    whole = "|".join(re.escape(name) for name in sorted(names))
    jargon = r"introver|extraver|extrover|neurotic|agreeabl|conscientious|openness|intuit|perceiving|arcan|zodiac"
    leak = re.compile(rf"\b(?:(?:{whole})\b|(?:{jargon}))", re.IGNORECASE)
    for framework, persona in _personas(shipped):
        found = leak.search(persona.description or "")
        assert found is None, (framework.name, persona.name, found)


def test_the_shipped_folder_loads_by_slug_with_distinct_ids() -> None:
    frameworks = load_frameworks(DATA / "frameworks")
    assert set(SHIPPED) < set(frameworks)
    assert list(frameworks) == sorted(frameworks)
    ids = [identity for framework in frameworks.values() for identity in framework.persona_ids()]
    assert len(ids) == len(set(ids))


def test_aspects_come_from_the_framework_or_else_from_the_common_file(shipped: dict[str, Framework]) -> None:
    common = aspects_of(shipped["tarot"], DATA / "aspects.yaml")
    assert len(common) == len(set(common)) == 24
    own = Framework(name="X", about="y", aspects=("tea",), personas=(PersonaSpec(name="a"),))
    assert aspects_of(own, DATA / "nowhere.yaml") == ("tea",)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def to_file(text: str) -> Path:
        path = tmp_path / "weather.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return path

    return to_file


def test_a_good_file(write: Callable[[str], Path]) -> None:
    framework = load_framework(write(GOOD))
    assert framework.name == "Weather"
    assert framework.personas[1].description is None
    assert framework.personas[0].traits == {"warmth": "low", "water": "high"}


COMPLAINTS = [
    ("name: Heatwave", "name: Drizzle", ":11: personas[1].name: stands twice (got 'Drizzle'); change it"),
    ("{warmth: high}", "{wind: high}", ":13: personas[1].traits.wind: is not a dimension of this framework"),
    ("warmth: high}", "warmth: hot}", ":13: personas[1].traits.warmth: input should be 'high' or 'low' (got 'hot')"),
    ("description: null", "description: '  '", ":12: personas[1].description: is blank (got '  '); write it out"),
    ("name: Heatwave", "name: 7", ":11: personas[1].name: is not text (got 7); quote it"),
    ("name: Heatwave", "name: no", ":11: personas[1].name: is not text (got False); quote it"),
    ("    traits: {warmth: high}", "    colour: red", ":13: personas[1].colour: is not a known field (got 'red')"),
    ("about: Kinds of weather as characters.\n", "", ":1: about: is missing"),
    ("[work, love]", "[work, work]", ":6: aspects[1]: stands twice (got 'work')"),
    ("aspects: [work, love]", "aspects: []", ":6: aspects: "),
    ("name: Weather", "name: Weather\nname: Wetter", ":2: name: the key stands twice"),
    ("name: Heatwave", "name: &h Heatwave\n    description: *h", ":12: aliases are not allowed (got '*h')"),
    ("description: null", "description: .nan", ":12: personas[1].description: is not a finite number"),
    ("description: null", "description: " + "[" * 100_000, ":12: is nested more than 40 deep"),
    ("description: null", "description: !!bool maybe", ":12: personas[1].description: is not a plain value"),
    ("description: null", "description: !!timestamp soon", ":12: personas[1].description: is not a plain value"),
    ("description: null", "description: " + "x" * 30_000, ":12: personas[1].description: string should have at most"),
    ("[work, love]", "[work, love", ":7: is not YAML: "),
]


@pytest.mark.parametrize(("old", "new", "complaint"), COMPLAINTS)
def test_a_complaint_names_line_field_value_and_fix(
    write: Callable[[str], Path], old: str, new: str, complaint: str
) -> None:
    assert GOOD.count(old) == 1
    path = write(GOOD.replace(old, new))
    with pytest.raises(InputError) as caught:
        load_framework(path)
    message = str(caught.value)
    assert message.startswith(f"{path}{complaint}"), message
    assert message.isprintable()
    assert caught.value.fix


def test_a_single_persona_is_too_few(write: Callable[[str], Path]) -> None:
    path = write(GOOD[: GOOD.index("  - name: Heatwave")])
    with pytest.raises(InputError, match=r":8: personas: holds a single persona \(got 'Drizzle'\); add another"):
        load_framework(path)


def test_hostile_names_are_names(write: Callable[[str], Path]) -> None:
    hostile = ["'); COPY x TO '/tmp/y'; --", "a\0b", "../../etc", "con", "*?[x]", "\u202eabc", "\U0001f9ff", "x" * 4096]
    quoted = ["'''); COPY x TO ''/tmp/y''; --'", '"a\\0b"', *(f'"{name}"' for name in hostile[2:])]
    personas = "".join(f"  - name: {name}\n" for name in quoted)
    framework = load_framework(write(f"name: X\nabout: y\npersonas:\n{personas}"))
    assert [persona.name for persona in framework.personas] == hostile
    assert len(set(framework.persona_ids())) == len(hostile)


class TestFolders:
    def test_two_files_may_not_share_a_persona_id(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("name: Tea\nabout: x\npersonas: [{name: Green Leaf}, {name: Black}]\n")
        (tmp_path / "b.yaml").write_text("name: Tea Green\nabout: x\npersonas:\n  - name: Mint\n  - name: Leaf\n")
        with pytest.raises(InputError, match=r"b.yaml:5: personas\[1\].name: has the id [0-9a-f]{8} .*a.yaml"):
            load_frameworks(tmp_path)

    @pytest.mark.parametrize("name", ["a...b.yaml", "tab\there.yaml", "imported_x.yaml"])
    def test_file_names_that_cannot_be_slugs(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text(GOOD)
        with pytest.raises(InputError, match="rename the file"):
            load_frameworks(tmp_path)

    def test_hidden_files_and_other_files_are_passed_over(self, tmp_path: Path) -> None:
        (tmp_path / "weather.yaml").write_text(GOOD)
        (tmp_path / ".weather.yaml").write_text("[")
        (tmp_path / "notes.md").write_text("[")
        assert list(load_frameworks(tmp_path)) == ["weather"]

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is not a folder"):
            load_frameworks(tmp_path / "nowhere")


def test_a_framework_made_in_code_is_checked_too() -> None:
    with pytest.raises(ValidationError, match="stands twice"):
        Framework(name="X", about="y", personas=(PersonaSpec(name="a"), PersonaSpec(name="a")))


JUNK = [
    "", "null", "~", "[]", "{}", "- ", "? ", ": ", "!!set {a}", "!!binary YQ==", "!!python/name:os.system", "&a ", "*a",
    "<<: {a: 1}", "1e999", "-.inf", ".NaN", "1_000", "0x7f", "2020-01-01", "1:60", "'", '"', '"\\ud800"', '"\\0"',
    "\u202e", "\ufeff", "\u2028", "\x00", "\x07", "\t", "\U0001f9ff", "---\n", "...\n", "%TAG ! x\n", "#", "|", ">-",
    "[" * 300, "{a: " * 300, "- " * 3000, "x" * 100_000, "9" * 5000, "\ud800", "name: X\n", "personas: 3\n",
]  # fmt: skip


def _mutated(random_: random.Random) -> str:
    text = GOOD
    for _ in range(random_.randint(1, 3)):
        lines = text.splitlines(keepends=True)
        at, cut = random_.randrange(len(lines)), random_.randrange(len(text))
        kind = random_.randrange(5)
        if kind == 0:
            text = "".join(lines[:at] + lines[at + 1 :]) or "x"
        elif kind == 1:
            text = "".join([*lines, lines[at]])
        elif kind == 2:
            text = text[:cut] + random_.choice(JUNK) + text[cut:]
        elif kind == 3:
            key, colon, _ = lines[at].partition(":")
            text = "".join([*lines[:at], key + colon + " " + random_.choice(JUNK) + "\n", *lines[at + 1 :]])
        else:
            text = text[:cut] + text[cut + random_.randint(1, 10) :] or "x"
    return text


def test_mutated_files_are_accepted_or_refused_in_one_line(write: Callable[[str], Path]) -> None:
    random_ = random.Random(0)
    accepted = 0
    for _ in range(300):
        path = write(_mutated(random_))
        started = time.process_time()
        complaint: str | None = None
        try:
            load_framework(path)
        except InputError as error:
            complaint = str(error)
        assert time.process_time() - started < 1
        accepted += complaint is None
        assert complaint is None or (complaint.startswith(f"{path}:") and complaint.isprintable()), complaint
        assert len(complaint or "") < 1000
    assert 5 < accepted < 250
