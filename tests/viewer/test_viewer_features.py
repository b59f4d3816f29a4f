"""The pages of features and joint measures, on tables as a run of the default study lands them."""

from __future__ import annotations

import struct

import polars as pl
import pytest

pytest.importorskip("streamlit", reason="the extra `viewer` is not installed")

from streamlit.testing.v1 import AppTest

from influence_assets.viewer import feature_plots, features, joint_plots, steering, steering_plots
from influence_assets.viewer.joint_plots import Place
from influence_assets.viewer.store import Store
from tests.viewer import features_rows, features_world


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return features_world.store(tmp_path_factory.mktemp("features") / "project")


@pytest.fixture
def steered(store: Store) -> pl.DataFrame:
    return store.rows("steering", model="tiny", iteration=0)


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


def test_steering_offers_methods_but_no_control_and_says_what_each_is_worth(store: Store) -> None:
    app = opened(features_page, store)
    assert app.multiselect(key="methods").options == ["difference_in_means", "prompt", "sae_filtered"]
    assert app.selectbox(key="toward").options == [steering.OWN, "narcissism: high", "openness: high"]
    doses = app.dataframe[0].value
    assert doses["shift"].to_list()[0] == "+.20 [+.18, +.22]"
    assert doses["shift_at_kl"].max() == pytest.approx(0.24)


def test_only_chosen_methods_are_drawn_and_listed(store: Store) -> None:
    app = opened(features_page, store)
    app.multiselect(key="methods").set_value(["sae_filtered"]).run()
    assert set(app.dataframe[0].value["method"]) == {"sae_filtered"}
    app.multiselect(key="methods").set_value([]).run()
    assert not app.exception


def test_own_directions_come_with_the_controls_of_their_trait(steered: pl.DataFrame) -> None:
    own = steering.of_direction(steered, steering.OWN)
    assert (
        own.filter(pl.col("method") == "difference_in_means")
        .select("factor")
        .equals(own.filter(pl.col("method") == "difference_in_means").select(factor="trait"))
    )
    counted = dict(own.group_by("method").len().iter_rows())
    assert counted["random"] == counted["shuffled"] == 2 * features_rows.N_RANDOM
    one = steering.of_direction(steered, "openness: high")
    assert set(one["trait"]) == set(features_world.TRAITS)
    assert set(one.filter(pl.col("method") == "shuffled")["factor"]) == {"openness"}


def test_off_target_shifts_are_compared_at_one_coefficient(steered: pl.DataFrame) -> None:
    """The own trait was also tried at larger ones; there it would stand out by the push alone."""
    compared = steering_plots._widest(steered)
    assert set(compared.filter(pl.col("method") != "prompt")["coefficient"]) == {features_rows.REFERENCE}
    assert set(compared["method"]) == {"difference_in_means", "sae_filtered", "prompt"}


def test_layers_and_the_sae_are_shown_with_their_numbers(store: Store) -> None:
    assert opened(features_page, store, part="Layers").dataframe[0].value["chosen"].to_list() == [False, True, False]
    quality = store.rows("sae_quality", model="tiny")
    values = [(label, value) for label, value, _ in features.sae_cards(quality)]
    assert values == [
        ("explained variance", "0.971"),
        ("cross-entropy recovered", "0.950"),
        ("latents on per token (L0)", "16.0"),
        ("dead latents", "0.250"),
    ]
    void = quality.with_columns(ce_recovered=pl.lit(None, pl.Float64), width=pl.lit(None, pl.Int64))
    assert [value for _, value, _ in features.sae_cards(void)][1] == "–"
    captions = [text.value for text in opened(features_page, store, part="SAE").caption]
    assert any("the more of the layer the SAE keeps" in text for text in captions)


@pytest.mark.parametrize("part", ["Directions", "Trait scores"])
def test_other_parts_are_tables(store: Store, part: str) -> None:
    assert len(opened(features_page, store, part=part).dataframe) == 1


def test_a_table_that_is_empty_says_what_to_run(store: Store) -> None:
    app = opened(features_page, store, part="Side effects")
    assert "No side effects measured yet" in app.markdown[0].value
    assert "influence run" in app.code[0].value


def test_joint_draws_drift_values_and_what_moves_with_harm(store: Store) -> None:
    drift = opened(joint_page, store)
    assert drift.multiselect(key="measures").value == ["reward", "harm", "projection_replies"]
    assert set(drift.dataframe[0].value["iteration"]) == {1, 2}
    assert set(opened(joint_page, store, part="Values").dataframe[0].value["iteration"]) == {0, 1, 2}
    harm = opened(joint_page, store, part="With harm")
    assert harm.selectbox(key="iteration").options == ["2", "1"]


