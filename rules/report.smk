"""A page that answers first, and a page to browse the samples.

Reads pool/, tables/, subsets/, gate/ (or the losses of clean_shares) and duplicates.parquet, as far as the config has
them made, and writes answer.html. Reads pool/samples.parquet, the images and what the methods made of them: votes/, clusters/ and
scores/ (of the first seed) and subsets/; writes explorer.html and, beside it, explorer_images/.
(`snakemake --report` makes the third page of `make report`, and begins with report/workflow.rst.)
"""


report: "../report/workflow.rst"


rule make_answer:
    """Say what the pool is, which subset to take and why, where it is and how to load it."""
    input:
        code=code("make_answer.py"),
        page=page_templates("answer", "page.css"),
        samples="<results>/pool/samples.parquet",
        summary=pool_summary(),
        contamination=contamination_table(),
        duplicates=near_duplicates(),
        gate=first_gate(),
        losses=first_losses(),
        subsets=subset_rows(METHODS),
        composition="<results>/tables/subset_composition.csv",
        compared=compared_tables(),
        budgets=budget_tables(),
    output:
        "<results>/answer.html",
    log:
        "<logs>/make_answer.log",
    conda:
        "../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        run=config["run"],
        subsets=folder_of("subsets"),
        runs=subset_names(METHODS),
        screened="--screened" if screens_pool(config) else "",
        exports=config["export"],
        images=image_locations(),
    shell:
        "python {input.code[0]:q} --run {params.run:q} --samples {input.samples:q} --summary {input.summary:q}"
        " --contamination {input.contamination:q} {params.screened} --duplicates {input.duplicates:q}"
        " --gate {input.gate:q} --losses {input.losses:q} --subsets {params.subsets:q} --runs {params.runs:q}"
        " --composition {input.composition:q} --compared {input.compared:q} --budgets {input.budgets:q}"
        " --exports {params.exports:q} --images {params.images:q} --out {output:q} 2> {log:q}"


rule make_explorer:
    """Put samples, votes, clusters, scores and ranks into one static page."""
    input:
        code=code("make_explorer.py"),
        page=page_templates("explorer", "page.html", "page.css", "page.js", "views.js"),
        samples="<results>/pool/samples.parquet",
        votes=of_first_run("icons", "<results>/votes/seed-{seed}.parquet"),
        clusters=of_first_run(
            "coincide", "<results>/clusters/seed-{seed}/assignments.parquet"
        ),
        scores=list(first_scores().values()),
        subsets=subset_rows(METHODS),
    output:
        page="<results>/explorer.html",
        images=directory("<results>/explorer_images"),
    log:
        "<logs>/make_explorer.log",
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        run=config["run"],
        limit=config["explorer"]["samples"],
        pixels=config["explorer"]["pixels"],
        images=image_locations(),
        max_pixels=config["pool"]["max_pixels"],
        subsets=folder_of("subsets"),
        runs=subset_names(METHODS),
        scores=first_score_flags(),
    shell:
        "python {input.code[0]:q} --run {params.run:q} --limit {params.limit}"
        " --pixels {params.pixels}"
        " --samples {input.samples:q} --images {params.images:q}"
        " --max-pixels {params.max_pixels} --subsets {params.subsets:q} --runs {params.runs:q}"
        " {params.scores} --votes {input.votes:q} --clusters {input.clusters:q}"
        " --out {output.page:q} --out-images {output.images:q} 2> {log:q}"
