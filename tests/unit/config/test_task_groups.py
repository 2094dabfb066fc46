"""Groups of subtasks in the config's tasks."""

import pytest

from vlselect.config.task_groups import task_groups, voting_tasks

TASKS = {"a": {"group": "g"}, "b": {}, "c": {"group": "g"}, "d": {"group": None}}


def test_groups_list_their_subtasks_in_order():
    assert task_groups(TASKS) == {"g": ["a", "c"]}


def test_a_group_votes_in_place_of_its_subtasks():
    assert voting_tasks(TASKS) == ["g", "b", "d"]


def test_a_group_may_not_bear_a_tasks_name():
    with pytest.raises(ValueError, match=r"tasks\.a\.group: 'b'"):
        task_groups({"a": {"group": "b"}, "b": {}})
