"""What a change of each key of the config reaches first, in chains of changes (test_every_key.py).

A chain is a list of lines: the rules that are reached, and the keys that reach them, in the order
in which they are changed. Each change is made on top of those before it.
"""

from running import ROOT

from vlselect.config.yaml_files import read_yaml

BASE = read_yaml(ROOT / "tests/support/every_key.yaml")
FIXED = {  # what the schema allows one value for
    "methods.self_filter.finetune.adapter",
    *(f"methods.self_filter.finetune.{key}" for key in ("processes", "save_steps", "workers")),
}
ALL = (  # with what is made on request only
    "all",
    "make_answer",
    "make_explorer",
    "results/base/merged/target/random/ratio-0.2_seed-0",
    "results/base/subsets/icons/ratio-0.2_seed-0.md",
)

CHOSEN = (
    "select_prism select_mcl "
    "select_random select_icons select_targeted select_clean_shares select_coincide"
    " select_scalselect select_clip_score select_el2n select_perplexity select_semdedup"
    " select_d2_pruning select_self_sup select_self_filter"
    " select_visnec select_dics select_magic"
)
FINETUNE = (
    "rank alpha dropout target_modules train_modules freeze epochs max_steps learning_rate"
    " warmup_ratio scheduler batch_size gradient_accumulation weight_decay max_grad_norm betas bf16"
    " gradient_checkpointing deterministic"
)


def below(section: str, keys: str) -> str:
    """Put a section before each of the keys."""
    return " ".join(f"{section}.{key}" for key in keys.split())


