"""Open pages as a reader sees them, in headless Chromium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is installed"
)
DESK, PHONE = (1280, 800), (390, 844)


class Visit:
    """An open page, and everything that happened in the background.

    Attributes
    ----------
    page : Page
        Playwright's page.
    outside : list of str
        Requested addresses that are not files: there should be none.
    trouble : list of str
        Script errors, violations of the content security policy, and dialogs that opened.
    """

    def __init__(self, page: Page):
        self.page = page
        self.outside: list[str] = []
        self.trouble: list[str] = []
        page.on("request", self._asked)
        page.on("console", self._told)
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("dialog", self._opened)

    def _asked(self, request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.outside.append(request.url)

    def _told(self, message) -> None:
        if message.type == "error":
            self.trouble.append(message.text)

    def _opened(self, dialog) -> None:
        self.trouble.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def violations(self) -> list[str]:
        """Return what axe-core finds fault with; skip the test where it is not installed."""
        folder = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
        script = Path(folder.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
        self.page.evaluate(f"{script}; undefined")
        found = self.page.evaluate("axe.run()")["violations"]
        return [f"{v['id']}: {n['html'][:200]}" for v in found for n in v["nodes"]]

    def widest(self) -> int:
        """Return the pixels by which the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - innerWidth")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium, and stop it at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Browser, file: Path, size: tuple[int, int] = DESK) -> Iterator[Visit]:
    """Open a file; at the end, check that nothing failed and no other address was requested."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.set_default_timeout(60_000)
    visit = Visit(page)
    page.goto(file.resolve().as_uri())
    yield visit
    page.close()
    assert visit.outside == [] and visit.trouble == []
