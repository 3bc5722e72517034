"""What a browser would find on a page."""

import re
from html.parser import HTMLParser


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def all(self, tag):
        """Attributes of every tag of one kind."""
        return [attributes for name, attributes in self.found if name == tag]


def fetched(html):
    """Addresses that a page fetches by itself, from the network or from other files."""
    loads = [
        value
        for tag, attributes in Tags(html).found
        for key, value in attributes.items()
        if key in ("src", "srcset", "poster", "data") or (tag == "link" and key == "href")
    ]
    loads += re.findall(r"url\(([^)]*)\)", html) + re.findall(r"@import ([^;]*)", html)
    return [load for load in loads if not load.startswith("data:")]
