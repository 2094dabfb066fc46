"""MCL: samples whose texts cover the pool's concepts, the rare and connected first (arXiv 2608.22858).

Reads pool/samples.parquet alone; writes concepts/{samples,vocabulary}.parquet (row, concepts; type,
text, samples, degree, importance) and subsets/mcl/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "mcl",
    parameters={
        "tagger": {
            "description": "pipeline of spaCy that tells nouns, verbs, adjectives and adverbs, as in the paper, a name or a folder; spaCy is not among the pinned packages; null: all words but function words of English, of one type (extract_concepts)",
            "type": ["string", "null"],
            "minLength": 1,
            "default": None,
        },
        "pairs": {
            "description": "words of a question together with its answer are concepts, too: for pools of short answers and few words (extract_concepts)",
            "type": "boolean",
            "default": False,
        },
        "min_samples": {
            "description": "samples that a concept has to be in at least; 1 lets typing errors count, the rarest words of all (extract_concepts)",
            "type": "integer",
            "minimum": 1,
            "default": 2,
        },
        "cover": {
            "description": "what a covered concept is worth - rounds: nothing, as in the paper, until no sample adds anything and all are worth as much as at first; concave: less each time (select_mcl)",
            "enum": ["rounds", "concave"],
            "default": "rounds",
        },
    },
)


rule extract_concepts:
    """Find the concepts of every sample from its text, and how important each one is."""
    input:
        code=code("extract_concepts.py"),
        samples="<results>/pool/samples.parquet",
    output:
        samples="<results>/concepts/samples.parquet",
        vocabulary="<results>/concepts/vocabulary.parquet",
    log:
        "<logs>/extract_concepts.log",
    benchmark:
        "<costs>/extract_concepts/all.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        concepts=concept_flags(),
    shell:
        "python {input.code[0]:q} --samples {input.samples:q} {params.concepts}"
        " --out-samples {output.samples:q} --out-vocabulary {output.vocabulary:q} 2> {log:q}"


# Add the sample that adds most to the cover, and so on.
use rule select_subset as select_mcl with:
    input:
        code=code("select_subset.py", "vlselect/methods/mcl.py"),
        samples="<results>/pool/samples.parquet",
        concepts="<results>/concepts/samples.parquet",
        vocabulary="<results>/concepts/vocabulary.parquet",
        limits=limit_files,
    wildcard_constraints:
        method="mcl",
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        parameters=parameters("mcl", "cover"),
