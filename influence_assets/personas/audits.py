"""Audits of a framework's statements: can the label be read without knowing the persona, and is anything amiss?

Each audit is a row of `personas.statement_audit` with a value that grows with the trouble, its 95 % interval where it
is an estimate, and the thresholds beyond which it warns or fails. Estimates are resampled by text: both halves of a
contrast pair, and all copies of a text, come and go together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from influence_assets.personas.embeddings import Embedder, hashed_tfidf
from influence_assets.personas.filters.balance import Shortfall
from influence_assets.personas.neighbours import greedy, similar_pairs
from influence_assets.personas.records import AuditRow, Persona, Statement
from influence_assets.personas.words import normal, words_of
from influence_assets.stats.intervals import percentile
from influence_assets.stats.resampling import counts

FOLDS = 5
DRAWS = 1000
DRAWS_AT_ONCE = 100
# With fewer texts of either label than this, a cross-validated accuracy says nothing.
FEWEST_TEXTS = 4 * FOLDS
SHOWN = 5

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class AuditStatus(StrEnum):
    """`WARN` also stands for an audit that had too little to measure."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


class Limits(NamedTuple):
    """A value above `warn` warns, above `fail` fails; `chance` is the value when there is nothing to find."""

    warn: float
    fail: float
    chance: float | None = None


LIMITS = {
    "label_leak": Limits(0.60, 0.70, 0.5),
    "length_bias": Limits(0.60, 0.70, 0.5),
    "duplicates_exact": Limits(0.0, 0.05, 0.0),
    "duplicates_near": Limits(0.02, 0.10, 0.0),
    "label_balance": Limits(0.0, 0.10, 0.0),
    "shortfall": Limits(0.0, 0.5, 0.0),
    "steer_test_leakage_exact": Limits(0.0, 0.0, 0.0),
    "steer_test_leakage_near": Limits(0.0, 0.05, 0.0),
}


def audit(
    framework: str,
    statements: Sequence[Statement],
    personas: Sequence[Persona],
    *,
    wanted: int | None,
    short: Sequence[Shortfall] = (),
    diversity_threshold: float,
    embed: Embedder = hashed_tfidf,
) -> list[AuditRow]:
    """All audits of one framework. `wanted` is the number per label that the study asks for; None for an import."""
    ordered = sorted(statements, key=lambda statement: statement.statement_id)
    rows = [
        label_leak(framework, ordered),
        length_bias(framework, ordered),
        duplicates_exact(framework, ordered),
        duplicates_near(framework, ordered, diversity_threshold, embed),
        label_balance(framework, ordered, personas),
    ]
    return rows + ([] if wanted is None else [shortfall(framework, ordered, personas, wanted, short)])


def label_leak(framework: str, statements: Sequence[Statement]) -> AuditRow:
    """Accuracy of a classifier that guesses the label of unseen texts without knowing whose they are; chance .5.

    Logistic regression on tf-idf of words and word pairs, 5-fold cross-validation, stratified by label. Folds are
    split by text: in a contrast pair the classifier would otherwise meet the same text with the other label in
    training, learn to answer the opposite, and hide a leak below .5.
    """
    texts = _text_numbers(statements)
    labels = np.array([statement.agree for statement in statements], dtype=np.int64)
    per_label = [len(set(texts[labels == label].tolist())) for label in (0, 1)]
    if min(per_label) < FEWEST_TEXTS:
        return _row(
            framework,
            "label_leak",
            None,
            None,
            f"too few texts to measure: {per_label[0]} and {per_label[1]}",
            len(labels),
        )
    correct = _blind_guesses([statement.text for statement in statements], labels, texts) == labels
    sums_T = _sums(texts, np.stack([correct, np.ones(len(labels))], axis=1))
    value = float(correct.mean())
    interval = _interval(sums_T, lambda sums: sums[:, 0] / sums[:, 1])
    return _row(
        framework, "label_leak", value, interval, "accuracy of a persona-blind classifier on unseen texts", len(labels)
    )


