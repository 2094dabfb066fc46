#!/bin/sh
# Says at once, with the cure, where an environment is of a Python that is gone, changed or too old, and
# where there is none and it would be made by one that is too old. usage: check_python.sh PYTHON FOLDER
python=$1 folder=$2
recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
known() { for v in 3.11 3.12 3.13; do recent "python$v" && echo "PYTHON=python$v" && return; done; echo "PYTHON=<its path>"; }

if [ -e "$folder/bin/python" ] || [ -L "$folder/bin/python" ]; then
    packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' 2>/dev/null)
    first=$(head -n 1 "$folder/bin/pip" 2>/dev/null) # the Python that its programs were made for
    if ! recent "$folder/bin/python" || [ ! -d "$packages" ]; then
        why="is of a Python that is gone, changed or older than 3.11"
    elif [ "${first#\#!/}" != "$first" ] && [ ! -x "${first#\#!}" ]; then
        why="was moved from elsewhere"
    fi
    if [ -n "$why" ]; then
        echo "$folder $why. Make it again: rm -r $folder, then the same command" >&2
        recent "$python" || echo "with $(known) behind it" >&2
        exit 1
    fi
elif ! recent "$python"; then
    version=$("$python" --version 2>&1) || version="no Python that runs"
    echo "$python is $version, and vlselect needs Python 3.11 or later: add $(known)" >&2
    exit 1
fi
