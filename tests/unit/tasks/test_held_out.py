"""Draws by image: disjoint, stable, of the right size."""

import pytest

from vlselect.tasks.held_out import divide, divide_apart, take

NAMES = [f"q{i}" for i in range(20)]
GROUPS = [f"image {i // 3}" for i in range(20)]  # six of three questions, one of two


def groups(rows, of=GROUPS):
    return {of[row] for row in rows}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("validation", [0, 1, 4, 0.25, 12])
def test_no_group_is_in_both(seed, validation):
    chosen, tested = divide(NAMES, GROUPS, validation, "all", seed)
    assert not groups(chosen) & groups(tested)
    assert len(chosen) == (5 if validation == 0.25 else validation)
    assert groups(chosen) | groups(tested) == set(GROUPS)
    assert chosen == sorted(chosen) and tested == sorted(tested)


def test_the_draw_does_not_depend_on_order_or_on_the_other_set():
    chosen, tested = divide(NAMES, GROUPS, 7, 5, 3)
    assert divide(NAMES, GROUPS, 7, 0, 3)[0] == chosen
    backwards = divide(NAMES[::-1], GROUPS[::-1], 7, 5, 3)
    assert [sorted(19 - row for row in rows) for rows in backwards] == [chosen, tested]
    assert set(divide(NAMES, GROUPS, 4, 5, 3)[0]) < set(chosen)
    assert divide(NAMES, GROUPS, 7, 5, 4)[0] != chosen


def test_whole_groups_and_questions_for_the_test_only():
    only_test = [i % 3 > 0 for i in range(20)]
    chosen, tested = divide(NAMES, GROUPS, 3, 8, 0, whole=True, only_test=only_test)
    assert len(chosen) == 3 and not any(only_test[row] for row in chosen)
    assert len(tested) in (6, 8)  # whole groups of three, and maybe that of two
    assert all(row in tested for row in range(20) if GROUPS[row] in groups(tested))


def test_sets_apart_bar_validation_questions_on_test_images():
    ours = ([f"v{i}" for i in range(20)], GROUPS)
    theirs = (NAMES, [f"image {i // 3 + 4}" for i in range(20)])  # 4 to 10: three are in both
    chosen, tested, barred = divide_apart(ours, theirs, "all", "all", 0)
    assert tested == list(range(20)) and barred == list(range(12, 20))
    assert chosen == list(range(12))
    few, tested, _ = divide_apart(ours, theirs, 5, 6, 0)
    assert len(few) == 5 and len(tested) == 6
    assert not groups(few) & groups(tested, theirs[1])
    assert len(groups(few)) > 2  # one by one, not image by image


def test_too_few_questions_are_an_error():
    for sizes in ((21, 0), (10, 19)):
        with pytest.raises(ValueError, match="questions wanted, but there are"):
            divide(NAMES, GROUPS, *sizes, 0)
    with pytest.raises(ValueError, match="test: 2 questions wanted, but there are 0"):
        take([[0, 1, 2]], 2, True, "test")