def test_a_model_that_is_not_trained_has_no_drift(tmp_path) -> None:
    rows = {"joint.checkpoint_profile": features_rows.joint(["openness"], iterations=1)["joint.checkpoint_profile"]}
    world = features_world.world
    untrained = Store(features_world.Project(world.write(tmp_path / "project", rows)).warehouse)
    for part in ("Drift", "With harm"):
        app = opened(joint_page, untrained, part=part)
        assert "influence run" in app.code[0].value
    assert opened(joint_page, untrained, part="Values").dataframe[0].value["measure"].to_list()


def test_one_kind_of_users_stands_for_what_a_trait_has() -> None:
    rows = pl.DataFrame(
        [("harm", "", "all"), ("harm", "", "ordinary"), ("neutral", "warmth", "all"), ("words", "warmth", "all")]
        + [("words", "warmth", kind) for kind in ("ordinary", "vulnerable")],
        schema=["measure", "subject", "user_kind"],
        orient="row",
    )
    others = [("harm", "", "all"), ("harm", "", "ordinary"), ("neutral", "warmth", "all")]
    for users in ("all", "vulnerable"):
        assert joint_plots.of_users(rows, users).rows() == [*others, ("words", "warmth", users)]


def test_panels_of_a_measure_stay_together_and_long_ones_go_on_in_the_next_row() -> None:
    assert joint_plots.places_of([1, 3, 2], 4) == [
        Place(0, 0, first=True),
        *(Place(0, column, first=column == 1) for column in (1, 2, 3)),
        *(Place(1, column, first=column == 0) for column in (0, 1)),
    ]
    assert [place.row for place in joint_plots.places_of([1, 5], 4)] == [0, 1, 1, 1, 1, 2]
    assert joint_plots.places_of([], 4) == []


def test_pictures_of_steering_are_drawn_for_one_row_for_none_and_for_voids(store: Store, steered: pl.DataFrame) -> None:
    doses = store.rows("dose_response", model="tiny", iteration=0)
    nothing = {name: pl.lit(None, pl.Float64) for name in ("shift", "ci_low", "ci_high", "kl")}
    void = steered.with_columns(**nothing, unsteered=pl.lit(None, pl.Float64))
    one = steered.filter(pl.col("method") == "sae_filtered").head(1)
    images = []
    for rows in (steered, one, steered.head(0), void, steered.with_columns(**nothing)):
        images += [
            steering_plots.dose_response(steering.of_direction(rows, steering.OWN), title="$x^2$"),
            steering_plots.at_equal_cost(doses, rows, title="t"),
            steering_plots.off_target(rows, title="t"),
        ]
    for some in (doses.head(1), doses.head(0), doses.with_columns(**nothing, shift_at_kl=nothing["kl"])):
        images.append(steering_plots.at_equal_cost(some, steered, title="t"))
    assert all(min(size(image)) > 100 for image in images)


def test_pictures_of_the_inside_are_drawn_for_one_row_for_none_and_for_voids(store: Store) -> None:
    mapped = store.rows("feature_map", model="tiny", iteration=0)
    layers = store.rows("layers", model="tiny", iteration=0)
    quality = store.rows("sae_quality", model="tiny")
    untried = layers.with_columns(shift=pl.lit(None, pl.Float64), chosen=pl.lit(None, pl.Boolean))
    broken = quality.with_columns(ce_base=None, ce_sae=None, ce_ablated=None)
    for part in (mapped, mapped.head(1), mapped.head(0)):
        assert min(size(feature_plots.feature_map(part, title="t"))) > 100
    for part in (layers, layers.head(1), layers.head(0), untried):
        assert min(size(feature_plots.layers(part, title="t"))) > 100
    for part in (quality, quality.head(0), broken):
        assert min(size(feature_plots.kept_by_saes(part, title="t"))) > 100


def test_pictures_of_joint_measures_are_drawn_for_one_row_for_none_and_for_voids(store: Store) -> None:
    for query, column in (("drift", "change"), ("profile", "value")):
        rows = store.rows(query, model="tiny")
        void = rows.with_columns(pl.lit(None, pl.Float64).alias(column), unit=pl.lit(None, pl.String))
        for part in (rows, rows.head(1), rows.head(0), void):
            assert min(size(joint_plots.over_iterations(part, column, title="$x^2$"))) > 100
    moves = store.rows("harm_moves", model="tiny")
    for part in (moves, moves.head(1), moves.head(0)):
        assert min(size(joint_plots.with_harm(part, title="t"))) > 100


def test_more_features_make_a_taller_picture_up_to_thirty(store: Store) -> None:
    mapped = store.rows("feature_map", model="tiny", iteration=0)
    heights = [
        size(feature_plots.feature_map(mapped.head(1).sample(n, with_replacement=True), title="t"))[1]
        for n in (1, 30, 60)
    ]
    assert heights[0] < heights[1] == heights[2]
