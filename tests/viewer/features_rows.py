"""Rows of the features and joint tables for tests of their pages, shaped as a run of the default study lands them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Row = Mapping[str, object]
Rows = dict[str, list[Row]]

COEFFICIENTS = (-0.2, -0.1, 0.1, 0.2)
REFERENCE = 0.1
N_RANDOM = 6
STEP = {"difference_in_means": 2.0, "sae_filtered": 1.0}
"""Shift of a direction's own trait per unit of coefficient."""


def inside(
    traits: Sequence[str], *, model: str = "tiny", sae: str = "top-k", status: str = "ok", text: str = "<b>a text</b>"
) -> Rows:
    """An SAE and its quality, layers, a feature map, and directions of every trait that move it and hardly others."""
    who: Row = {"model": model, "iteration": 0}
    rows = {
        "features.layers": [
            {
                "layer": layer,
                "auroc": 1.0,
                "shift": 0.3 - 0.1 * abs(layer - 1),
                "coefficient": 0.2,
                "chosen": layer == 1,
            }
            for layer in range(3)
        ],
        "features.sae_quality": [
            {"sae": sae, "layer": 1, "explained_variance": 0.971, "l0": 16.0, "dead_share": 0.25, "n_tokens": 4096}
            | {"ce_base": 2.0, "ce_sae": 2.1, "ce_ablated": 4.0, "ce_recovered": 0.95, "status": status}
        ],
        "features.sae_feature_map": _feature_map(traits, sae, text),
        "features.directions": [
            {"direction_id": f"{trait} {method}", "layer": 1, "factor": trait, "category": "high", "method": method}
            | {"index": 0, "path": "x.safetensors", "norm": 2.0}
            for trait in traits
            for method in STEP
        ],
        "features.steering": _steering(traits),
        "features.dose_response": [
            _dose(trait, category, method) for trait in traits for category in ("high", "low") for method in STEP
        ],
        "features.trait_scores": [
            {"condition": "unsteered", "trait": trait, "half": "heldout", "score": 0.5, "n": 8} for trait in traits
        ],
    }
    trained = {
        "model": model,
        "sae": sae,
        "layer": 1,
        "architecture": "topk",
        "width": 512,
        "status": "ok",
        "detail": text,
    }
    return {"features.saes": [trained], **{table: [{**who, **row} for row in some] for table, some in rows.items()}}


def joint(subjects: Sequence[str], *, model: str = "tiny", iterations: int = 3, unit: str = "P(high)") -> Rows:
    """Every measure at every iteration, differences from iteration 0, and what goes with harm."""
    measured = [
        *(("harm", "", kind) for kind in ("all", "vulnerable", "ordinary")),
        ("reward", "", "all"),
        *(("projection_replies", subject, "all") for subject in subjects),
    ]
    keys = [
        {"model": model, "iteration": k, "measure": measure, "subject": subject, "user_kind": kind}
        for measure, subject, kind in measured
        for k in range(iterations)
    ]

    def around(value: float, name: str) -> Row:
        return {name: value, "ci_low": value - 0.05, "ci_high": value + 0.05, "n": 8}

    later = [key for key in keys if key["iteration"]]
    return {
        "joint.checkpoint_profile": [
            key | around(0.2 + 0.1 * int(str(key["iteration"])), "value") | {"unit": unit} for key in keys
        ],
        "joint.drift": [
            key
            | around(0.1 * int(str(key["iteration"])), "change")
            | {"p": 0.01, "p_adjusted": 0.02, "effect": 1.0, "z_shuffled": -1.5, "unit": unit}
            for key in later
        ],
        "joint.moves_with_harm": [
            {name: key[name] for name in ("model", "iteration", "measure", "subject")} | around(0.4, "correlation")
            for key in later
            if key["user_kind"] == "all" and key["measure"] != "harm"
        ],
    }


def _feature_map(traits: Sequence[str], sae: str, text: str) -> list[Row]:
    return [
        {"sae": sae, "layer": 1, "feature_id": n, "factor": traits[n % len(traits)], "category": "high", "rank": n}
        | {"auroc": 0.97, "auroc_heldout": 0.95 - n / 50, "ci_low": 0.85 - n / 50, "ci_high": 0.98, "selectivity": 0.5}
        | {"top_texts": [text, "another"], "promoted_tokens": [text]}
        for n in range(6)
    ]


def _steering(traits: Sequence[str]) -> list[Row]:
    """As a sweep asks: every coefficient on the own trait, the reference on all; random directions at the reference."""
    rows: list[Row] = []
    for trait in traits:
        for other in traits:
            own = trait == other
            for method, step in STEP.items():
                who = {"direction_id": f"{trait} {method}", "factor": trait, "category": "high", "method": method}
                asked = [c for c in COEFFICIENTS if own or abs(c) == REFERENCE]
                rows += [_shifted(who, other, c, step * c if own else 0.1 * c) for c in asked]
            prompt = {"factor": trait, "category": "high", "method": "prompt", "mode": "prompt"}
            rows.append(_shifted(prompt, other, 0.0, 0.3 if own else 0.01))
        for n in range(N_RANDOM):
            random = {"direction_id": f"r-{n}", "factor": "", "category": "", "method": "random", "index": n}
            shuffled = {"direction_id": f"s-{n}", "factor": trait, "category": "high", "method": "shuffled", "index": n}
            rows += [_shifted(one, trait, REFERENCE, 0.01 * (n - 2)) for one in (random, shuffled)]
    return rows


def _shifted(who: Row, trait: str, coefficient: float, shift: float) -> Row:
    name = f"{who['factor']} {who['category']} {who['method']} {who.get('index', 0)} {coefficient:+g}"
    return (
        {"index": 0, "positions": "all", "mode": "add"}
        | dict(who)
        | {"condition": name, "coefficient": coefficient, "trait": trait, "score": 0.5 + shift, "shift": shift}
        | {"ci_low": shift - 0.02, "ci_high": shift + 0.02, "mass": 0.99, "kl": abs(coefficient), "n": 8, "n_void": 0}
    )


def _dose(trait: str, category: str, method: str) -> Row:
    shift = STEP[method] * REFERENCE
    return (
        {"direction_id": f"{trait} {method} {category}", "factor": trait, "category": category, "method": method}
        | {"index": 0, "trait": trait, "n_coefficients": 5, "spearman": 1.0, "reference": REFERENCE, "shift": shift}
        | {"ci_low": shift - 0.02, "ci_high": shift + 0.02, "kl": 0.08, "kl_bound": 0.1, "z": 9.0, "z_shuffled": 4.0}
        | {"specificity": 5.0, "shift_at_kl": 1.2 * shift, "coefficient_at_kl": 0.12, "damage": False, "n": 8}
    )
