"""svmlight files as blocks, against scikit-learn's reader."""

import bz2
import gzip
import os
import pickle
import re
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from fastgd import GDRegressor
from fastgd.data.readers import svmlight
from fastgd.data.readers.files import BUFFER_BYTES, whole_lines
from fastgd.data.readers.svmlight import from_svmlight
from fastgd.objective import survey
from support.starts import check_starts

LINES = "1 1:0.5 3:2\n\n  # words\n-1.5\t2:1e-3 4:-7.25   # a remark\r\n2 qid:3 1:0.1 # x\n3\n"


def together(source, n_bytes=1 << 20):
    blocks = list(source.blocks(n_bytes))
    return sp.vstack([block.X for block in blocks]).tocsr(), np.concatenate([b.y for b in blocks])


def random_rows(n_rows=60, n_columns=30, seed=0):
    random = np.random.default_rng(seed)
    X = sp.random_array((n_rows, n_columns), density=0.2, format="csr", random_state=random)
    X.data *= 10.0 ** random.integers(-5, 5, X.data.size)
    return X, random.standard_normal(n_rows)


@pytest.fixture
def written(tmp_path):
    """A function that writes a text to a file and gives its path."""

    def write(text, name="rows.svm"):
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write


@pytest.mark.parametrize("zero_based", [True, False])
def test_rows_are_those_of_scikit_learn(tmp_path, zero_based):
    X, y = random_rows()
    path = tmp_path / "rows.svm"
    dump_svmlight_file(X, y, str(path), zero_based=zero_based)
    found, targets = together(from_svmlight(path))
    X, y = load_svmlight_file(str(path))
    np.testing.assert_array_equal(found.toarray(), X.toarray())
    np.testing.assert_array_equal(targets, y)
    assert (found.has_canonical_format, found.indices.dtype) == (True, np.int32)


def test_blanks_remarks_and_queries(written):
    path = written(LINES)
    found, targets = together(from_svmlight(str(path)))
    X, y = load_svmlight_file(str(path))
    np.testing.assert_array_equal(found.toarray(), X.toarray())
    np.testing.assert_array_equal(targets, y)


def test_zeros_are_not_stored(written):
    X, _ = together(from_svmlight(written("1 1:0 2:-0.0 3:1 4:0e5 5:1e-999\n")))
    assert X.nnz == 1
    assert X.shape == (1, 5)


def test_the_last_line_may_lack_its_end(written):
    X, _ = together(from_svmlight(written("1 1:1\n2 2:25")))
    np.testing.assert_array_equal(X.toarray(), [[1.0, 0.0], [0.0, 25.0]])


@pytest.mark.parametrize("pack", [gzip, bz2], ids=["gz", "bz2"])
def test_packed_files_and_several(tmp_path, pack):
    X, y = random_rows()
    parts = [tmp_path / "a.svm", tmp_path / f"b.svm.{'gz' if pack is gzip else 'bz2'}"]
    dump_svmlight_file(X[:25], y[:25], str(parts[0]))
    dump_svmlight_file(X[25:], y[25:], str(tmp_path / "b.svm"))
    with pack.open(parts[1], "wb") as file:
        file.write((tmp_path / "b.svm").read_bytes())
    found, targets = together(from_svmlight(parts))
    # scikit-learn writes 16 digits.
    np.testing.assert_allclose(found.toarray(), X.toarray(), rtol=1e-15)
    np.testing.assert_allclose(targets, y, rtol=1e-15)


def test_the_base_is_that_of_all_files(written):
    one, zero = written("1 1:1\n", "one.svm"), written("1 0:1 2:1\n", "zero.svm")
    assert together(from_svmlight(one))[0].shape == (1, 1)
    assert together(from_svmlight([one, zero]))[0].toarray().tolist() == [[0, 1, 0], [1, 0, 1]]
    assert together(from_svmlight(one, zero_based=True))[0].toarray().tolist() == [[0, 1]]
    assert together(from_svmlight(one, n_features=3))[0].toarray().tolist() == [[1, 0, 0]]
    assert together(from_svmlight(one, 3, zero_based=True))[0].toarray().tolist() == [[0, 1, 0]]


