"""D2 pruning: difficulty and diversity by messages between neighbours (arXiv 2310.07931).

Reads pool/samples.parquet and features/<model>/{likelihood,mean_hidden}/; writes
neighbours/d2_pruning/seed-<s>.parquet (row, neighbour_1 to k, squared_1 to k),
scores/d2_pruning/seed-<s>.parquet (row, score) and subsets/d2_pruning/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "d2_pruning",
    parameters={
        "model": {
            "description": "reference model whose hidden states and margins are read, a name from `models` (extract_features)",
            "type": "string",
            "default": "reference",
        },
        "variant": {
            "description": "paper: the score (1 - margin) / 2, difficult samples first, and the highest taken each time; released: the same picks with COINCIDE's score, the margin, easy samples first; coincide: that score and the picks of COINCIDE's program, nearly the plain top of the scores after forward messages (score_d2_pruning, select_d2_pruning)",
            "enum": ["released", "coincide", "paper"],
            "default": "released",
        },
        "k": {
            "description": "nearest neighbours that exchange messages (find_neighbours)",
            "type": "integer",
            "minimum": 1,
            "default": 5,
        },
        "normalise": {
            "description": "scale features to unit length before distances are taken (find_neighbours)",
            "type": "boolean",
            "default": False,
        },
        "gamma_forward": {
            "description": "a neighbour's score is added with the weight exp(-gamma d^2) (score_d2_pruning)",
            "type": "number",
            "minimum": 0,
            "default": 1.0,
        },
        "gamma_reverse": {
            "description": "a chosen sample's score is subtracted from its neighbours' with the weight exp(-gamma d^2) (select_d2_pruning)",
            "type": "number",
            "minimum": 0,
            "default": 0.4,
        },
        "index": {
            "description": "search all pairs, or inverted lists (approximate); auto: all pairs up to 100,000 samples (find_neighbours)",
            "enum": ["auto", "exact", "ivf"],
            "default": "auto",
        },
        "n_lists": {
            "trial": "nearest",
            "description": "inverted lists; null: 4 times the root of the number of samples (find_neighbours)",
            "type": ["integer", "null"],
            "minimum": 1,
            "default": None,
        },
        "n_probe": {
            "description": "inverted lists that each search looks into (find_neighbours)",
            "type": "integer",
            "minimum": 1,
            "default": 32,
        },
        "memory_gb": {
            "description": "GB that the samples may take that lists are made from, at four bytes a value (find_neighbours)",
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 4,
        },
        "seed": {
            "description": "seed of the inverted lists; all pairs (exact) need none; null: that of the run; a number fixes it for all runs, whose intervals then leave its randomness out (find_neighbours)",
            "type": ["integer", "null"],
            "minimum": 0,
            "default": None,
        },
    },
)


rule find_neighbours:
    """The nearest neighbours of every sample: the graph that messages pass on."""
    input:
        code=code("find_neighbours.py"),
        samples="<results>/pool/samples.parquet",
        mean_hidden=gather.pool(
            "<results>/features/{model}/mean_hidden/shard-{scatteritem}.safetensors",
            model=config["methods"]["d2_pruning"]["model"],
        ),
    output:
        "<results>/neighbours/d2_pruning/seed-{seed}.parquet",
    log:
        "<logs>/find_neighbours/seed-{seed}.log",
    benchmark:
        "<costs>/find_neighbours/seed-{seed}.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: config["threads"]
    resources:
        mem_mb=growing(16000),
        runtime=growing(480),
        growth=2,
    params:
        parameters=parameters(
            "d2_pruning",
            "k",
            "normalise",
            "index",
            "n_lists",
            "n_probe",
            "memory_gb",
        ),
        threads=config["threads"],
    shell:
        "python {input.code[0]:q} --samples {input.samples:q} --features {input.mean_hidden:q} "
        "--parameters {params.parameters:q} --seed {wildcards.seed} --threads {params.threads} "
        "--out {output:q} 2> {log:q}"


# Margin or difficulty of every sample, and by closeness those of its neighbours.
use rule score_samples as score_d2_pruning with:
    input:
        code=code("score_samples.py", "vlselect/methods/baselines/d2_pruning.py"),
        samples="<results>/pool/samples.parquet",
        likelihood=gather.pool(
            "<results>/features/{model}/likelihood/shard-{scatteritem}.safetensors",
            model=config["methods"]["d2_pruning"]["model"],
        ),
        neighbours="<results>/neighbours/d2_pruning/seed-{seed}.parquet",
    wildcard_constraints:
        method="d2_pruning",
    params:
        parameters=parameters("d2_pruning", "variant", "gamma_forward"),


# Take the highest again and again, or as COINCIDE's program; each lowers its neighbours.
use rule select_subset as select_d2_pruning with:
    input:
        code=code("select_subset.py", "vlselect/methods/baselines/d2_pruning.py"),
        samples="<results>/pool/samples.parquet",
        scores=of_run("d2_pruning", "<results>/scores/d2_pruning/seed-{seed}.parquet"),
        neighbours=of_run(
            "d2_pruning", "<results>/neighbours/d2_pruning/seed-{seed}.parquet"
        ),
        limits=limit_files,
    wildcard_constraints:
        method="d2_pruning",
    params:
        parameters=parameters("d2_pruning", "variant", "gamma_reverse"),
