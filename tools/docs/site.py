"""Hooks of mkdocs: README.md is the first page, and links that leave docs/ lead to the repository.

https://www.mkdocs.org/user-guide/configuration/#hooks
"""

import posixpath
import re
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]

# A link of Markdown or an image: the text before the target, the target, and what follows it.
LINK = re.compile(r"(\]\()([^)\s]+)(\))")

# Fenced code, in which nothing is a link.
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def on_files(files, config):
    """Adds README.md as the first page."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=rewritten(text, "", config)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Rewrites the links of a page that lead out of docs/."""
    if page.file.src_uri == "index.md":
        return markdown
    folder = posixpath.join("docs", posixpath.dirname(page.file.src_uri))
    return rewritten(markdown, folder, config)


def rewritten(markdown, folder, config):
    """Returns a text whose links lead to pages of the site, or to the repository."""
    parts, end = [], 0
    for fence in FENCE.finditer(markdown):
        parts.append(LINK.sub(lambda m: target(m, folder, config), markdown[end : fence.start()]))
        parts.append(fence.group(0))
        end = fence.end()
    parts.append(LINK.sub(lambda m: target(m, folder, config), markdown[end:]))
    return "".join(parts)


def target(match, folder, config):
    """Returns a link with its target as the site has it."""
    before, link, after = match.groups()
    if link.startswith("#") or "://" in link or link.startswith("mailto:"):
        return match.group(0)
    path, hash_, anchor = link.partition("#")
    path = posixpath.normpath(posixpath.join(folder, path))
    if not (ROOT / path).exists():
        raise PluginError(f"{folder or 'README.md'}: {link} does not exist")
    if path == "README.md":
        here = posixpath.relpath("docs/index.md", folder or "docs")
        return before + here + hash_ + anchor + after
    inside = path.startswith("docs/") and not (ROOT / path).is_dir()
    if inside:
        return before + posixpath.relpath(path, folder or "docs") + hash_ + anchor + after
    kind = "tree" if (ROOT / path).is_dir() else "blob"
    return f"{before}{config.extra['repository']}/{kind}/main/{path}{hash_}{anchor}{after}"
