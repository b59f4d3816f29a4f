"""Exact figures of the public steerability benchmark, for the compatible paths only."""

PERSONA_ID = ("MBTI", "INTJ", "0447288b")

# What cannot be checked without the public files, for the record: the sha256 of the sorted test observation ids, joined
# by newlines, is 2f5c51d754d0d49928deb564e051b3fc427c603b6a25aab5cf71c4995c7e4193 for 4 steering statements and
# 861ef58a7f93ae6de05c3445f4912f19b6c19a1d365536c51e02435510bd0142 for 10; the persona ids of the sample of five with
# seed 42 are 6276f450, 988503dc, 7146cd1c, c5c8dca8, 559baa12. Positions below decide both.

SPLITS = {
    4: {"positions": [27, 15, 57, 45], "n_steer_total": 400, "n_test_total": 5600},
    10: {
        "positions": [27, 15, 23, 17, 8, 57, 45, 53, 47, 38],
        "n_steer_total": 1000,
        "n_test_total": 5000,
    },
}

SCORES = {
    "generic": {
        "accuracy": [[0.9, 0.6, 0.7, 0.55], [0.65, 0.8, 0.8, 0.6], [0.75, 0.85, 0.7, 0.65], [0.5, 0.55, 0.6, 0.95]],
        "sensitivity": 0.875,
        "specificity": 0.875,
        "sensitivity_scores": [1.0, 1.0, 0.5, 1.0],
        "specificity_scores": [1.0, 0.75, 0.75, 1.0],
        "sensitivity_median": 1.0,
        "specificity_median": 0.875,
    },
    "asymmetric": {
        "accuracy": [[0.9, 0.95, 0.1], [0.2, 0.8, 0.3], [0.95, 0.7, 0.6]],
        "sensitivity": 0.666666666667,
        "specificity": 0.777777777778,
        "sensitivity_scores": [0.666666666667, 1.0, 0.333333333333],
        "specificity_scores": [0.666666666667, 0.666666666667, 1.0],
        "sensitivity_median": 0.666666666667,
        "specificity_median": 0.666666666667,
    },
    "all ties": {
        "accuracy": [[0.5] * 3] * 3,
        "sensitivity": 1.0,
        "specificity": 1.0,
        "sensitivity_scores": [1.0] * 3,
        "specificity_scores": [1.0] * 3,
        "sensitivity_median": 1.0,
        "specificity_median": 1.0,
    },
}
