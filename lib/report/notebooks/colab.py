"""Notebooks that are opened alone in Colab: the cell by which each gets the code, and the badges in README.md.

The address of the repository is written into both by `make colab`; the project as it is handed on has none.
"""

import json
import re
import subprocess

from lib.config import paths
from lib.config.files import write_bytes
from lib.report import notebooks

CELL = "colab"  # id of the cell
CODE = """\
import sys

REPOSITORY = "{address}"  # written by `make colab REPOSITORY=https://...`
if "google.colab" in sys.modules and "lib" not in sys.modules:  # a notebook alone, without the code
    import os
    import subprocess

    if not REPOSITORY:
        raise ValueError("REPOSITORY, above, must be the address of your copy: https://...")
    if not os.path.isdir("coursework"):
        subprocess.run(["git", "clone", "--quiet", "--depth", "1", REPOSITORY, "coursework"], check=True)
    os.chdir("coursework/notebooks")
    sys.path.insert(0, "..")
    from lib import environment

    environment.install_lacking(environment.ROOT)"""
START, END = "<!-- badges -->", "<!-- end of badges -->"  # in README.md
BADGE = "[![{name} in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({page})"


def write_address(address: str = "") -> str:
    """Write the address of the repository into every notebook, and the badges that open them in Colab into README.md.

    Args:
        address: https, of a repository that Colab can clone; "" takes that of the git remote `origin`.

    Returns:
        The address.

    Raises:
        ValueError: if there is none, or it is none that Colab can clone.
    """
    address = https(address or _git("remote", "get-url", "origin"))
    for name in notebooks.names():
        file = notebooks.locate(name)
        notebook = json.loads(file.read_text(encoding="utf-8"))
        cell = next(cell for cell in notebook["cells"] if cell.get("id") == CELL)
        cell["source"] = CODE.format(address=address).splitlines(keepends=True)
        write_bytes(file, (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode())
    page = paths.ROOT / "README.md"
    text = re.sub(f"{START}.*?{END}", f"{START}\n{badges(address)}\n{END}", page.read_text("utf-8"), flags=re.DOTALL)
    write_bytes(page, text.encode())
    return address


def https(address: str) -> str:
    """An address as Colab clones it: https, without a name, a password or `.git` in it."""
    plain = re.sub(r"^(ssh://)?git@([^:/]+)[:/]", r"https://\2/", address.strip())
    plain = plain.removesuffix("/").removesuffix(".git")
    if not re.fullmatch(r"https://[\w.-]+(/[\w.~-]+)+", plain):
        raise ValueError(
            "The address of your copy must be https, e.g. make colab REPOSITORY=https://github.com/you/coursework. "
            f"Received: {address or 'none, and git knows no remote origin'}"
        )
    return plain


def badges(address: str) -> str:
    """One badge per notebook as Markdown; "" where the repository is not on GitHub, from which alone Colab opens."""
    if not address.startswith("https://github.com/"):
        return ""
    base = address.replace("https://github.com/", "https://colab.research.google.com/github/")
    base += f"/blob/{_git('branch', '--show-current') or 'main'}/notebooks"
    pages = {name: f"{base}/{name}.ipynb" for name in notebooks.names()}
    return "\n".join(f"{BADGE.format(name=name, page=page)} {name}  " for name, page in pages.items())


def _git(*words: str) -> str:
    """What git answers; "" where it does not."""
    try:
        answer = subprocess.run(["git", *words], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return answer.stdout.strip()
