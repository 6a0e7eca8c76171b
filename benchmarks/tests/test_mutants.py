"""Each mistake changes one place, and names tests that exist."""

import pytest
from trust.mutants import MUTANTS, ROOT


@pytest.mark.parametrize(("name", "old", "new", "tests"), MUTANTS)
def test_a_mistake_changes_one_place_and_names_tests(name, old, new, tests):
    source = (ROOT / "skdeepcluster" / name).read_text()
    assert source.count(old) == 1
    compile(source.replace(old, new), name, "exec")
    for test in tests.split():
        file, _, function = test.partition("::")
        assert f"def {function.partition('[')[0]}" in (ROOT / "tests" / file).read_text()
