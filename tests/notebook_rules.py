"""What every notebook in `notebooks/` must keep to, as a function from a file to the list of its faults."""

import ast
import re
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from lib.report.notebooks import colab

MOST_LINES, MEAN_LINES, MOST_PARAMETERS = 15, 6, 5
SMOKE = {"BRIEF": "demo", "PROFILE": "smoke", "DATA": ""}
DRAWN = {"demo", "low_level"}  # briefs that need no download at smoke
FOREIGN = {"os", "pathlib", "subprocess", "shutil", "glob"}  # modules for paths and processes
SAVES = {"save_figure", "save_table", "save_value", "save_values"}
FIND_LIB = 'sys.path.insert(0, "..")'  # lets a notebook find lib where nothing else does; the one path allowed
PATH = re.compile(r"^(~|\.{1,2})?[/\\]|^[A-Za-z]:[\\/]|^\.\.$|^[\w.-]+([/\\][\w.-]+)*[/\\][\w-]+\.\w{2,5}$")


def faults(file: Path) -> list[str]:
    """Sentences on what a notebook breaks; none if it is as it should be."""
    notebook = nbformat.read(file, as_version=4)
    # The cell that gets the code in Colab needs what no other cell may use; a test compares it with what is written.
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id != colab.CELL]
    trees = [_parse(cell.source) for cell in cells]
    found = [*_file(file, notebook), *_first_cell(notebook), *_outputs(cells), *_parameters(cells), *_length(cells)]
    if None in trees:
        return [*found, "a code cell is not Python"]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    found += [*_code(nodes), *_paths(nodes, cells), *_results(nodes, file.stem), *_repeated(trees)]
    if not trees or not any(isinstance(node, ast.Assert) for node in ast.walk(trees[-1])):
        found.append("the last code cell asserts nothing")
    return found


def saved_names(file: Path, *, without: str = "") -> set[tuple[str, str]]:
    """What a notebook saves under a name that stands in its code, e.g. ("save_table", "experiments").

    With the name of an argument, only by calls `without` it.
    """
    notebook = nbformat.read(file, as_version=4)
    return set(_saved([_parse(cell.source) for cell in notebook.cells if cell.cell_type == "code"], without=without))


def _saved(trees: list[ast.Module], *, without: str = "") -> list[tuple[str, str]]:
    found = []
    for tree in trees:
        for call in (node for node in ast.walk(tree) if getattr(getattr(node, "func", None), "attr", "") in SAVES):
            if without in [word.arg for word in call.keywords]:
                continue
            if call.func.attr != "save_values":
                found += [(call.func.attr, name.value) for name in call.args[:1] if isinstance(name, ast.Constant)]
                continue
            prefix = next((word.value for word in call.keywords if word.arg == "prefix"), ast.Constant(""))
            if isinstance(prefix, ast.Constant):
                found += [("save_value", prefix.value + key) for key in _keys(call.args[0], tree)]
    return found


def _keys(values: ast.expr, tree: ast.Module) -> list[str]:
    """Keys that stand in the code of a dict, there or in the same cell where its parts are made."""
    names = {node.id for node in ast.walk(values) if isinstance(node, ast.Name)}
    made = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, (ast.Assign, ast.AugAssign))
        and getattr(node.targets[0] if isinstance(node, ast.Assign) else node.target, "id", "") in names
    ]
    dicts = [node for part in (values, *made) for node in ast.walk(part) if isinstance(node, ast.Dict)]
    return [key.value for node in dicts for key in node.keys if isinstance(key, ast.Constant)]


def _parse(source: str) -> ast.Module | None:
    """Python of a cell; magics and `!` commands become calls of get_ipython()."""
    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return None


def _file(file: Path, notebook: nbformat.NotebookNode) -> list[str]:
    rules = {
        "its name is not numbered like 01_explore.ipynb": re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", file.name),
        "its kernel is not python3": notebook.metadata.get("kernelspec", {}).get("name") == "python3",
        "its language_info is not python": notebook.metadata.get("language_info", {}).get("name") == "python",
        "it holds state of widgets": "widgets" not in notebook.metadata,
    }
    return [fault for fault, holds in rules.items() if not holds]


