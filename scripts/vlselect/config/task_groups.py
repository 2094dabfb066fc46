"""Tasks that are made of subtasks: the groups, and the tasks that vote.

Imported by the workflow: standard library only.
"""

from collections.abc import Mapping

from vlselect.core.errors import InputError


def task_groups(tasks: Mapping[str, Mapping]) -> dict[str, list[str]]:
    """Return the groups that tasks name under ``group``.

    Parameters
    ----------
    tasks : mapping of task to its settings
        The config's section ``tasks``.

    Returns
    -------
    dict of group to the names of its subtasks
        Both in the config's order.

    Raises
    ------
    ValueError
        If a group bears the name of a task.
    """
    groups: dict[str, list[str]] = {}
    for task, settings in tasks.items():
        group = settings.get("group")
        if group is None:
            continue
        if group in tasks:
            raise InputError(f"tasks.{task}.group: {group!r} is also the name of a task")
        groups.setdefault(group, []).append(task)
    return groups


def voting_tasks(tasks: Mapping[str, Mapping]) -> list[str]:
    """Return the tasks that vote: those without a group, and groups in place of their subtasks.

    A group stands where its first subtask stands in the config.
    """
    return list(dict.fromkeys(settings.get("group") or task for task, settings in tasks.items()))
