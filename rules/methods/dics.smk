"""DICS: samples whose image, question and answer depend on each other, spread out (arXiv 2608.30209).

Reads pool/samples.parquet and features/<model>/{instruction_gains,last_token}/; writes
scores/dics/seed-<s>.parquet (row, score: the logarithm of the smaller ratio), with `sampler: clusters`
strata/dics/seed-<s>.parquet (row, cluster, distance), and subsets/dics/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "dics",
    parameters={
        "model": {
            "description": "model of the losses and of the hidden states, a name from `models` (extract_instruction_gains)",
            "type": "string",
            "default": "reference",
        },
        "token_weights": {
            "description": "tokens in the losses: content, those of English function words and punctuation weigh a tenth; none, all alike (extract_instruction_gains)",
            "enum": ["content", "none"],
            "default": "content",
        },
        "sampler": {
            "description": "fps: farthest points by last_token, as in the paper; clusters: proportional shares of clusters, which needs less time and memory (select_dics)",
            "enum": ["fps", "clusters"],
            "default": "fps",
        },
        "memory_gb": {
            "description": "GB that the points of fps may take, at four bytes a value, or the samples that the k-means is trained on, at two (select_dics)",
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 4,
        },
        "n_clusters": {"$ref": "#/$defs/n_clusters"},
        "iterations": {"$ref": "#/$defs/kmeans_iterations"},
        "points_per_centroid": {"$ref": "#/$defs/points_per_centroid"},
        "seed": {"$ref": "#/$defs/kmeans_seed"},
        "text_only": {
            "description": "samples without an image: ranked by a ratio of 1, as in the paper, their proportional share drawn at random, or drop (select_dics)",
            "enum": ["ranked", "proportional", "drop"],
            "default": "ranked",
        },
    },
)


# Clusters of the samples, for the sampler `clusters`.
use rule cluster_samples as cluster_dics with:
    input:
        code=code("cluster_samples.py"),
        samples="<results>/pool/samples.parquet",
        features=gather.pool(
            "<results>/features/{model}/last_token/shard-{scatteritem}.safetensors",
            model=config["methods"]["dics"]["model"],
        ),
    wildcard_constraints:
        method="dics",
    resources:
        mem_mb=growing(16000),
        runtime=growing(480),
        growth=2,
    params:
        parameters=parameters(
            "dics", "n_clusters", "iterations", "points_per_centroid", "memory_gb"
        ),


# The smaller of the two ratios of losses.
use rule score_samples as score_dics with:
    input:
        code=code("score_samples.py", "vlselect/methods/dics.py"),
        samples="<results>/pool/samples.parquet",
        instruction_gains=gather.pool(
            "<results>/features/{model}/instruction_gains/shard-{scatteritem}.safetensors",
            model=config["methods"]["dics"]["model"],
        ),
    wildcard_constraints:
        method="dics",


# Sample among the highest scores.
use rule select_subset as select_dics with:
    input:
        code=code("select_subset.py", "vlselect/methods/dics.py"),
        samples="<results>/pool/samples.parquet",
        scores=of_run("dics", "<results>/scores/dics/seed-{seed}.parquet"),
        clusters=branch(
            config["methods"]["dics"]["sampler"] == "clusters",
            then=of_run("dics", "<results>/strata/dics/seed-{seed}.parquet"),
            otherwise=[],
        ),
        last_token=branch(
            config["methods"]["dics"]["sampler"] == "fps",
            then=gather.pool(
                "<results>/features/{model}/last_token/shard-{scatteritem}.safetensors",
                model=config["methods"]["dics"]["model"],
            ),
            otherwise=[],
        ),
        limits=limit_files,
    wildcard_constraints:
        method="dics",
    threads: config["threads"]
    resources:
        mem_mb=growing(16000),
        runtime=growing(480),
        growth=2,
    params:
        parameters=parameters("dics", "sampler", "memory_gb", "text_only"),
        threads=config["threads"],
