"""A conversation as HTML: who said what, and under each reply what the judges made of it, as distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl
from markupsafe import Markup

from influence_assets.viewer.markup import element

# Classes of our own style sheet; whatever else a role may be called is shown, but not styled.
_ROLES = frozenset({"agent", "character", "user", "environment", "tool"})
_RAISED = 0.5
_WHOLE = 0
_BAR_REM, _SHORT = 1.6, 2


def transcript(turns: pl.DataFrame, judgements: pl.DataFrame) -> Markup:
    """Rows of `sql/turns.sql` and `sql/judgements.sql` of one conversation.

    Judgements of turn t stand under the last thing the agent said in it; those of turn 0 are about the whole.
    """
    last_said = dict(turns.filter(pl.col("role") == "agent").sort("position").select("turn", "position").iter_rows())
    judged = judgements.partition_by("turn", as_dict=True) if judgements.height else {}
    blocks = [
        _turn(row, judged.get((row["turn"],)) if last_said.get(row["turn"]) == row["position"] else None)
        for row in turns.sort("position").iter_rows(named=True)
    ]
    said = element("div", *blocks, css="transcript")
    whole = judged.get((_WHOLE,))
    if whole is None:
        return said
    return said + element("div", element("div", "the whole conversation", css="name"), _judged(whole), css="whole")


def facts(pairs: Sequence[tuple[str, str]]) -> Markup:
    """What is known of a conversation, as a line of labels and values."""
    shown = [element("span", element("b", label), value, css="fact") for label, value in pairs if value]
    return element("div", *shown, css="facts")


def _turn(row: Mapping[str, object], judged: pl.DataFrame | None) -> Markup:
    role, state, status = str(row["role"]), str(row["state"] or ""), str(row["status"])
    number = f" · turn {row['turn']}" if row["turn"] else " · before the first reply"
    who = element(
        "div",
        element("b", role),
        number,
        f" · state {state}" if state else None,
        element("span", f" · {status}", css="not-ok") if status != "ok" else None,
        css="who",
    )
    said = element("div", str(row["content"] or ""), css="said", direction="auto")
    css = f"turn {role}" if role in _ROLES else "turn"
    return element("div", who, said, _judged(judged) if judged is not None else None, css=css)


def _judged(rows: pl.DataFrame) -> Markup:
    return element("div", *(_judgement(row) for row in rows.iter_rows(named=True)), css="judged")


def _judgement(row: Mapping[str, object]) -> Markup:
    rubric, purpose, expected, share = str(row["rubric"]), row["purpose"], row["expected"], row["share"]
    css = "judgement" + (" veto" if rubric == "veto" else " evaluation" if purpose == "evaluation" else "")
    told = f"{rubric} by {row['judge']} ({purpose}), mass on valid answers {_number(row['mass'])}"
    if row["status"] != "ok":
        void = element("span", f"void: {row['status']}", css="void")
        return element("div", element("div", element("b", rubric), void, css="head"), css=css, title=told)
    raised = rubric == "veto" and isinstance(share, float) and share >= _RAISED
    head = element(
        "div",
        element("b", rubric),
        element("span", _number(expected, "") + (" ⚠" if raised else ""), css="number"),
        css="head",
    )
    return element("div", head, _bars(row["distribution"]), css=css + (" raised" if raised else ""), title=told)


def _bars(distribution: object) -> Markup | None:
    """Answers in the order of the scale, each with a bar by its probability; the most probable one is full."""
    if not isinstance(distribution, list) or not distribution:
        return None
    answers = sorted(((str(entry["key"]), float(entry["value"])) for entry in distribution), key=_on_scale)
    most = max(p for _, p in answers) or 1.0
    bars = [
        element(
            "div",
            element("div", css="fill", style=f"height: {max(0.0, p / most) * _BAR_REM:.2f}rem"),
            element("div", answer, css="answer"),
            css="bar" if len(answer) <= _SHORT else "bar word",
            title=f"{answer}: {p:.1%}",
        )
        for answer, p in answers
    ]
    return element("div", *bars, css="bars")


def _on_scale(entry: tuple[str, float]) -> tuple[float, str]:
    answer = entry[0]
    return (float(answer), "") if answer.isdecimal() else (float("inf"), answer)


def _number(value: object, missing: str = "–") -> str:
    return f"{value:.2f}" if isinstance(value, float) else missing
