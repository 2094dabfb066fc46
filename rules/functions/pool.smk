"""The pool: where records and images lie, and how records are read.

Functions only.
"""


def image_locations():
    """Return the values of --images for the pool: its location, or <part>=<location> of each part."""
    return data_files.flag_values(config["pool"], "images")


def record_locations():
    """Return the values of --records for the pool."""
    return data_files.flag_values(config["pool"], "records")


def intake_options(wildcards):
    """Return the flags that say how records are read and which are rejected; texts may have braces."""
    keys = data_files.flag_values(config["pool"], "source_key")
    flags = ["--max-pixels", str(config["pool"]["max_pixels"])]
    flags += ["--source-key", *keys] if keys else []
    keys = data_files.flag_values(config["pool"], "id_key")
    flags += ["--id-key", *keys] if keys else []
    flags += link_options()
    forbidden = config["pool"]["forbidden"]
    flags += ["--forbidden", *forbidden] if forbidden else []
    flags += ["--repeated-ids", config["pool"]["repeated_ids"]]
    flags += ["--exclude", *excluded_ids()] if excluded_ids() else []
    if screens_pool(config):
        flags += ["--on-contamination", config["on_contamination"]]
    return shlex.join(flags)


def link_options():
    """Return the flag that says which links out of a folder of images are followed."""
    links = {True: "root", "all": "all"}.get(config["pool"]["follow_links"])
    return ["--follow-links", links] if links else []


def excluded_ids():
    """Return the file of ids that are left out of the pool, if there is one."""
    return [config["pool"]["exclude"]] if config["pool"]["exclude"] else []


def held_out_sets():
    """Return (task, split, file) of every validation and test set."""
    path = "<results>/tasks/{}/{}.parquet".format
    return [
        (task, split, path(task, split))
        for task, settings in config["tasks"].items()
        for split in data_files.SPLITS
        if split in settings
    ]


def held_out_files():
    """Return the files of the validation and test sets."""
    return [path for *_, path in held_out_sets()]


def held_out_flags():
    """Return a --held-out flag for each: task, split, file and the location of its images."""
    flags = []
    for task, split, path in held_out_sets():
        images = data_files.task_images(config, task, split)
        flags += ["--held-out", task, split, in_results(path), images]
    return shlex.join(flags)


def contamination_table():
    """Return the table of copies of held-out records, where they are looked for."""
    wanted = counts_contamination(config)
    return ["<results>/tables/contamination.csv"] if wanted else []


def pool_record_files():
    """Return every file of the pool's records: a change of any makes the pool anew."""
    return [] if "pool" in config["given"] else data_files.pool_files(config["pool"])
