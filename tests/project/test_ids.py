"""Names of cases: the same in each process, which `pytest -n 2` needs, and to be read on a line."""

MAX_LENGTH = 250  # scikit-learn's checks of an estimator with four parameters have 229


def test_names_of_cases_hold_no_address_and_no_table(request):
    names = [item.nodeid for item in request.session.items]
    assert [name for name in names if " at 0x" in name or len(name) > MAX_LENGTH] == []
