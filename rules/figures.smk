"""Figures, each as PNG and SVG, drawn from tables alone.

Reads tables/<table>.csv; writes figures/<figure>.{png,svg}. This file stands by itself: where the
config says that a run is cached, no rule upstream of the tables exists.
"""

if config["cached"]:  # else tables.smk includes it

    include: "reporting.smk"


rule plot_relative_performance:
    """What each method keeps of the performance of the full pool."""
    input:
        code=code("plot_relative_performance.py"),
        performance="<results>/tables/relative_performance.csv",
        seeds="<results>/tables/relative_by_seed.csv",
        scores="<results>/tables/benchmark_scores.csv",
    output:
        png=report(
            "<results>/figures/relative_performance.png",
            caption="../report/relative_performance.rst",
            category="Performance",
        ),
        svg="<results>/figures/relative_performance.svg",
    log:
        "<logs>/plot_relative_performance.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        facts=caption_facts,
    shell:
        "python {input.code[0]:q} --performance {input.performance:q} --seeds {input.seeds:q}"
        " --scores {input.scores:q} --png {output.png:q}"
        " --svg {output.svg:q} 2> {log:q}"


rule plot_performance_by_ratio:
    """The same against the share of the pool that is selected."""
    input:
        code=code("plot_performance_by_ratio.py"),
        performance="<results>/tables/relative_performance.csv",
        seeds="<results>/tables/relative_by_seed.csv",
    output:
        png=report(
            "<results>/figures/performance_by_ratio.png",
            caption="../report/performance_by_ratio.rst",
            category="Performance",
        ),
        svg="<results>/figures/performance_by_ratio.svg",
    log:
        "<logs>/plot_performance_by_ratio.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        facts=caption_facts,
    shell:
        "python {input.code[0]:q} --performance {input.performance:q} --seeds {input.seeds:q}"
        " --png {output.png:q} --svg {output.svg:q} 2> {log:q}"


rule plot_cost:
    """Selection and finetuning time against relative performance."""
    input:
        code=code("plot_cost.py"),
        cost="<results>/tables/cost.csv",
        performance="<results>/tables/relative_performance.csv",
    output:
        png=report(
            "<results>/figures/cost.png",
            caption="../report/cost.rst",
            category="Performance",
        ),
        svg="<results>/figures/cost.svg",
    log:
        "<logs>/plot_cost.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        facts=caption_facts,
    shell:
        "python {input.code[0]:q} --cost {input.cost:q} --performance {input.performance:q}"
        " --png {output.png:q} --svg {output.svg:q} 2> {log:q}"


rule plot_composition:
    """What the subsets are made of."""
    input:
        code=code("plot_composition.py"),
        composition="<results>/tables/subset_composition.csv",
    output:
        png=report(
            "<results>/figures/composition.png",
            caption="../report/composition.rst",
            category="Subsets",
        ),
        svg="<results>/figures/composition.svg",
    log:
        "<logs>/plot_composition.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        facts=caption_facts,
    shell:
        "python {input.code[0]:q} --composition {input.composition:q} --png {output.png:q}"
        " --svg {output.svg:q} 2> {log:q}"


rule plot_votes:
    """How many tasks vote for the samples of the pool."""
    input:
        code=code("plot_votes.py"),
        histogram="<results>/tables/votes_histogram.csv",
    output:
        png=report(
            "<results>/figures/votes.png",
            caption="../report/votes.rst",
            category="Votes",
        ),
        svg="<results>/figures/votes.svg",
    log:
        "<logs>/plot_votes.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        facts=caption_facts,
    shell:
        "python {input.code[0]:q} --histogram {input.histogram:q} --png {output.png:q}"
        " --svg {output.svg:q} 2> {log:q}"


rule plot_task_agreement:
    """How the tasks' influences and votes agree."""
    input:
        code=code("plot_task_agreement.py"),
        agreement="<results>/tables/task_agreement.csv",
    output:
        png=report(
            "<results>/figures/task_agreement.png",
            caption="../report/task_agreement.rst",
            category="Votes",
        ),
        svg="<results>/figures/task_agreement.svg",
    log:
        "<logs>/plot_task_agreement.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        facts=caption_facts,
    shell:
        "python {input.code[0]:q} --agreement {input.agreement:q} --png {output.png:q}"
        " --svg {output.svg:q} 2> {log:q}"


rule plot_contact_sheet:
    """The images with the most and the fewest votes."""
    input:
        code=code("plot_contact_sheet.py"),
        extremes="<results>/tables/vote_extremes.csv",
    output:
        png=report(
            "<results>/figures/contact_sheet.png",
            caption="../report/contact_sheet.rst",
            category="Votes",
        ),
        svg="<results>/figures/contact_sheet.svg",
    log:
        "<logs>/plot_contact_sheet.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        facts=caption_facts,
    shell:
        "python {input.code[0]:q} --extremes {input.extremes:q} --png {output.png:q}"
        " --svg {output.svg:q} 2> {log:q}"


rule plot_clusters:
    """Transferability and density of the clusters, and what is taken of each."""
    input:
        code=code("plot_clusters.py"),
        clusters="<results>/tables/clusters.csv",
    output:
        png=report(
            "<results>/figures/clusters.png",
            caption="../report/clusters.rst",
            category="Clusters",
        ),
        svg="<results>/figures/clusters.svg",
    log:
        "<logs>/plot_clusters.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        facts=caption_facts,
    shell:
        "python {input.code[0]:q} --clusters {input.clusters:q} --png {output.png:q}"
        " --svg {output.svg:q} 2> {log:q}"
