"""Provenance: what a run was made of.

Reads: the config, pool/summary.json (digests of the pool's records), the tasks' files, local models.
Writes: provenance.json (config, seeds, versions, model revisions, commit, digest of every input).
"""


rule write_provenance:
    """Digest every input and write it down beside config, versions and commit."""
    input:
        code=code("write_provenance.py"),
        pins=os.path.relpath(Path(workflow.basedir) / "envs/requirements.txt"),
        inputs=provenance_inputs(),
        pool=pool_summary(),
    output:
        "<results>/provenance.json",
    log:
        "<logs>/write_provenance.log",
    benchmark:
        "<costs>/write_provenance/all.jsonl"
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(30),
    params:
        config=config_as_json,
    shell:
        "python {input.code[0]:q} --config {params.config:q} --pins {input.pins:q}"
        " --inputs {input.inputs:q} --pool {input.pool:q} --out {output:q} 2> {log:q}"
