"""The pool: where records and images lie, and how records are read.

Functions only.
"""


def image_locations():
    """Return the values of --images for the pool: its location, or <part>=<location> of each part."""
    return data_files.flag_values(config["pool"], "images")


def record_locations():
    """Return the values of --records for the pool."""
    return data_files.flag_values(config["pool"], "records")


def intake_options():
    """Return the flags that say how records are read and which are rejected."""
    keys = data_files.flag_values(config["pool"], "source_key")
    flags = ["--max-pixels", str(config["pool"]["max_pixels"])]
    flags += ["--source-key", *keys] if keys else []
    keys = data_files.flag_values(config["pool"], "id_key")
    flags += ["--id-key", *keys] if keys else []
    flags += link_options()
    forbidden = config["pool"]["forbidden"]
    flags += ["--forbidden", *forbidden] if forbidden else []
    flags += ["--repeated-ids", config["pool"]["repeated_ids"]]
    return shlex.join(flags)


def link_options():
    """Return the flag that says which links out of a folder of images are followed."""
    links = {True: "root", "all": "all"}.get(config["pool"]["follow_links"])
    return ["--follow-links", links] if links else []


def pool_record_files():
    """Return every file of the pool's records: a change of any makes the pool anew."""
    return [] if "pool" in config["given"] else data_files.pool_files(config["pool"])
