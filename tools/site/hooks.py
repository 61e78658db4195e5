"""What mkdocs asks for while it builds the pages: those that are kept in the repository's root."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

#: Page to the file of the root that it is; code hosts and PyPI show them there.
FROM_ROOT = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
}


def on_config(config: MkDocsConfig) -> None:
    """List the decisions under the page that says what they are, in their order."""
    notes = sorted(path.name for path in Path(config.docs_dir, "decisions").glob("0*.md"))
    for section in config.nav or ():
        for entry in section.get("Project", ()):
            if "Decisions" in entry:
                entry["Decisions"] = [entry["Decisions"], *(f"decisions/{note}" for note in notes)]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the root."""
    root = Path(config.config_file_path).parent
    for page, file in FROM_ROOT.items():
        files.append(File.generated(config, page, abs_src_path=str(root / file)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links of the root's pages within the site, where they are checked."""
    if page.file.src_uri not in FROM_ROOT:
        return markdown
    site = config.site_url or ""
    inside = {file.url.strip("/"): file.src_uri for file in files}
    for url in sorted(inside, key=len, reverse=True):
        for end in (f"{url}/)", f"{url}/#", f"{url})"):
            target = inside[url] + end.removeprefix(f"{url}/").removeprefix(url)
            markdown = markdown.replace(f"]({site}{end}", f"]({target}")
    return markdown.replace("](docs/", "](")
