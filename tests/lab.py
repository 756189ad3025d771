"""A notebook in a real JupyterLab in a real browser, for tests and for authors who want to look at their chapter.

    with lab(".") as jupyter:
        jupyter.open("chapters/01_softmax.ipynb")
        cells = jupyter.run_all()
        jupyter.set_source("01-softmax", "def softmax(x, axis=-1): ...")
        assert jupyter.run("01-softmax").error is None
        jupyter.screenshot("card.png", "01-softmax-check")

    python tests/lab.py chapters/01_softmax.ipynb chapter.png --theme dark --all-cells pictures/

The kernel is the Python that runs this. Lab saves nothing, and keeps settings, checkpoints and logs in a temporary
folder. We drive it through its own application object: clicks on its menus can land before the session is ready.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60        # for whatever should take a few: the server's start, one cell, one picture
TALLEST = 16_000    # pixels; Chromium draws no taller picture

HARNESS = """
window.harness = {
  async open(path) {
    const app = window.jupyterapp;
    await app.restored;
    this.panel = await app.commands.execute('docmanager:open', {path, factory: 'Notebook', kernel: {name: 'python3'}});
    await this.panel.context.ready;
    const session = this.panel.sessionContext;
    while (!session.isReady) {
      document.querySelector('.jp-Dialog .jp-mod-accept')?.click();   // a kernel this machine lacks: take Python 3
      await this.pause(100);
    }
    await this.panel.revealed;
    await session.session.kernel.info;
    app.shell.collapseLeft();
    for (const cell of this.panel.content.widgets) cell.node.dataset.cellId = cell.model.id;
  },

  cells() {
    return this.panel.content.widgets.map(({model}) => (
      {id: model.id, type: model.type, source: model.sharedModel.source}));
  },

  cell(id) {
    const cell = this.panel.content.widgets.find(c => c.model.id === id);
    if (!cell) throw new Error(`no cell ${id} in ${this.panel.context.path}`);
    return cell;
  },

  codeCell(id) {
    const cell = this.cell(id);
    if (cell.model.type !== 'code') throw new Error(`cell ${id} is no code cell`);
    return cell;
  },

  read(id) {
    const {model} = this.codeCell(id);
    return {id, source: model.sharedModel.source, execution_count: model.executionCount,
            outputs: model.outputs.toJSON()};
  },

  async run(id) {
    const notebook = this.panel.content, cell = this.codeCell(id);
    for (let attempt = 0; attempt < 10; attempt++) {
      cell.model.clearExecution();
      window.jupyterapp.shell.activateById(this.panel.id);
      notebook.deselectAll();
      notebook.activeCellIndex = notebook.widgets.indexOf(cell);
      await window.jupyterapp.commands.execute('notebook:run-cell');
      if (cell.model.executionCount !== null || !cell.model.sharedModel.source.trim()) return this.read(id);
      await this.pause(100);    // a kernel drops what reaches it in the moment after an error: ask again
    }
    throw new Error(`cell ${id} did not run`);
  },

  async settle() {
    const {kernel} = this.panel.sessionContext.session;
    let changed = performance.now();
    const watch = new MutationObserver(() => { changed = performance.now(); });
    watch.observe(this.panel.node, {subtree: true, childList: true, characterData: true, attributeFilter: ['src']});
    await kernel.requestKernelInfo();    // answered after all that was sent to the kernel before
    while (performance.now() - changed < 300 || kernel.status !== 'idle' || document.fonts.status !== 'loaded'
           || [...this.panel.node.querySelectorAll('img')].some(img => !img.complete)) await this.pause(50);
    watch.disconnect();
  },

  async theme(name) {
    await window.jupyterapp.commands.execute('apputils:change-theme', {theme: name});
    while (document.body.dataset.jpThemeName !== name) await this.pause(50);
  },

  pause(milliseconds) { return new Promise(done => setTimeout(done, milliseconds)); },

  within(seconds, name, args) {
    const late = this.pause(1000 * seconds).then(() => {
      const dialog = document.querySelector('.jp-Dialog');
      const asks = dialog ? `; JupyterLab asks: ${dialog.innerText}` : '';
      throw new Error(`${name}(${args}) took over ${seconds} s${asks}`);
    });
    return Promise.race([this[name](...args), late]);
  },
};
"""


@dataclass
class Cell:
    """A code cell that has run."""

    id: str
    source: str
    execution_count: int | None
    outputs: list      # as nbformat has them

    @property
    def error(self):
        """What it raised, as "NotImplementedError: Exercise 1.1"; None where it raised nothing."""
        for output in self.outputs:
            if output["output_type"] == "error":
                return f"{output['ename']}: {output['evalue']}"
        return None


class Lab:
    """One JupyterLab in one browser page; `page` is Playwright's, for sliders and whatever else."""

    def __init__(self, page):
        self.page = page

    def _call(self, name, *args, seconds=SECONDS):
        return self.page.evaluate("call => harness.within(...call)", [seconds, name, args])

    def open(self, notebook):
        """Open a notebook, named relative to Lab's root, and wait for its kernel."""
        self._call("open", Path(notebook).as_posix())
        self.settle()

    def cells(self):
        """All cells, in order: a dict of id, type and source each."""
        return self._call("cells")

    def cell(self, cell_id):
        """The Playwright locator of a cell."""
        return self.page.locator(f'[data-cell-id="{cell_id}"]')

    def set_source(self, cell_id, source):
        self.page.evaluate("([id, source]) => harness.cell(id).model.sharedModel.setSource(source)", [cell_id, source])

    def run(self, cell_id, seconds=SECONDS):
        """Run one code cell to its end, whether it raises or not."""
        return Cell(**self._call("run", cell_id, seconds=seconds))

    def run_all(self, seconds=SECONDS):
        """Run every code cell, in order, going on where one raises; at most so many seconds a cell."""
        return [self.run(cell["id"], seconds) for cell in self.cells() if cell["type"] == "code"]

    def outputs(self, cell_id):
        """A code cell's outputs as they are now, as nbformat has them."""
        return self._call("read", cell_id)["outputs"]

    def settle(self, seconds=SECONDS):
        """Wait until the kernel has answered everything and the page has stopped changing."""
        self._call("settle", seconds=seconds)

    def nudge(self, cell_id, key="ArrowRight", slider=0):
        """Move a slider in a cell's output by one step; returns its readout before and after."""
        handle = self.cell(cell_id).locator(".widget-slider .noUi-handle").nth(slider)
        readout = self.cell(cell_id).locator(".widget-slider .widget-readout").nth(slider)
        before = readout.inner_text()
        for _ in range(20):     # focus is sometimes stolen from the handle: press, then look
            handle.press(key)
            self.page.wait_for_timeout(100)
            if readout.inner_text() != before:
                break
        self.settle()
        return before, readout.inner_text()

    def theme(self, name):
        """Switch to the "light" or the "dark" theme."""
        self._call("theme", f"JupyterLab {name.capitalize()}")
        self.settle()

    def screenshot(self, path, cell_id=None, whole=False):
        """Take a picture of a cell's output (whole: its input too), or of the window (whole: all the notebook)."""
        self.settle()
        if cell_id is None and not whole:
            self.page.screenshot(path=path)
            return
        if cell_id is None:
            target = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-inner")
        elif whole or not self.cell(cell_id).locator(".jp-OutputArea-child").count():
            target = self.cell(cell_id)
        else:
            target = self.cell(cell_id).locator(".jp-Cell-outputArea")
        window = self.page.viewport_size
        height = min(target.bounding_box()["height"] + 200, TALLEST)     # 200: Lab's own bars, above and below
        if height > window["height"]:
            self.page.set_viewport_size({"width": window["width"], "height": int(height)})
        target.evaluate("node => node.scrollIntoView({block: 'start'})")
        self.settle()
        target.screenshot(path=path)
        self.page.set_viewport_size(window)


