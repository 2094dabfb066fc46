"""Programs import the modules that they use: in most tests the libraries are there already.

`import a` is not enough for `a.b.c`, if a.b is a module that a does not import itself.
"""

import ast
import importlib.util
import itertools
import subprocess
import sys

from running import ROOT

CHECK = """
import importlib, sys
for name in sorted(sys.argv[1:], key=lambda name: name.count(".")):
    importlib.import_module(name.rpartition(".")[0])
    value = sys.modules[name.partition(".")[0]]
    try:
        for part in name.split(".")[1:]:
            value = getattr(value, part)
    except AttributeError:
        print(name)
"""


def attributes(node):
    """Return the names of an attribute of attributes of a name, as a, b and c of a.b.c."""
    names = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else []


def unimported(text):
    """Return the modules that a text uses as attributes of a package and does not import."""
    bound, imported = {}, set()  # what a name stands for
    nodes = [*ast.walk(ast.parse(text))]
    for node in nodes:
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
            tops = {alias.name.partition(".")[0] for alias in node.names if not alias.asname}
            bound |= {top: top for top in tops}
            bound |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported.add(node.module)
            bound |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    reached = {name[:i] for name in imported for i, sign in enumerate(name) if sign == "."}
    used = set()
    for first, *names in filter(None, map(attributes, nodes)):
        if first in bound:
            paths = itertools.accumulate([bound[first], *names], "{}.{}".format)
            used |= {*itertools.takewhile(is_module, paths)} - {bound[first]}
    return used - imported - reached


def is_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):  # the name before it is no package, or no module
        return False


def test_modules_that_a_package_does_not_import_are_imported():
    used = {}
    for path in sorted((ROOT / "scripts").rglob("*.py")):
        for name in unimported(path.read_text(encoding="utf-8")):
            used.setdefault(name, []).append(path.name)
    assert {"torch.optim", "pyarrow.ipc", "numpy.random"} <= used.keys()  # as a rule they are there
    missing = []
    for _, names in itertools.groupby(sorted(used), lambda name: name.partition(".")[0]):
        command = [sys.executable, "-c", CHECK, *names]
        missing += subprocess.check_output(command, text=True).split()
    assert {name: used[name] for name in missing} == {}


def test_what_is_used_without_an_import_is_found():
    text = "import json.decoder, os\nimport xml as x\nfrom email import mime\n"
    text += "json.decoder.JSONDecoder, json.encoder, x.dom.minidom.parse, mime.text, os.path.join"
    assert unimported(text) == {
        *("json.encoder", "xml.dom", "xml.dom.minidom", "email.mime.text", "os.path")
    }
    said = subprocess.check_output([sys.executable, "-c", CHECK, "xml.dom", "json.encoder"])
    assert said.decode().split() == ["xml.dom"]