# What a change reaches first: the keys that reach it, in the order in which they are changed.
MAIN = [
    # What decides on no result.
    ("", "container models.target.workers on_refused"),
    ("check_budgets", "pool.max_rejected"),
    (
        "prepare_pool",
        "pool.records pool.forbidden pool.repeated_ids pool.id_key pool.exclude",
    ),
    (
        "prepare_pool prepare_task",
        "pool.source_key pool.max_pixels pool.images pool.follow_links",
    ),
    ("check_samples", "pool.shards"),
    ("prepare_task", "tasks.alpha.validation tasks.alpha.test tasks.alpha.images"),
    ("check_tests answer_by_majority", "tasks.alpha.metric"),
    ("check_tests answer_by_majority", "tasks.alpha.metric_options"),
    ("run_benchmarks run_benchmarks_pretrained", "tasks.alpha.max_new_tokens"),
    ("run_benchmarks run_benchmarks_pretrained", "generate.max_new_tokens"),
    ("run_benchmarks", "generate.merge_adapters"),
    ("compute_influence", "tasks.left.group methods.icons.keep_matrix"),
    (
        "make_task",
        below("tasks.vqa.build", "questions annotations image validation test seed limit prompt"),
    ),
    ("make_task", "tasks.science.build.splits tasks.science.build.split"),
    ("prepare_task", "tasks.science.build.images"),
    (
        "make_task",
        "tasks.circles.build.circular tasks.circles.build.language tasks.plain.build.layout",
    ),
    (
        "check_samples check_tasks",
        below("models.target", "path max_length template_date trust_remote_code"),
    ),
    (
        "extract_features extract_attention warm_up train_score_net finetune_model"
        " run_benchmarks_pretrained",
        "models.target.dtype models.target.tf32 models.target.device",
    ),
    (
        "extract_features warm_up train_score_net finetune_model run_benchmarks_pretrained",
        "models.target.attention",
    ),
    (
        "extract_features extract_attention collect_gradients collect_validation_gradients"
        " run_benchmarks run_benchmarks_pretrained",
        "models.target.batch_size models.target.batch_tokens",
    ),
    ("export_subset make_answer", "export"),
    ("prepare_pool", "on_contamination"),  # which waits for the tasks from then on
    ("make_explorer", "explorer.samples explorer.pixels"),
    ("tabulate_budgets select_random", "token_model"),
    ("check_samples check_tasks", "threads"),
]
TRAINING = [
    # What decides on no result.
    ("", below("finetune", "cache_mb workers save_steps")),
    ("", below("gradients.warm_up.finetune", "cache_mb workers save_steps")),
    ("", "methods.self_filter.finetune.cache_mb"),
    ("finetune_model", below("finetune", FINETUNE)),
    ("finetune_model", "finetune.processes"),
    ("warm_up", below("gradients.warm_up.finetune", FINETUNE + " processes")),
    ("train_score_net", below("methods.self_filter.finetune", FINETUNE)),
]
CHOICE = [
    ("check_samples", "models.reference.path models.hub.revision"),
    (
        "extract_features extract_gains extract_instruction_gains extract_signatures",
        "models.reference.dtype",
    ),
    ("list_refused", "models.clip.path"),  # which has been checked as `reference`
    ("extract_clip", "models.clip.dtype"),
    ("extract_features", "features.variant features.layers"),
    ("extract_attention", below("features.attention", "instruction layer mass")),
    ("warm_up", "gradients.warm_up.fraction gradients.warm_up.seed gradients.precondition"),
    (
        "collect_gradients collect_validation_gradients",
        below("gradients.projection", "type dim seed nonzeros implementation"),
    ),
    ("collect_validation_gradients", "gradients.normalise_subtasks"),
    ("find_span", "gradients.store gradients.span"),
    ("cast_votes", "methods.icons.top_percent"),
    ("select_icons", "methods.icons.tie_break methods.icons.aggregator"),
    ("select_targeted", "methods.targeted.selector"),
    ("select_clean_shares", "methods.clean_shares.within methods.clean_shares.power"),
    (
        "extract_representation extract_validation_representation",
        "methods.targeted.representation features.hidden.positions",
    ),
    ("extract_representation check_tasks", "methods.targeted.model"),
    (
        "cluster_activations",
        below(
            "methods.coincide",
            "n_clusters iterations points_per_centroid memory_gb device on_collapse seed model",
        ),
    ),
    ("summarise_clusters", below("methods.coincide", "variant max_cosine sigma")),
    ("select_coincide", "methods.coincide.temperature"),
    ("score_scalselect", "methods.scalselect.energy"),
    ("select_scalselect", "methods.scalselect.text_only"),
    ("extract_attention", "methods.scalselect.model"),
    ("extract_concepts", below("methods.mcl", "pairs min_samples tagger")),
    ("select_mcl", "methods.mcl.cover"),
    ("extract_visual", "methods.prism.layer"),
    ("score_prism", "methods.prism.variant"),
    ("select_prism", "methods.prism.text_only"),
    ("extract_visual", "methods.prism.model"),
    ("select_clip_score", "methods.clip_score.text_only"),
    ("extract_clip", "methods.clip_score.model"),
    ("score_el2n", "methods.el2n.model"),
    ("select_el2n", "methods.el2n.keep"),
    ("score_perplexity", "methods.perplexity.model"),
    ("select_perplexity", "methods.perplexity.keep"),
    (
        "score_semdedup",
        below(
            "methods.semdedup",
            "n_clusters iterations points_per_centroid memory_gb first seed model",
        ),
    ),
    (
        "find_neighbours",
        below("methods.d2_pruning", "k normalise n_lists n_probe memory_gb seed model index"),
    ),
    ("score_d2_pruning", "methods.d2_pruning.variant methods.d2_pruning.gamma_forward"),
    ("select_d2_pruning", "methods.d2_pruning.gamma_reverse"),
    (
        "score_self_sup",
        below("methods.self_sup", "n_clusters iterations points_per_centroid memory_gb seed model"),
    ),
    ("select_self_sup", "methods.self_sup.keep"),
    (
        "train_score_net",
        below("methods.self_filter", "variant fraction net_learning_rate initial_spread seed"),
    ),
    ("train_score_net", "methods.self_filter.model"),
    ("extract_clip", "methods.self_filter.clip"),
    ("select_self_filter", below("methods.self_filter", "gamma neighbours negative")),
    (
        "cluster_visnec",
        below("methods.visnec", "n_clusters iterations points_per_centroid memory_gb"),
    ),
    ("cluster_visnec score_visnec", "methods.visnec.seed"),
    ("extract_gains", "methods.visnec.model"),
    ("select_visnec", "methods.visnec.text_only"),
    ("extract_instruction_gains", "methods.dics.token_weights"),
    ("select_dics", "methods.dics.memory_gb methods.dics.text_only"),
    (
        "cluster_dics",
        below("methods.dics", "sampler n_clusters iterations points_per_centroid"),
    ),
    ("cluster_dics score_dics", "methods.dics.seed"),
    ("cluster_dics extract_instruction_gains", "methods.dics.model"),
    (
        "select_magic",
        below("methods.magic", "keep candidates temperature cap neurons text_only"),
    ),
    ("score_magic", "methods.magic.balance"),
    ("extract_signatures", "methods.magic.layers methods.magic.model"),
    ("check_budgets gate_samples", "gate.share"),
    (f"check_budgets {CHOSEN}", below("constraints", "keep exclude minimum maximum quota")),
    (
        "find_near_duplicates",
        below("constraints.duplicates", "cosine n_probe memory_gb kind model"),
    ),
]
CAPTIONS = "plot_contact_sheet plot_score_distribution plot_task_agreement plot_votes"
BUDGETS = "check_budgets tabulate_budgets select_random"
RUNS = [
    ("finetune_model", "finetune.adapter"),
    (f"{BUDGETS} select_icons select_el2n", "ratios samples tokens"),
    ("warm_up select_full select_random select_el2n", "seeds"),
    (BUDGETS, below("experiments.small", "ratios samples tokens")),
    (f"select_random {CAPTIONS}", "experiments.small.seeds"),
    ("warm_up", "experiments.small.methods"),
    ("collect_gradients collect_validation_gradients", "gradients.representation"),
    ("warm_up", "gradients.warm_up.finetune.adapter"),
    ("check_tasks list_refused", "gradients.model"),
    ("check_tasks finetune_model plot_score_distribution", "experiments.small.models"),
]
WARMING_UP = [
    ("", below("proxy.warm_up.finetune", "cache_mb workers save_steps")),
    ("warm_up", below("proxy.warm_up.finetune", FINETUNE + " processes")),
]
PROXIED = [
    ("warm_up", "proxy.warm_up.fraction proxy.warm_up.seed"),
    ("collect_gradients collect_validation_gradients", "proxy.positions proxy.representation"),
    ("warm_up", "proxy.warm_up.finetune.adapter"),
    ("check_tasks list_refused", "proxy.model"),
]
MIXTURE = [("prepare_pool", below("pool.sources.one", "records images source_key id_key"))]
LMMS_EVAL = [
    (
        "run_lmms_eval run_lmms_eval_pretrained",
        below("evaluation.lmms_eval", "adapter arguments python"),
    )
]
DIGITS = [
    ("make_digits", below("digits", "mixture noise duplicates validation test")),
    ("pretrain_vision", "digits.vision_scenes"),
    ("pretrain_base", "digits.base_samples digits.lookup"),
    ("make_digits pretrain_vision", "digits.seed"),
]
QUANTISED = [("warm_up finetune_model run_benchmarks_pretrained", "models.target.quantisation")]
OTHER_RUN = [("*", "run trial")]
CACHED = [("tabulate_costs", "given"), ("", "cached")]  # the cost of what is given is not known

