"""What every notebook in `notebooks/` must keep to, as a function from a file to the list of its faults."""

import ast
import re
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

MOST_LINES, MEAN_LINES, MOST_PARAMETERS = 15, 6, 5
SMOKE = {"BRIEF": "demo", "PROFILE": "smoke", "DATA": ""}
DRAWN = {"demo", "low_level"}  # briefs that need no download at smoke
FOREIGN = {"os", "pathlib", "subprocess", "shutil", "glob"}  # modules for paths and processes
SAVES = {"save_figure", "save_table", "save_value"}
FIND_LIB = 'sys.path.insert(0, "..")'  # lets a notebook find lib where nothing else does; the one path allowed
PATH = re.compile(r"^(~|\.{1,2})?[/\\]|^[A-Za-z]:[\\/]|^\.\.$|^[\w.-]+([/\\][\w.-]+)*[/\\][\w-]+\.\w{2,5}$")


def faults(file: Path) -> list[str]:
    """Sentences on what a notebook breaks; none if it is as it should be."""
    notebook = nbformat.read(file, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    trees = [_parse(cell.source) for cell in cells]
    found = [*_file(file, notebook), *_first_cell(notebook), *_outputs(cells), *_parameters(cells), *_length(cells)]
    if None in trees:
        return [*found, "a code cell is not Python"]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    found += [*_code(nodes), *_paths(nodes, cells), *_results(nodes, file.stem)]
    if not trees or not any(isinstance(node, ast.Assert) for node in ast.walk(trees[-1])):
        found.append("the last code cell asserts nothing")
    return found


def saved_names(file: Path) -> set[tuple[str, str]]:
    """What a notebook saves under a name that stands in its code, e.g. ("save_table", "experiments")."""
    notebook = nbformat.read(file, as_version=4)
    trees = [_parse(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    return set(_saved([node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]))


def _saved(calls: list[ast.Call]) -> list[tuple[str, str]]:
    return [
        (call.func.attr, call.args[0].value)
        for call in calls
        if getattr(call.func, "attr", "") in SAVES and call.args and isinstance(call.args[0], ast.Constant)
    ]


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
    saved = _saved(calls)
    found = [f"{kind} is called twice with {title!r}" for kind, title in set(saved) if saved.count((kind, title)) > 1]
    opened = [
        word.value.value
        for call in calls
        if getattr(call.func, "id", getattr(call.func, "attr", "")) == "open_results"
        for word in call.keywords
        if word.arg == "notebook" and isinstance(word.value, ast.Constant)
    ]
    return sorted(found) + [f"it opens the results of {other}" for other in opened if other != name]