def _first_cell(notebook: nbformat.NotebookNode) -> list[str]:
    first = notebook.cells[0] if notebook.cells else nbformat.v4.new_code_cell()
    rules = {
        "the first cell is not Markdown with a title": first.cell_type == "markdown" and first.source.startswith("# "),
        "the first cell asks no question": "?" in first.source,
        "the first cell has not 3 to 5 bullets": 3 <= len(re.findall(r"^[-*] ", first.source, re.MULTILINE)) <= 5,
    }
    return [fault for fault, holds in rules.items() if not holds]


def _outputs(cells: list) -> list[str]:
    clean = not any(cell.outputs or cell.execution_count or "execution" in cell.metadata for cell in cells)
    return [] if clean else ["outputs or execution counts are not stripped"]


def _parameters(cells: list) -> list[str]:
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        return [f"{len(tagged)} cells are tagged parameters, not one"]
    tree = _parse(tagged[0].source)
    values = {}
    for node in tree.body if tree else []:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if not isinstance(target, ast.Name) or not isinstance(node.value, ast.Constant):
            return ["the parameters cell holds more than plain values"]
        values[target.id] = node.value.value
    rules = {
        f"the parameters do not begin as {SMOKE}": (SMOKE | {"BRIEF": values.get("BRIEF")}).items() <= values.items(),
        f"BRIEF is none of {', '.join(sorted(DRAWN))}": values.get("BRIEF") in DRAWN,
        f"there are more than {MOST_PARAMETERS} parameters": len(values) <= MOST_PARAMETERS,
    }
    return [fault for fault, holds in rules.items() if not holds]


def _length(cells: list) -> list[str]:
    lines = [[line for line in cell.source.splitlines() if line.strip() and line.strip()[0] != "#"] for cell in cells]
    lengths = [len(code) for code in lines] or [0]
    mean = sum(lengths) / len(lengths)
    found = [f"a cell has {max(lengths)} lines of code"] if max(lengths) > MOST_LINES else []
    return found + ([f"cells have {mean:.1f} lines of code on average"] if mean > MEAN_LINES else [])


def _code(nodes: list[ast.AST]) -> list[str]:
    found = []
    if any(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) for node in nodes):
        found.append("it defines a function or class: that belongs in lib")
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    found += [f"it imports {name}" for name in sorted(imported) if name.split(".")[0] in FOREIGN]
    called = [node.func.attr for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    if "show" in called:
        found.append("it calls show(): save_figure shows figures")
    if {"system", "getoutput", "run_line_magic", "run_cell_magic"} & set(called):
        found.append("it runs a command or magic")
    return found


def _paths(nodes: list[ast.AST], cells: list) -> list[str]:
    allowed = any(FIND_LIB in cell.source for cell in cells)
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    if allowed:
        texts.remove("..")
    return [f"it holds the path {text!r}" for text in texts if PATH.search(text)]


def _results(nodes: list[ast.AST], name: str) -> list[str]:
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    opened = [
        word.value.value
        for call in calls
        if getattr(call.func, "id", getattr(call.func, "attr", "")) == "open_results"
        for word in call.keywords
        if word.arg == "notebook" and isinstance(word.value, ast.Constant)
    ]
    found = [f"it opens the results of {other}" for other in opened if other != name]
    asked = [node for node in nodes if isinstance(node, ast.Name) and node.id == "PROFILE"]
    if len(asked) > 2:  # once set, once given to open_results
        found.append("it uses PROFILE: results.profile is the one that it runs at")
    return found


def _repeated(trees: list[ast.Module]) -> list[str]:
    saved = _saved(trees)
    return sorted(f"{kind} is called twice with {name!r}" for kind, name in set(saved) if saved.count((kind, name)) > 1)