@pytest.mark.parametrize(
    ("lines", "width", "base"),
    [
        (["1 3:1", "2 0:1", "1 3:1"], 4, True),
        (["1 3:1", "2 4:1", "1 3:1"], 4, False),
        (["1 3:1", "2", "# 0:1 9:1", "1 1:1 # 0:1 9:1"], 4, False),
        (["1 3:1", "2 qid:0 1:1", "1 qid:9 2:1"], 4, False),
    ],
)
def test_the_base_is_found_where_the_number_of_columns_is_given(written, lines, width, base):
    path = written("\n".join(lines) + "\n")
    found, _ = together(from_svmlight(path, n_features=width))
    wanted, _ = together(from_svmlight(path, n_features=width, zero_based=base))
    np.testing.assert_array_equal(found.toarray(), wanted.toarray())


def test_a_base_is_looked_for_no_farther_than_it_takes(written, monkeypatch):
    """All rows were parsed for it, at half the speed for them."""
    path = written("1 3:1 7:1\n" * 1000 + "1 8:1\n")
    read = []

    def parts(path):
        for part in whole_lines(path, 200):
            read.append(part.size)
            yield part

    monkeypatch.setattr(svmlight, "whole_lines", parts)
    for n_features, found in ((7, 7), (None, 8)):
        source = from_svmlight(path, n_features=n_features)
        source.blocks(1 << 20)
        assert source.encoding == (found, False)
    assert len(read) > 2
    assert sum(read[1:]) == path.stat().st_size


def test_blocks_have_the_bytes_they_may_have_and_are_the_same_again(tmp_path):
    X, y = random_rows(500)
    path = tmp_path / "rows.svm"
    dump_svmlight_file(X, y, str(path))
    source = from_svmlight(path)
    blocks = list(source.blocks(1000))
    sizes = np.array([12 * block.X.nnz + 8 * block.X.shape[0] for block in blocks])
    assert sizes.max() <= 1000
    assert sizes[:-1].min() > 1000 - 12 * 30 - 8
    for first, second in zip(blocks, source.blocks(1000), strict=True):
        np.testing.assert_array_equal(first.X.toarray(), second.X.toarray())
        np.testing.assert_array_equal(first.y, second.y)
    assert [block.X.shape[0] for block in source.blocks(1)] == [1] * 500
    assert len(list(source.blocks(10**9))) == 1


@pytest.mark.parametrize("buffer_bytes", [2, 17, 1000])
def test_cuts_of_the_reading_change_nothing(written, monkeypatch, buffer_bytes):
    path = written(LINES * 3 + "7 " + " ".join(f"{j}:0.{j}" for j in range(1, 90)) + "\n")
    whole = [bytes(part) for part in whole_lines(path, buffer_bytes)]
    assert b"".join(whole) == path.read_bytes()
    assert all(part.endswith(b"\n") for part in whole)
    monkeypatch.setattr(svmlight, "whole_lines", lambda path, **_: whole_lines(path, buffer_bytes))
    monkeypatch.setattr(svmlight, "MIN_ROWS", 1)
    monkeypatch.setattr(svmlight, "MIN_HARD", 1)
    found, targets = together(from_svmlight(path), 100)
    X, y = load_svmlight_file(str(path))
    np.testing.assert_array_equal(found.toarray(), X.toarray())
    np.testing.assert_array_equal(targets, y)


