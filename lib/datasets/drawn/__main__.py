"""Draw some categories of the demo set; `objects.draw` starts one such process per core."""

import sys
from pathlib import Path

from lib.datasets.drawn.objects import draw_category

if __name__ == "__main__":
    root, count, seed, *categories = sys.argv[1:]
    for category in categories:
        draw_category(category, root=Path(root), count=int(count), seed=int(seed))
