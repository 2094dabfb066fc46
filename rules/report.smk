"""A page to browse the samples.

Reads pool/samples.parquet, the images and what the methods made of them: votes/, clusters/ and
scores/ (of the first seed) and subsets/; writes explorer.html and, beside it, explorer_images/.
(`snakemake --report` makes the other half of `make report`, and begins with report/workflow.rst.)
"""


report: "../report/workflow.rst"


rule make_explorer:
    """Put samples, votes, clusters, scores and ranks into one static page."""
    input:
        code=code("make_explorer.py"),
        page=explorer_templates(),
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
        images=image_locations(),
        max_pixels=config["pool"]["max_pixels"],
        subsets=folder_of("subsets"),
        runs=subset_names(METHODS),
        scores=first_score_flags(),
    shell:
        "python {input.code[0]:q} --run {params.run:q} --limit {params.limit}"
        " --samples {input.samples:q} --images {params.images:q}"
        " --max-pixels {params.max_pixels} --subsets {params.subsets:q} --runs {params.runs:q}"
        " {params.scores} --votes {input.votes:q} --clusters {input.clusters:q}"
        " --out {output.page:q} --out-images {output.images:q} 2> {log:q}"