def test_many_digits_are_left_to_python(written, monkeypatch):
    monkeypatch.setattr(svmlight, "MIN_HARD", 1)
    digits = ["9007199254740993.000000000000000000001", "0.1000000000000000055511151231257827"]
    path = written("".join(f"{one} 1:{one} 2:-{one}\n" for one in digits))
    X, y = together(from_svmlight(path), 30)
    truth = [float(one) for one in digits]
    np.testing.assert_array_equal(y, truth)
    np.testing.assert_array_equal(X.toarray(), [[one, -one] for one in truth])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x 1:1", "the target 'x' is no number"),
        ("1:1 2:3", "the target '1:1' is no number"),
        ("1,2 1:1", "'1,2' are several targets"),
        ("nan 1:1", "'nan' is not finite"),
        ("-inf", "'-inf' is not finite"),
        ("1 1:NaN", "'1:NaN' is not finite"),
        ("1 2:infinity", "'2:infinity' is not finite"),
        ("1 1:1e999", "'1:1e999' is beyond the range of double precision"),
        ("1e999 1:1", "'1e999' is beyond the range"),
        ("1 1:1797693134862315808" + "0" * 290 + "1", "is beyond the range"),
        ("1 3:1 2:1", "index of '2:1' does not rise"),
        ("1 3:1 3:1", "index of '3:1' does not rise"),
        ("1 3", "'3' is not index:value"),
        ("1 3:", "'3:' is not index:value"),
        ("1 3:x", "'3:x' is not index:value"),
        ("1 3:1x", "'3:1x' is not index:value"),
        ("1 -3:1", "'-3:1' is not index:value"),
        ("1 a:1", "'a:1' is not index:value"),
        ("1 qid 1:1", "'qid' is not index:value"),
        ("1 qid3 1:1", "'qid3' is not index:value"),
        ("1 qid: 1:1", "'qid:' is not index:value"),
        ("1 qid:x 1:1", "'qid:x' is not index:value"),
        ("1 qid", "'qid' is not index:value"),
        ("1 1:1\x00", "is not index:value"),
        ("1 1:0.5\x0b", "'\\x0b' is not index:value"),
        ("\x0c", "the target '\\x0c' is no number"),
        ("1 3 :1", "'3' is not index:value"),
        ("1 99999999999999999999:1", "is beyond 2147483647 columns"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(written, line, said):
    path = written("# one\n1 1:1\n\n" + line + "\n2 1:5\n")
    source = from_svmlight([written("5 1:1\n", "first.svm"), path])
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 4: ")) as raised:
        list(source.blocks(1 << 20))
    assert said in str(raised.value)


def test_indices_out_of_range(written):
    path = written("1 1:1\n1 11:1\n")
    with pytest.raises(ValueError, match=r"line 2: the index of '11:1' is beyond 10 columns"):
        list(from_svmlight(path, n_features=10).blocks(100))
    with pytest.raises(ValueError, match=r"line 1: '0:1' has index 0, where the first is 1"):
        list(from_svmlight(written("1 0:1\n"), zero_based=False).blocks(100))


def test_an_index_that_no_memory_is_enough_for(written, monkeypatch):
    """One flipped bit of an index, and 64 GB were asked for, or the process was ended."""
    monkeypatch.setattr(survey, "free_memory", lambda: 1e9)
    path = written("1 1:1\n2 1:1 40000000:1\n")
    model = GDRegressor()
    said = "X has 40,000,000 columns, whose sums alone take 1.28 GB, and 1 GB are free; .* n_feat"
    with pytest.raises(ValueError, match=said):
        model.fit(from_svmlight(path))
    assert not hasattr(model, "n_features_in_")
    with pytest.raises(ValueError, match="line 2: the index of '40000000:1' is beyond 4 columns"):
        model.fit(from_svmlight(path, n_features=4))


@pytest.mark.parametrize("text", ["", "\n\n", "# words\n"])
def test_a_file_without_rows(written, text):
    path = written(text)
    with pytest.raises(ValueError, match=re.escape(f"{path} has no rows")):
        list(from_svmlight([written("1 1:1\n", "one.svm"), path]).blocks(100))


@pytest.mark.parametrize("pack", [gzip, bz2], ids=["gz", "bz2"])
def test_a_packed_file_that_is_cut_off_or_damaged(tmp_path, pack):
    path = tmp_path / f"rows.svm.{'gz' if pack is gzip else 'bz2'}"
    packed = pack.compress(b"1 1:1 2:0.25\n" * 1000)
    for content in (packed[:-15], packed[:30] + b"\0" * 20 + packed[50:], b"1 1:1\n"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            list(from_svmlight(path).blocks(100))


def test_paths_and_parameters(tmp_path, written):
    with pytest.raises(FileNotFoundError, match=r"no file .*absent\.svm"):
        from_svmlight(tmp_path / "absent.svm")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        from_svmlight(str(tmp_path))
    with pytest.raises(ValueError, match="at least one file"):
        from_svmlight([])
    path = written(LINES)
    for paths in (None, 3, b"rows.svm", [path, None], [b"rows.svm"]):
        with pytest.raises(ValueError, match="paths must be a path or a list of paths, got "):
            from_svmlight(paths)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="pipe is a pipe or a device, and a fit"):
            from_svmlight(tmp_path / "pipe")
    for n_features in (0, "2", 2.0, True):
        with pytest.raises(ValueError, match="n_features must be an int from 1"):
            from_svmlight(path, n_features=n_features)
    with pytest.raises(ValueError, match="zero_based must be"):
        from_svmlight(path, zero_based="yes")
    source = from_svmlight(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        list(source.blocks(100))


def test_columns_are_those_of_a_model(written):
    model = from_svmlight(written("1 0:1 5:1\n"))
    list(model.blocks(100))
    encoding = pickle.loads(pickle.dumps(model.encoding))
    path = written("1 2:1\n", "new.svm")
    assert together(from_svmlight(path).encoded_as(encoding))[0].shape == (1, 6)
    found, _ = together(from_svmlight(path, zero_based=False).encoded_as(encoding))
    assert found.toarray().tolist() == [[0, 1, 0, 0, 0, 0]]
    with pytest.raises(ValueError, match=r"3 features .* the model has 6"):
        from_svmlight(path, n_features=3).encoded_as(encoding)


def test_files_without_the_last_columns_of_a_model_of_arrays(written):
    model = GDRegressor().fit(np.eye(6), np.arange(6.0))
    path = written(LINES)
    said = "has 4 features, but GDRegressor is expecting 6 features as input; give n_features=6 to"
    with pytest.raises(ValueError, match=said):
        model.predict(from_svmlight(path))
    assert model.predict(from_svmlight(path, n_features=6)).shape == (4,)
    with pytest.raises(ValueError, match=r"features as input$"):
        model.predict(from_svmlight(written("1 7:1\n")))


def test_a_value_whose_square_overflows_is_told_with_its_line(written):
    """It was told with the first line of its block."""
    path = written("1 1:1\n# one\n\n2 1:2\n3 1:1e200\n4 1:3\n")
    said = f"{path}, line 5: X holds values of up to 1e+200, whose squares overflow"
    for paths in (path, [written("1 1:1\n2 1:1\n", "first.svm"), path]):
        with pytest.raises(ValueError, match=re.escape(said)):
            GDRegressor().fit(from_svmlight(paths))


def test_places_of_a_file_that_is_given_twice(written):
    path = written("1 1:1\n# one\n2 1:2\n3 1:1\n")
    reading = from_svmlight([path, path]).blocks(50)
    assert [block.X.shape[0] for block in reading] == [2, 2, 2]
    places = [reading.place(number, row) for number in range(3) for row in range(2)]
    assert places == [f"{path}, line {one}" for one in (1, 3, 4, 1, 3, 4)]


def test_places(written):
    paths = [written(LINES, "a.svm"), written(LINES, "b.svm")]
    source = from_svmlight(paths)
    reading = source.blocks(50)
    places = [
        reading.place(number, row)
        for number, block in enumerate(reading)
        for row in range(block.X.shape[0])
    ]
    assert places == [f"{path}, line {line}" for path in paths for line in (1, 4, 5, 6)]


@pytest.mark.jit
def test_memory_is_that_of_two_blocks(tmp_path):
    path = tmp_path / "rows.svm"
    path.write_bytes(b"1 1:0.5 2:1 3:2.25 9:1\n-1 4:7\n0.5\n" * 100_000)
    n_bytes = 2_000_000
    source = from_svmlight(path, n_features=9, zero_based=False)
    for _ in source.blocks(n_bytes):  # compiled before it counts
        break
    tracemalloc.start()
    try:
        sizes = [12 * block.X.nnz + 8 * block.X.shape[0] for block in source.blocks(n_bytes)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The block in use and the one being made, each with room for targets and pointers of short
    # rows; and what is read at once.
    assert len(sizes) == 5
    assert peak < 3.5 * n_bytes + 2 * BUFFER_BYTES


def test_files_that_changed_are_looked_at_again(tmp_path):
    path = tmp_path / "rows"
    path.write_text("1 1:1\n")
    sources = [from_svmlight(path), from_svmlight(path, n_features=9, zero_based=False)]
    for source in sources:
        list(source.blocks(1 << 20))
    path.write_text("1 1:1 3:2\n")
    widths = []
    for source in sources:
        source.look_again()
        (block,) = source.blocks(1 << 20)
        widths.append(block.X.shape[1])
    assert widths == [3, 9]


@pytest.mark.parametrize("buffer_bytes", [64, BUFFER_BYTES])
def test_a_reading_may_begin_at_each_block(tmp_path, written, monkeypatch, buffer_bytes):
    monkeypatch.setattr(svmlight, "whole_lines", lambda *a, **b: whole_lines(*a, buffer_bytes, **b))
    X, y = random_rows(40)
    path, packed = tmp_path / "rows.svm", tmp_path / "rows.svm.gz"
    dump_svmlight_file(X, y, str(path))
    source = from_svmlight([written(LINES, "a.svm"), path, written(LINES[:-1], "b.svm")])
    for n_bytes in (100, 1000, 1 << 20):
        n_blocks = len(list(source.blocks(n_bytes)))
        assert check_starts(source, n_bytes) == list(range(n_blocks))
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert check_starts(from_svmlight(packed), 1000) == [0]
    assert len(source.starts(1000)) > 2
    path.write_text("1 1:1\n")  # where blocks begin is no longer known
    assert source.starts(1000) == [0]
