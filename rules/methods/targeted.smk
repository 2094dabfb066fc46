"""Targeted selection: what single validation samples are most similar to (arXiv 2602.14696).

Reads pool/samples.parquet and gradients/<model>/seed-<s>/{pool,<task>}/ or, where tasks choose by their
means, influence/seed-<s>/<task>.parquet; the seed is the run's, or the one that gradients.warm_up.seed fixes.
With another `representation`, features/<model>/<representation>{,_validation/<task>}/ in their place.
Writes subsets/targeted/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "targeted",
    parameters={
        "representation": {
            "description": "what is compared - lora, projected gradients of a warmed-up model; hidden, hidden states averaged as in RDS+, and output, projected gradients of the output layer, which need neither warm-up nor backward passes (select_targeted)",
            "enum": ["lora", "hidden", "output"],
            "default": "lora",
        },
        "model": {
            "description": "of hidden and output, the model that is run, a name from `models`; null for the first (extract_representation)",
            "type": ["string", "null"],
            "default": None,
        },
        "selector": {
            "description": "round_robin: tasks take turns, inside a task its validation samples; round_robin_tasks: tasks by their mean influence; bids: always the sample that gains one of them most beyond what it has (select_targeted)",
            "enum": ["round_robin", "round_robin_tasks", "bids"],
            "default": "round_robin",
        },
    },
    needs_validation=True,
)

if config["methods"]["targeted"]["representation"] != "lora":
    WITHOUT_GRADIENTS.add("targeted")
    if chooser("targeted") == "round_robin_tasks":
        PROBLEMS.append(
            "methods.targeted.selector: round_robin_tasks goes by influence, which is of stored gradients:"
            " representation lora"
        )


# Let the validation samples choose in turn.
use rule select_subset as select_targeted with:
    input:
        code=code("select_subset.py", "vlselect/methods/targeted.py"),
        samples="<results>/pool/samples.parquet",
        influence=of_run(section_of("targeted"), chosen_influence("targeted")),
        gradients=of_run(section_of("targeted"), chosen_gradients("targeted")),
        validation=of_run(section_of("targeted"), chosen_validation("targeted")),
        limits=limit_files,
    wildcard_constraints:
        method="targeted",
    threads: config["threads"]
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        signals=signal_flags(tables=["influence", "validation"]),
        parameters=parameters("targeted", "selector", tasks=voting_members()),
        threads=config["threads"],