def _blind_guesses(texts: Sequence[str], labels: Ints, groups: Ints) -> Ints:
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    hasher = HashingVectorizer(ngram_range=(1, 2), norm=None, alternate_sign=False, token_pattern=r"(?u)\b\w+\b")
    hashed = hasher.transform(texts)
    # The classifier's time goes with the width, and most of the hash space is empty.
    features = hashed[:, np.unique(hashed.indices)]
    # idf is fitted within each fold, on its training part alone.
    classifier = make_pipeline(TfidfTransformer(sublinear_tf=True), LogisticRegression(max_iter=1000))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    return np.asarray(cross_val_predict(classifier, features, labels, groups=groups, cv=folds))


def length_bias(framework: str, statements: Sequence[Statement]) -> AuditRow:
    """How well the number of words alone tells the labels apart: the area under the ROC curve, folded above .5.

    AUC = P(an agree statement is longer than a disagree one) + half of P(as long) (Hanley and McNeil 1982).
    """
    labels = np.array([statement.agree for statement in statements], dtype=np.int64)
    if len(set(labels.tolist())) < 2:
        return _row(framework, "length_bias", None, None, "there are no statements of both labels", len(labels))
    lengths = np.minimum([len(words_of(statement.text)) for statement in statements], 99)
    spread = np.zeros((len(labels), 200))
    spread[np.arange(len(labels)), lengths + 100 * labels] = 1
    sums_T = _sums(_text_numbers(statements), spread)
    auc = float(_auc(sums_T.sum(axis=0, keepdims=True))[0])
    low, high = _interval(sums_T, _auc)
    if auc < 0.5:
        auc, low, high = 1 - auc, 1 - high, 1 - low
        longer = "disagree"
    else:
        longer = "agree"
    return _row(
        framework, "length_bias", auc, (low, high), f"{longer} statements are the longer ones at this rate", len(labels)
    )


def _auc(histograms: Floats) -> Floats:
    """AUC of each row of (rows, 200): counts of disagree statements by length, then of agree statements."""
    disagree, agree = histograms[:, :100], histograms[:, 100:]
    below = np.cumsum(disagree, axis=1) - disagree
    wins = (agree * (below + disagree / 2)).sum(axis=1)
    return np.asarray(wins / np.maximum(agree.sum(axis=1) * disagree.sum(axis=1), 1))


def duplicates_exact(framework: str, statements: Sequence[Statement]) -> AuditRow:
    """Share of statements whose text (case and punctuation aside) is there already, beyond the contrast pairs."""
    seen = Counter(normal(text) for text in {(s.pair_id or s.statement_id): s.text for s in statements}.values())
    units = seen.total()
    common = [text for text, count in seen.most_common(SHOWN) if count > 1]
    detail = "texts that stand more than once: " + "; ".join(common) if common else "no text stands twice"
    value = (units - len(seen)) / units if units else None
    return _row(framework, "duplicates_exact", value, None, detail, units)


def duplicates_near(
    framework: str, statements: Sequence[Statement], threshold: float, embed: Embedder = hashed_tfidf
) -> AuditRow:
    """Share of statements that the greedy diversity filter would drop within their persona."""
    if not statements:
        return _row(framework, "duplicates_near", None, None, "there are no statements", 0)
    numbers = {key: i for i, key in enumerate(dict.fromkeys(statement.persona_id for statement in statements))}
    groups = np.array([[numbers[statement.persona_id]] for statement in statements], dtype=np.int64)
    dropped = np.flatnonzero(~greedy(embed([s.text for s in statements]), threshold, groups).kept)
    shown = "; ".join(statements[i].text for i in dropped[:SHOWN])
    detail = f"too similar to another of their persona: {shown}" if shown else f"none is above {threshold}"
    return _row(framework, "duplicates_near", len(dropped) / len(statements), None, detail, len(statements))


def label_balance(framework: str, statements: Sequence[Statement], personas: Sequence[Persona]) -> AuditRow:
    """Largest distance from one half of any persona's share of agree statements."""
    counts = Counter((statement.persona_id, statement.agree) for statement in statements)
    distance = {}
    for persona in personas:
        agree, disagree = counts[persona.persona_id, True], counts[persona.persona_id, False]
        if agree + disagree:
            distance[persona.name] = abs(agree / (agree + disagree) - 0.5)
    uneven = sorted((name for name, value in distance.items() if value > 0), key=lambda name: -distance[name])
    detail = f"uneven: {_listed(uneven)}" if uneven else "every persona has as many agree as disagree statements"
    return _row(framework, "label_balance", max(distance.values(), default=None), None, detail, len(distance))