def chromium():
    """The path of a Chromium or Chrome on this machine, or None."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome", "chrome"))
    return next(filter(None, found), None)


@contextlib.contextmanager
def lab(root, env=None):
    """JupyterLab on the folder `root`, in a headless browser; `env` is added to the environment of its kernels."""
    if chromium() is None:
        raise RuntimeError("no Chromium found: install chromium or google-chrome, so that it is on the PATH")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        with _server(Path(root).resolve(), Path(scratch), env or {}) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=[
                "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"])    # the same page, online or not
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(1000 * SECONDS)
            page.goto(url)
            page.wait_for_function("() => window.jupyterapp && window.jupyterapp.restored")
            page.evaluate(HARNESS)
            yield Lab(page)
            browser.close()


@contextlib.contextmanager
def _server(root, scratch, env):
    """Run a JupyterLab server that shares no settings and no kernels with the user's own; yields its address."""
    settings = scratch / "settings" / "@jupyterlab"
    _write(settings / "notebook-extension" / "tracker.jupyterlab-settings",
           {"windowingMode": "none", "scrollPastEnd": False})       # cells out of sight stay in the page
    _write(settings / "docmanager-extension" / "plugin.jupyterlab-settings", {"autosave": False})
    _write(settings / "apputils-extension" / "notification.jupyterlab-settings",
           {"fetchNews": "false", "checkForUpdates": False})
    _write(scratch / "share" / "kernels" / "python3" / "kernel.json",
           {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "Python 3", "language": "python"})
    places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_PATH": "share",
              "JUPYTER_RUNTIME_DIR": "runtime", "JUPYTERLAB_SETTINGS_DIR": "settings",
              "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython"}
    places["SCRATCHFORMER_MY_CODE"] = "my_code"
    env = {**os.environ, **{name: str(scratch / folder) for name, folder in places.items()}, **env}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
               "--ip=127.0.0.1", "--ServerApp.port=0", "--IdentityProvider.token=lab", f"--ServerApp.root_dir={root}",
               f"--FileCheckpoints.checkpoint_dir={scratch / 'checkpoints'}", "--LabApp.extension_manager=readonly"]
    log = scratch / "server.log"
    with open(log, "wb") as stream:
        server = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
    try:
        yield f"{_address(server, scratch / 'runtime', log)}lab?token=lab&reset"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _address(server, runtime, log):
    """Wait until the server says where it listens."""
    end = time.monotonic() + SECONDS
    while server.poll() is None and time.monotonic() < end:
        for info in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(json.JSONDecodeError, OSError):      # not written to its end yet
                return json.loads(info.read_text(encoding="utf-8"))["url"]
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description="Run a notebook in JupyterLab and take a picture of it.")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("picture", type=Path, help="where the picture of the whole notebook goes (.png)")
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    parser.add_argument("--all-cells", type=Path, metavar="DIR", help="also a picture of each cell, in this folder")
    args = parser.parse_args()
    with lab(args.notebook.resolve().parent) as jupyter:
        jupyter.open(args.notebook.name)
        jupyter.theme(args.theme)
        for cell in jupyter.run_all():
            print(f"{cell.id}: {cell.error or 'ok'}")
        jupyter.screenshot(args.picture, whole=True)
        if args.all_cells:
            args.all_cells.mkdir(parents=True, exist_ok=True)
            for number, cell in enumerate(jupyter.cells()):
                name = re.sub(r"\W+", "_", cell["id"])
                jupyter.screenshot(args.all_cells / f"{number:03}_{name}.png", cell["id"], whole=True)


if __name__ == "__main__":
    main()
