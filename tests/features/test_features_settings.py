"""What a study may say wrongly of features: each is one line that names the field and lists what there is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from influence_assets.features import study_design
from influence_assets.features.backgrounds import load_backgrounds
from influence_assets.features.direction_method import chosen_directions
from influence_assets.features.items import Half
from influence_assets.features.neutral import load_neutral
from influence_assets.features.orders import Orders, option_orders
from influence_assets.features.side_effect_items import load_side_effects
from influence_assets.features.study_design import factors_of, for_selection, held_out, items_of
from influence_assets.features.trait_questions import load_trait_prompt, trait_questions
from influence_assets.project import Project
from influence_assets.standing import Standing
from influence_assets.study import load_study
from resources.errors import InputError
from tests.features.stimulus_files import DATA

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """The shipped study with other settings of features, in a file of its own."""

    def to_file(**features: object) -> Path:
        content = yaml.safe_load((DATA / "study.yaml").read_text())
        content["features"] = features
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return to_file


def step_of(root: Path, **features: object) -> Standing:
    """What a stage is given, of a project whose study says so; no run, and nothing asked."""
    for name in ("backgrounds", "trait_items"):
        if not (root / "data" / name).exists():
            shutil.copytree(DATA / name, root / "data" / name)
    content = yaml.safe_load((DATA / "study.yaml").read_text()) | {"features": features}
    (root / "data" / "study.yaml").write_text(yaml.safe_dump(content))
    return Standing(Project(root), "asset", "organism", "model", (), ())


def the_line(work: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        work()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ({"layer": -1}, ("features.layer", "-1")),
        ({"layers": ["first"]}, ("features.layers", "first")),
        ({"lairs": [1]}, ("lairs", "not a known field")),
        ({"iterations": [1]}, ("features.iterations", "0, the untouched model")),
        ({"iterations": [0, 0]}, ("features.iterations", "different")),
        ({"pooling": "first"}, ("features.pooling", "first", "last")),
        ({"keep": 0}, ("features.keep", "0")),
        ({"sae": {"layer": 1, "k": 9, "width": 8}}, ("features.sae.k", "above the width 8", "9")),
        ({"sae": {"layer": 1}}, ("features.sae.k", "needs it")),
        ({"sae": {"layer": 1, "wide": 3, "k": 2}}, ("features.sae.wide", "there are", "width")),
        ({"steering": {"coefficients": [0, 1]}}, ("features.steering.coefficients", "both signs")),
        ({"steering": {"items": 1}}, ("features.steering.items", "1")),
        ({"steering": {"positions": "middle"}}, ("features.steering.positions", "middle", "all")),
        ({"steering": {"orders": "both"}}, ("features.steering.orders", "both", "cyclic")),
        ({"min_mass": 2}, ("features.min_mass", "2")),
    ],
)
def test_settings_are_checked_with_their_line(
    write: Write, features: dict[str, object], words: tuple[str, ...]
) -> None:
    path = write(**features)
    text = the_line(lambda: load_study(path))
    assert f"{path}:" in text, "and the line in it"
    for word in words:
        assert word in text, text


def test_an_unknown_set_is_named_with_those_that_there_are() -> None:
    text = the_line(lambda: load_neutral(DATA, "greek"))
    assert "features.steering.neutral" in text
    assert "english, organism" in text
    text = the_line(lambda: load_backgrounds(DATA, ["organism", "greek"]))
    assert "'greek'" in text
    for name in ("long_term", "organism", "short_term", "traits"):
        assert name in text
    assert "english" in the_line(lambda: load_side_effects(DATA, ["greek"]))
    text = the_line(lambda: chosen_directions(["difference_in_means", "compass"]))
    assert "features.directions" in text
    assert "persona_vector" in text


def test_neutral_texts_are_read_and_a_damaged_file_has_its_line(tmp_path: Path) -> None:
    assert len(load_neutral(DATA, "english")) >= 16
    folder = tmp_path / "neutral"
    folder.mkdir()
    (folder / "mine.yaml").write_text("about: mine\ntexts:\n  - one\n  -\n")
    text = the_line(lambda: load_neutral(tmp_path, "mine"))
    assert "mine.yaml:4" in text
    assert "english" not in text
    assert "data/neutral" in the_line(lambda: load_neutral(tmp_path / "nowhere", "mine"))


def test_a_factor_to_steer_that_there_is_not_is_named(tmp_path: Path) -> None:
    step = step_of(tmp_path, backgrounds=["organism"], trait_items=["organism"], steering={"factors": ["kindness"]})
    text = the_line(lambda: study_design.tested_traits(step, items_of(step)))
    assert "features.steering.factors" in text
    assert "'kindness'" in text
    for factor in factors_of(step):
        assert factor.name in text
    step = step_of(tmp_path, backgrounds=["organism"], trait_items=["organism", "greek"])
    assert "english" in the_line(lambda: items_of(step))


def test_tested_are_the_traits_that_are_steered_and_else_all(tmp_path: Path) -> None:
    sets = {"backgrounds": ["organism"], "trait_items": ["organism"]}
    step = step_of(tmp_path, **sets, steering={"factors": ["openness", "agreeableness"]})
    assert set(study_design.tested_traits(step, items_of(step))) == {"openness", "agreeableness"}
    assert len(study_design.tested_traits(step_of(tmp_path, **sets), items_of(step))) == 8
    # Factors that no item tests can be steered as well: then every trait is looked at.
    both = step_of(tmp_path, backgrounds=["organism", "long_term"], trait_items=["organism"])
    factor = next(
        one.name for one in factors_of(both) if one.name not in study_design.tested_traits(both, items_of(both))
    )
    step = step_of(
        tmp_path, backgrounds=["organism", "long_term"], trait_items=["organism"], steering={"factors": [factor]}
    )
    assert len(study_design.tested_traits(step, items_of(step))) == 8


def test_halves_of_items_are_cut_per_trait_with_all_orders(tmp_path: Path) -> None:
    items = items_of(step_of(tmp_path, backgrounds=["organism"], trait_items=["organism"]))
    questions = trait_questions(load_trait_prompt(DATA), items, option_orders(Orders.CYCLIC))
    for choose, half in ((held_out, Half.HELDOUT), (for_selection, Half.SELECTION)):
        found = choose(questions, 3)
        assert {one.item.half for one in found} == {half}
        assert len(found) == 8 * 3 * 4
        wanted = [item.id for item in items if item.half is half and item.trait == "openness"][:3]
        assert list(dict.fromkeys(one.item.id for one in found if one.item.trait == "openness")) == wanted
        assert len(choose(questions, None)) == 4 * sum(item.half is half for item in items)