def shortfall(
    framework: str,
    statements: Sequence[Statement],
    personas: Sequence[Persona],
    wanted: int,
    short: Sequence[Shortfall] = (),
) -> AuditRow:
    """Largest share of its statements that any persona lacks, and which personas lack them and why."""
    counts = Counter(statement.persona_id for statement in statements)
    lack = [1 - min(counts[persona.persona_id] / (2 * wanted), 1.0) for persona in personas]
    detail = _listed([str(item) for item in short]) if short else "every persona has all its statements"
    return _row(framework, "shortfall", max(lack, default=None), None, detail, len(personas))


class Said(NamedTuple):
    """A text that a steered persona is shown or tested on. `key` tells steered systems apart (persona, repeat, n)."""

    key: str
    text: str


def steer_test_leakage(
    framework: str, steer: Sequence[Said], test: Sequence[Said], *, threshold: float, embed: Embedder = hashed_tfidf
) -> list[AuditRow]:
    """Shares of test texts that the same system was steered with, to the letter and nearly.

    Any exact match fails (case and punctuation aside). Near matches are above `threshold` in cosine similarity.
    """
    shown = {(said.key, normal(said.text)) for said in steer}
    exact = [said for said in test if (said.key, normal(said.text)) in shown]
    keys = {key: i for i, key in enumerate(dict.fromkeys(said.key for said in [*steer, *test]))}
    groups = np.array([[keys[said.key]] for said in [*steer, *test]], dtype=np.int64).reshape(-1, 1)
    pairs = similar_pairs(embed([said.text for said in [*steer, *test]]), threshold, groups)
    border = len(steer)
    near = set(pairs.second[(pairs.first < border) & (pairs.second >= border)].tolist())
    n = len(test)
    return [
        _row(framework, "steer_test_leakage_exact", len(exact) / n if n else None, None, _examples(exact), n),
        _row(
            framework,
            "steer_test_leakage_near",
            len(near) / n if n else None,
            None,
            _examples([test[i - border] for i in sorted(near)]),
            n,
        ),
    ]


def _examples(leaked: Sequence[Said]) -> str:
    return _listed([said.text for said in leaked]) if leaked else "no test text was used for steering"


def _listed(items: Sequence[str]) -> str:
    more = len(items) - SHOWN
    return "; ".join(items[:SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _text_numbers(statements: Sequence[Statement]) -> Ints:
    """A number per distinct text, so that copies and the halves of a pair share one."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(normal(s.text), len(numbers)) for s in statements], dtype=np.int64)


def _sums(groups: Ints, values: npt.NDArray[np.float64]) -> Floats:
    """(n_groups, k): the column sums of `values` (n, k) within each group."""
    sums = np.zeros((int(groups.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, groups, values)
    return sums


def _interval(sums_T: Floats, statistic: Callable[[Floats], Floats]) -> tuple[float, float]:
    """95 % expanded percentile bootstrap over texts, seeded.

    `statistic` maps sums of resampled groups, (draws, k), to (draws,).
    """
    rng, n = np.random.default_rng(0), len(sums_T)
    values = [statistic(counts(n, DRAWS_AT_ONCE, rng) @ sums_T) for _ in range(DRAWS // DRAWS_AT_ONCE)]
    low, high = percentile(np.concatenate(values), n_units=n)
    return float(low), float(high)


def _row(
    framework: str, name: str, value: float | None, interval: tuple[float, float] | None, detail: str, n: int
) -> AuditRow:
    limits = LIMITS[name]
    if value is None:
        status = AuditStatus.WARN
    else:
        status = (
            AuditStatus.FAIL if value > limits.fail else AuditStatus.WARN if value > limits.warn else AuditStatus.PASS
        )
    return AuditRow(
        framework=framework,
        audit=name,
        value=value,
        ci_low=interval[0] if interval else None,
        ci_high=interval[1] if interval else None,
        chance=limits.chance,
        threshold_warn=limits.warn,
        threshold_fail=limits.fail,
        status=status.value,
        detail=detail,
        n=n,
    )
