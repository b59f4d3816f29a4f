"""A conversation as HTML: judgements stand where they belong, and a void one is no number."""

from __future__ import annotations

import polars as pl

from influence_assets.viewer.transcript import facts, transcript

TURN = {"state": "open", "status": "ok"}
VOID = {"turn": 1, "judge": "j", "rubric": "harm", "purpose": "evaluation", "expected": None, "share": None}


def turns(*rows: tuple[int, str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [TURN | {"turn": t, "position": n, "role": r, "content": c} for n, (t, r, c) in enumerate(rows)]
    )


def judgement(turn: int, rubric: str, p: dict[str, float], expected: float, **more: object) -> dict[str, object]:
    distribution = [{"key": answer, "value": value} for answer, value in p.items()]
    return {
        "turn": turn,
        "judge": "j",
        "rubric": rubric,
        "purpose": "training",
        "distribution": distribution,
        "expected": expected,
        "share": expected,
        "mass": 1.0,
        "status": "ok",
    } | more


def test_a_judgement_stands_under_the_last_thing_the_agent_said_in_its_turn() -> None:
    said = turns((1, "agent", "first part"), (1, "tool", "result"), (1, "agent", "second part"), (1, "character", "ok"))
    shown = transcript(said, pl.DataFrame([judgement(1, "preference", {"1": 0.25, "2": 0.75}, 1.75)]))
    assert shown.count('class="judgement"') == 1
    assert shown.index("second part") < shown.index("1.75") < shown.index(">ok<")


def test_answers_stand_in_the_order_of_the_scale_and_not_of_the_alphabet() -> None:
    rated = pl.DataFrame([judgement(1, "preference", {"10": 0.5, "2": 0.2, "1": 0.3, "x": 0.0}, 5.0)])
    shown = str(transcript(turns((1, "agent", "a")), rated))
    places = [shown.index(f'title="{answer}: ') for answer in ("1", "2", "10", "x")]
    assert places == sorted(places)


def test_a_veto_above_one_half_is_marked_by_more_than_its_colour() -> None:
    for veto, marks in ((0.9, 1), (0.1, 0)):
        judged = pl.DataFrame([judgement(1, "veto", {"0": 1 - veto, "1": veto}, veto)])
        assert transcript(turns((1, "agent", "a")), judged).count("⚠") == marks


def test_a_void_judgement_says_why_and_shows_no_number() -> None:
    rows = pl.DataFrame([VOID | {"distribution": [], "mass": 0.1, "status": "unparsable"}])
    shown = transcript(turns((1, "agent", "a")), rows)
    assert "void: unparsable" in shown
    assert "bars" not in shown


def test_judgements_of_the_whole_conversation_stand_at_its_end() -> None:
    shown = transcript(turns((1, "agent", "a")), pl.DataFrame([judgement(0, "fidelity", {"0": 0, "1": 1}, 1.0)]))
    assert shown.index("the whole conversation") < shown.index("fidelity")


def test_a_role_that_a_table_made_up_does_not_choose_its_own_style() -> None:
    shown = transcript(turns((1, 'agent" onclick="x', "a")), pl.DataFrame())
    assert 'class="turn"' in shown
    assert "onclick=&#34;x" in shown
    assert '" onclick' not in shown


def test_facts_leave_out_what_is_not_known() -> None:
    assert "stance" not in facts([("stance", ""), ("model", "m")])
