"""Figures, each as PNG and SVG, drawn from tables alone.

Reads tables/<table>.csv, budgets.csv only where some budget is no ratio; writes figures/<figure>.{png,svg}. No rule
upstream of the tables is needed: where the config says that a run is cached, there is none. The first rule is spelled out;
the others differ from it in what they read and write.
"""


rule plot_composition:
    """What the subsets are made of."""
    input:
        code=code("plot_composition.py"),
        budgets=budget_tables(),
        composition="<results>/tables/subset_composition.csv",
    output:
        png=report(
            "<results>/figures/composition.png",
            caption="../report/composition.rst",
            category="Subsets",
            labels=figure_labels,
        ),
        svg="<results>/figures/composition.svg",
    log:
        "<logs>/plot_composition.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        tables=table_flags,
        methods=shown_methods(),
        facts=experiments.describe_runs(RUNS),
    shell:
        "python {input.code[0]:q} {params.tables} --budgets {input.budgets:q} --methods {params.methods:q}"
        " --png {output.png:q} --svg {output.svg:q} 2> {log:q}"


use rule plot_composition as plot_overlap with:
    input:
        code=code("plot_overlap.py"),
        budgets=budget_tables(),
        overlap="<results>/tables/subset_overlap.csv",
    output:
        png=report(
            "<results>/figures/overlap.png",
            caption="../report/overlap.rst",
            category="Subsets",
            labels=figure_labels,
        ),
        svg="<results>/figures/overlap.svg",
    log:
        "<logs>/plot_overlap.log",


use rule plot_composition as plot_score_distribution with:
    input:
        code=code("plot_score_distribution.py"),
        budgets=budget_tables(),
        distribution="<results>/tables/score_distribution.csv",
    output:
        png=report(
            "<results>/figures/score_distribution.png",
            caption="../report/score_distribution.rst",
            category="Subsets",
            labels=figure_labels,
        ),
        svg="<results>/figures/score_distribution.svg",
    log:
        "<logs>/plot_score_distribution.log",


use rule plot_composition as plot_relative_performance with:
    input:
        code=code("plot_relative_performance.py"),
        budgets=budget_tables(),
        performance="<results>/tables/relative_performance.csv",
        seeds="<results>/tables/relative_by_seed.csv",
        scores="<results>/tables/benchmark_scores.csv",
        comparison="<results>/tables/comparison_with_random.csv",
    output:
        png=report(
            "<results>/figures/relative_performance.png",
            caption="../report/relative_performance.rst",
            category="Performance",
            labels=figure_labels,
        ),
        svg="<results>/figures/relative_performance.svg",
    log:
        "<logs>/plot_relative_performance.log",


use rule plot_composition as plot_performance_by_ratio with:
    input:
        code=code("plot_performance_by_ratio.py"),
        budgets=budget_tables(),
        performance="<results>/tables/relative_performance.csv",
        seeds="<results>/tables/relative_by_seed.csv",
    output:
        png=report(
            "<results>/figures/performance_by_ratio.png",
            caption="../report/performance_by_ratio.rst",
            category="Performance",
            labels=figure_labels,
        ),
        svg="<results>/figures/performance_by_ratio.svg",
    log:
        "<logs>/plot_performance_by_ratio.log",


use rule plot_composition as plot_cost with:
    input:
        code=code("plot_cost.py"),
        budgets=budget_tables(),
        cost="<results>/tables/cost.csv",
        performance="<results>/tables/relative_performance.csv",
    output:
        png=report(
            "<results>/figures/cost.png",
            caption="../report/cost.rst",
            category="Performance",
            labels=figure_labels,
        ),
        svg="<results>/figures/cost.svg",
    log:
        "<logs>/plot_cost.log",


use rule plot_composition as plot_votes with:
    input:
        code=code("plot_votes.py"),
        budgets=budget_tables(),
        histogram="<results>/tables/votes_histogram.csv",
    output:
        png=report(
            "<results>/figures/votes.png",
            caption="../report/votes.rst",
            category="Votes",
            labels=figure_labels,
        ),
        svg="<results>/figures/votes.svg",
    log:
        "<logs>/plot_votes.log",


use rule plot_composition as plot_task_agreement with:
    input:
        code=code("plot_task_agreement.py"),
        budgets=budget_tables(),
        agreement="<results>/tables/task_agreement.csv",
    output:
        png=report(
            "<results>/figures/task_agreement.png",
            caption="../report/task_agreement.rst",
            category="Votes",
            labels=figure_labels,
        ),
        svg="<results>/figures/task_agreement.svg",
    log:
        "<logs>/plot_task_agreement.log",


use rule plot_composition as plot_contact_sheet with:
    input:
        code=code("plot_contact_sheet.py"),
        budgets=budget_tables(),
        extremes="<results>/tables/vote_extremes.csv",
    output:
        png=report(
            "<results>/figures/contact_sheet.png",
            caption="../report/contact_sheet.rst",
            category="Votes",
            labels=figure_labels,
        ),
        svg="<results>/figures/contact_sheet.svg",
    log:
        "<logs>/plot_contact_sheet.log",


use rule plot_composition as plot_clusters with:
    input:
        code=code("plot_clusters.py"),
        budgets=budget_tables(),
        clusters="<results>/tables/clusters.csv",
    output:
        png=report(
            "<results>/figures/clusters.png",
            caption="../report/clusters.rst",
            category="Clusters",
            labels=figure_labels,
        ),
        svg="<results>/figures/clusters.svg",
    log:
        "<logs>/plot_clusters.log",
