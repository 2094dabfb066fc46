"""Votes of the tasks for their most influential samples.

Reads influence/<task>.parquet of every task that votes (a group in place of its subtasks); writes
votes.parquet (row, one column per task, votes, mean_rank).
"""

if "icons" in METHODS:

    rule cast_votes:
        """One vote per task for each sample at or above a percentile of the task's influence."""
        input:
            code=code("cast_votes.py"),
            influence=collect("<results>/influence/{task}.parquet", task=VOTERS),
        output:
            votes="<results>/votes.parquet",
        log:
            "<logs>/cast_votes.log",
        benchmark:
            "<costs>/cast_votes/all.jsonl"
        conda:
            "../envs/selection.yaml"
        threads: 1
        resources:
            mem_mb=growing(4000),
            runtime=growing(30),
        params:
            percentile=vote_percentile,
        shell:
            "python {input.code[0]:q} --influence {input.influence:q} "
            "--percentile {params.percentile} --out {output.votes:q} 2> {log:q}"
