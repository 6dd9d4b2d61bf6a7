"""Fails if a page of a site makes a browser ask another host: python3 requests.py FOLDER."""

import sys
from html.parser import HTMLParser
from pathlib import Path

# The attributes by which an element loads something. Links that a reader follows load nothing.
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}


class Page(HTMLParser):
    """Collects what a page loads from other hosts."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "link" and values.get("rel") == "canonical":
            return
        address = values.get(LOADS.get(tag, ""), "") or ""
        if address.startswith(("http:", "https:", "//")):
            self.found.append(address)


def main():
    pages = sorted(Path(sys.argv[1]).rglob("*.html"))
    if not pages:
        sys.exit(f"there is no page in {sys.argv[1]}")
    status = 0
    for path in pages:
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        for address in page.found:
            print(f"{path}: loads {address}", file=sys.stderr)
            status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
