"""The pages of features and joint measures, on tables with the columns that people's queries depend on."""

from __future__ import annotations

import struct

import pytest

pytest.importorskip("streamlit", reason="the extra `viewer` is not installed")

from streamlit.testing.v1 import AppTest

from influence_assets.viewer import feature_plots, features
from influence_assets.viewer.store import Store
from tests.viewer import features_world


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return features_world.store(tmp_path_factory.mktemp("features") / "project")


def features_page(store):
    from influence_assets.viewer import features

    features.show(store)


def joint_page(store):
    from influence_assets.viewer import joint

    joint.show(store)


def opened(page, store: Store, **address: str) -> AppTest:
    app = AppTest.from_function(page, args=(store,), default_timeout=30)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def size(image: bytes) -> tuple[int, int]:
    """Width and height of a PNG."""
    assert image.startswith(b"\x89PNG")
    return struct.unpack(">II", image[16:24])


def test_the_feature_map_lists_features_and_opens_one_with_its_texts(store: Store) -> None:
    app = opened(features_page, store, feature="3")
    assert app.dataframe[0].value["auroc_heldout"].to_list() == sorted(
        app.dataframe[0].value["auroc_heldout"].to_list(), reverse=True
    )
    known = app.dataframe[1].value
    texts = known[known["what"] == "top_texts"]["value"].to_list()
    assert texts == ["<b>a text</b>", "another"]
    assert known[known["what"] == "feature_id"]["value"].to_list() == ["3"]


def test_steering_draws_every_trait_and_offers_no_random_direction(store: Store) -> None:
    app = opened(features_page, store, part="Steering")
    assert app.selectbox(key="trait").options == ["narcissism", "openness"]
    assert len(app.multiselect(key="directions").options) == 2


@pytest.mark.parametrize("part", ["Directions", "Trait scores"])
def test_other_parts_are_tables(store: Store, part: str) -> None:
    assert len(opened(features_page, store, part=part).dataframe) == 1


def test_a_table_that_is_empty_says_what_to_run(store: Store) -> None:
    app = opened(features_page, store, part="Side effects")
    assert "No side effects measured yet" in app.markdown[0].value
    assert "influence run" in app.code[0].value


def test_joint_draws_its_measures_and_says_that_drift_is_missing(store: Store) -> None:
    app = opened(joint_page, store)
    assert app.multiselect(key="measures").value == ["harm", "projection openness"]
    assert any("No drift yet" in text.value for text in app.markdown)


def test_pictures_are_drawn_for_one_row_for_none_and_for_voids(store: Store) -> None:
    rows = features._labelled(store.rows("steering", model="tiny", iteration=0))
    some = rows.head(1)
    for part in (rows, some, rows.head(0), rows.with_columns(score=None, shift=None)):
        assert min(size(feature_plots.dose_response(part, trait="openness", title="t"))) > 100
        assert min(size(feature_plots.off_target(part, title="$x^2$"))) > 100
    mapped = store.rows("feature_map", model="tiny", iteration=0)
    for part in (mapped, mapped.head(1), mapped.head(0)):
        assert min(size(feature_plots.feature_map(part, title="t"))) > 100


def test_more_features_make_a_taller_picture_up_to_thirty(store: Store) -> None:
    mapped = store.rows("feature_map", model="tiny", iteration=0)
    heights = [
        size(feature_plots.feature_map(mapped.head(1).sample(n, with_replacement=True), title="t"))[1]
        for n in (1, 20, 30, 60)
    ]
    assert heights[0] < heights[1] < heights[2] == heights[3]
