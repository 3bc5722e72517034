"""A report as the tree that Pandoc reads: what it may hold, and what the writers of its formats need to be told.

The tree is asked and not the text, as there are many ways to write a picture, a link or an attribute.
"""

import copy
import re
from collections.abc import Collection, Iterator

ATTRIBUTES = ("alt", "lang", "title", "width")
LINK = re.compile(r"https?://|#", re.IGNORECASE)
LINE = 88  # characters that fit a table's line in a Word document
MARGINS = 3  # characters that fit the margins of a column
SMALL = [["", [], [["custom-style", "Table Text"]]]]  # as `documents.TABLE_TEXT` defines it


def foreign(tree: dict, pictures: Collection[str]) -> list[tuple[str, str]]:
    """What a report with these pictures must not hold: sentences, each with the words to find its place by."""
    found, left = [], list(pictures)
    places = {part[0] for part in parts(tree["blocks"]) if _is_attributes(part)}
    for part in parts(tree["blocks"]):
        if _is_attributes(part):
            acting = [name for name, _ in part[2] if name not in ATTRIBUTES]
            known = ", ".join(ATTRIBUTES)
            found += [(f"an attribute must be one of {known}. Received: {name!r}", name) for name in acting]
        elif isinstance(part, dict) and part["t"] in ("Image", "Link"):
            target = part["c"][2][0]
            if part["t"] == "Link" and not LINK.match(target):
                rule = "a link must begin with https://, http:// or, inside the report, #"
                found.append((f"{rule}. Received: {target!r}", target))
            elif part["t"] == "Link" and target[0] == "#" and target[1:] not in places:
                found.append((f"no heading, figure or table is called so. Received: {target!r}", target))
            elif part["t"] == "Image" and target not in left:
                found.append((f"a picture without figure(): no run stands behind it. Received: {target!r}", target))
            elif part["t"] == "Image":
                left.remove(target)
        elif isinstance(part, dict) and part["t"].startswith("Raw"):
            found.append((f"a report holds no code of {part['c'][0]}", part["c"][1]))
    return found


def alt_texts(tree: dict) -> dict[str, str]:
    """File -> alt text of each picture."""
    images = [part["c"] for part in parts(tree["blocks"]) if isinstance(part, dict) and part["t"] == "Image"]
    return {target: _words(inlines) for _, inlines, (target, _) in images}


def for_word(tree: dict) -> dict:
    """The tree with tables in small letters and columns as wide as what they hold; Word would make all equally wide."""
    tree = copy.deepcopy(tree)
    for part in parts(tree["blocks"]):
        if isinstance(part, dict) and part["t"] == "Table":
            _, _, columns, head, bodies, foot = part["c"]
            rows = [*head[1], *(row for body in bodies for rows in body[2:] for row in rows), *foot[1]]
            texts = zip(*([_words(cell[4]) for cell in row[1]] for row in rows), strict=True)
            for column, share in zip(columns, _shares([list(column) for column in texts]), strict=True):
                column[1] = {"t": "ColWidth", "c": share}
            for cell in (cell for row in rows for cell in row[1]):
                for name in (one for one in parts(cell[4]) if isinstance(one, dict) and one.get("t") == "Code"):
                    name.update(t="Str", c=name["c"][1])  # as code it would stay as large as outside of tables
                cell[4] = [{"t": "Div", "c": [*SMALL, [block | {"t": "Para"} for block in cell[4]]]}]
    return tree


def _shares(columns: list[list[str]]) -> list[float]:
    """Each column's share of a line: what its longest cell needs; where that is too much, at least its longest word."""
    whole = [MARGINS + max(map(len, cells)) for cells in columns]
    least = [MARGINS + max(len(word) for cell in cells for word in re.split(" |(?<=-)", cell)) for cells in columns]
    if sum(whole) > LINE:  # what is left over after the words goes to the columns that lack most
        part = max(0, LINE - sum(least)) / max(1, sum(whole) - sum(least))
        whole = [few + part * (many - few) for few, many in zip(least, whole, strict=True)]
    return [width / max(LINE, sum(whole)) for width in whole]


def parts(node) -> Iterator[list | dict]:
    """A part of the tree and everything in it."""
    if isinstance(node, (list, dict)):
        yield node
        for child in node.values() if isinstance(node, dict) else node:
            yield from parts(child)


def _is_attributes(part) -> bool:
    """Whether a part is the name, the classes and the named attributes of an element."""
    kinds = [type(item) for item in part] if isinstance(part, list) else []
    return kinds == [str, list, list]


def _words(node) -> str:
    """The text of a part, without its look."""
    if isinstance(node, list):
        return "".join(map(_words, node))
    if not isinstance(node, dict):
        return ""
    if node["t"] in ("Space", "SoftBreak", "LineBreak"):
        return " "
    content = node.get("c", "")
    return content if node["t"] == "Str" else content[1] if node["t"] in ("Code", "Math") else _words(content)