USED = ("random", "icons", "scalselect", "perplexity", "clip_score", "self_filter")
LARGE = {  # with what uses models
    "methods": {name: BASE["methods"][name] for name in USED},
    "experiments": {
        "main": {"methods": list(USED)},
        "counted": {"methods": ["random"], "tokens": [100]},
    },
}
SMALL = {
    "tasks": {name: BASE["tasks"][name] for name in ("alpha", "left")},
    "methods": {name: BASE["methods"][name] for name in ("full", "random", "icons", "el2n")},
    "constraints": {},
    "experiments": {
        "main": {"methods": ["full", "random", "icons", "el2n"]},
        "small": BASE["experiments"]["small"],
    },
}
TRAINED = SMALL | {
    "methods": {name: {} for name in ("random", "icons", "self_filter")},
    "experiments": {"main": {"methods": ["random", "icons", "self_filter"]}},
}
BY_PROXY = SMALL | {
    "methods": {"random": {}, "clean_shares": {}},
    "experiments": {"main": {"methods": ["random", "clean_shares"]}},
    "gate": {},
    "proxy": {"model": "target"},
}
TASK = {"validation": "data/validation.json", "test": "data/test.json", "images": "data/images"}
ONE = {"records": "data/pool.json", "images": "data/images", "source_key": "task"}
MADE = "results/base"
CHAINS = {  # changes, sections of the base that they are made on, targets
    "main": (MAIN, LARGE, ALL),
    "training": (TRAINING, TRAINED, ("all",)),
    "choice": (CHOICE, {"tasks": SMALL["tasks"], "gate": {}}, ("subsets",)),
    "runs": (RUNS, SMALL, ALL),
    "warming up": (WARMING_UP, BY_PROXY, ("subsets",)),
    "proxied": (PROXIED, BY_PROXY, ("subsets",)),
    "mixture": (
        MIXTURE,
        SMALL | {"pool": {"sources": {"one": ONE}}, "tasks": {"alpha": TASK}},
        ALL,
    ),
    "lmms_eval": (LMMS_EVAL, SMALL | {"evaluation": {"lmms_eval": {}}}, ("all",)),
    "digits": (
        DIGITS,
        SMALL
        | {
            "digits": {"mixture": {"counting": 5}},
            "pool": {"records": f"{MADE}/raw/mixture.json", "images": f"{MADE}/raw/images"},
            "models": BASE["models"] | {"target": {"path": f"{MADE}/models/base"}},
        },
        ALL,
    ),
    "quantised": (QUANTISED, SMALL, ("all",)),
    "other run": (OTHER_RUN, SMALL, ("all",)),
    "cached": (CACHED, SMALL, ("all",)),
}
