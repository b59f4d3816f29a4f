"""Answers as the nearest steering statement does, by the words that they share: what needs no understanding.

Nearness is the cosine of tf-idf vectors (idf over all statements of the study). Equally near statements vote; without a
steering statement, or a shared word, the vote is a draw and P(agree) is one half, which is not an agreement.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from influence_assets.steerability.method import Case, Tests

_TIE = 1e-9


class BagOfWords:
    """P(agree) is the share of agree statements among the nearest."""

    name = "bag_of_words"
    uses_statements = True

    def p_agree(self, cases: Sequence[Case], tests: Tests) -> NDArray[np.float64]:
        from sklearn.feature_extraction.text import TfidfVectorizer

        # Words of one letter count ("i" is one): short statements have little else.
        vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b").fit(tests.texts)
        tests_T_W = vectorizer.transform(tests.texts)
        answers_C_T = np.full((len(cases), len(tests.texts)), 0.5)
        for row, case in enumerate(cases):
            if case.agree or case.disagree:
                steer_N_W = vectorizer.transform([*case.agree, *case.disagree])
                labels_N = np.repeat([1.0, 0.0], [len(case.agree), len(case.disagree)])
                cosine_T_N = (tests_T_W @ steer_N_W.T).toarray()
                nearest_T_N = cosine_T_N >= cosine_T_N.max(axis=1, keepdims=True) - _TIE
                answers_C_T[row] = (nearest_T_N @ labels_N) / nearest_T_N.sum(axis=1)
        return answers_C_T


METHOD = BagOfWords()
