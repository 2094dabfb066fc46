"""Exports: which subsets are written for which training programs, and with what code.

Functions only.
"""

from vlselect.core import registry


def export_files():
    """Return every experiment's subsets in every format that the config names."""
    path = "<results>/exports/{method}/{budget}_seed-{seed}/{format}"
    paths = {path.format(**r, format=name) for r in RUNS for name in config["export"]}
    return [*budget_checks(), *sorted(paths)] if paths else []


def card_code(wildcards):
    """Return the script that writes cards, and the module whose first line describes the method."""
    return code("write_card.py", registry.source("method", wildcards.method))


def card_sections(wildcards):
    """Return the sections of the config that a method's choice depends on, beside its own."""
    jobs = jobs_of_subset("{method}/{budget}_seed-{seed}".format(**wildcards))
    made = {cost for rule, cost in jobs if rule in ("warm_up", "gate_samples")}
    sections = {"gradients": "warm_up/gradients/", "proxy": "warm_up/proxy/"}
    sections["gate"] = "gate_samples/"
    return [
        s for s, start in sections.items() if any(c.startswith(start) for c in made)
    ]


def export_code(wildcards):
    """Return the script that exports, and the module of the format."""
    return code("export_subset.py", f"vlselect/subsets/exports/{wildcards.format}.py")
