"""Exports: which subsets are written for which training programs, and how to tell a job so.

Functions only, for the Snakefile and rules/exports.smk.
"""

from vlselect.core import registry


def export_files():
    """Every experiment's subsets in every format that the config names."""
    path = "<results>/exports/{method}/{budget}_seed-{seed}/{format}"
    runs = experiment_runs()
    paths = {path.format(**r, format=name) for r in runs for name in config["export"]}
    return [*budget_checks(), *sorted(paths)] if paths else []


def card_code(wildcards):
    """The script that writes cards, and the module of the method, whose first line says what it does."""
    return code("write_card.py", f"vlselect/methods/{wildcards.method}.py")


def card_sections(wildcards):
    """Sections of the config that a method's choice depends on, beside its own entry."""
    jobs = jobs_of_subset("{method}/{budget}_seed-{seed}".format(**wildcards))
    return ["gradients"] if "collect_gradients" in {rule for rule, *_ in jobs} else []


def export_code(wildcards):
    """The script that exports, and the module of the format."""
    return code("export_subset.py", f"vlselect/subsets/exports/{wildcards.format}.py")
