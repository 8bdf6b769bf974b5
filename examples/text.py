"""Sparse text, many features: which library does a paragraph of documentation come from?

The text is on every machine that has fastgd: the docstrings of NumPy, SciPy and scikit-learn.
"""

import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import murmurhash3_32

from fastgd import GDClassifier

COLUMNS = 1 << 15
LIBRARIES = ("numpy", "scipy", "sklearn")
DOCSTRING = re.compile(r'"""(.*?)"""', re.DOTALL)
# Names and code would give the answer away.
GIVEAWAYS = re.compile(
    r"^\s*(>>>|\.\.\.|\.\. ).*$|\b(numpy|scipy|sklearn|scikit-learn|np|sp|sps)\b|[`_.]",
    re.MULTILINE,
)


def docstrings(library):
    """(text, file) of all longer docstrings in a library, without its tests."""
    for file in sorted(Path(find_spec(library).origin).parent.rglob("*.py")):
        if "tests" not in file.parts and "externals" not in file.parts:
            for text in DOCSTRING.findall(file.read_text(encoding="utf-8")):
                if len(text) > 200:
                    yield GIVEAWAYS.sub(" ", text), str(file)


def texts(chosen):
    """The docstrings of these numbers, in rising order, one after the other."""
    chosen = set(chosen.tolist())
    every = (text for library in LIBRARIES for text, _ in docstrings(library))
    return (text for k, text in enumerate(every) if k in chosen)


def names(columns, analyse, chosen):
    """The most frequent word or pair of each of these columns."""
    found = {j: Counter() for j in columns.flat}
    for text in texts(chosen):
        for term in analyse(text):
            column = abs(murmurhash3_32(term, seed=0)) % COLUMNS
            if column in found:
                found[column][term] += 1
    return {column: terms.most_common(1)[0][0] for column, terms in found.items()}


def draw(model, columns, terms):
    """The words with the largest coefficients, for each library."""
    import matplotlib.pyplot as plt  # after the fit, which takes its memory
    from style import BLUE, save

    figure, axes = plt.subplots(1, 3, figsize=(8.6, 3.4))
    for axis, library, coef, top in zip(axes, model.classes_, model.coef_, columns, strict=True):
        axis.barh([terms[j] for j in top], coef[top], color=BLUE, height=0.65)
        axis.set(title=library, xlabel="coefficient (log odds)")
        axis.grid(False, axis="y")
        axis.tick_params(axis="y", length=0)
    save(figure, __file__)


def learnt():
    """The fitted model, the columns with the largest coefficients of each library, and what these
    stand for; the rows are gone before a picture takes its memory.
    """
    labels, files = zip(
        *((library, file) for library in LIBRARIES for _, file in docstrings(library)), strict=True
    )
    y = np.array(labels)
    # Docstrings of one file stay together.
    learn, test = next(GroupShuffleSplit(1, test_size=0.3, random_state=0).split(y, y, files))
    # Texts are read as they are counted, and words are columns by their hash: an array of texts
    # and a dictionary of all pairs of words would take 1.8 GB.
    words = HashingVectorizer(
        token_pattern=r"[a-z]{3,}", ngram_range=(1, 2), n_features=COLUMNS, alternate_sign=False
    )
    weights = TfidfTransformer(sublinear_tf=True)
    counts = words.transform(texts(learn))
    X = weights.fit(counts).transform(counts, copy=False)
    X_test = weights.transform(words.transform(texts(test)), copy=False)
    print(
        f"{X.shape[0]:,} docstrings to learn from, {X.shape[1]:,} columns of words and pairs, "
        f"{X.nnz / X.shape[0]:.0f} in each"
    )
    model = GDClassifier(alpha=1e-5).fit(X, y[learn])
    print(model.plan_)
    print(
        f"one model of all libraries, within {model.suboptimality_:.0e} of the optimum "
        f"({model.bound_kind_}) after {model.history_['passes'][-1]:.0f} passes over the rows"
    )
    often = max(np.mean(y[test] == library) for library in LIBRARIES)
    print(
        f"accuracy {model.score(X_test, y[test]):.3f} on other files; always the most frequent: "
        f"{often:.3f}"
    )
    top = np.argsort(model.coef_, axis=1)[:, -12:]
    return model, top, names(top, words.build_analyzer(), learn)


def main():
    draw(*learnt())


if __name__ == "__main__":
    main()
