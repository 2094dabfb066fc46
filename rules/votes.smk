"""Votes of the tasks for their most influential samples.

Reads influence/seed-<s>/<task>.parquet of every task that votes (a group in place of its subtasks);
writes votes/seed-<s>.parquet (row, one column per task, votes, mean_rank).
"""

if "icons" in METHODS:

    rule cast_votes:
        """One vote per task for each sample among the top percent of the task's influence."""
        input:
            code=code("cast_votes.py"),
            influence=influence_paths(VOTERS),
        output:
            votes="<results>/votes/seed-{seed}.parquet",
        log:
            "<logs>/cast_votes/seed-{seed}.log",
        benchmark:
            "<costs>/cast_votes/seed-{seed}.jsonl"
        conda:
            "../envs/selection.yaml"
        threads: 1
        resources:
            mem_mb=growing(4000),
            runtime=growing(30),
        params:
            top_percent=top_percent,
        shell:
            "python {input.code[0]:q} --influence {input.influence:q} "
            "--top-percent {params.top_percent} --out {output.votes:q} 2> {log:q}"
