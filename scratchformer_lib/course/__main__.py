"""The command line: scratchformer lab | build | verify | export | reset."""
import argparse
import datetime
import os
import shutil
import sys

from . import reference


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="scratchformer", description="A Transformer in NumPy, chapter by chapter.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="lab | build | verify | export | reset")

    lab = commands.add_parser("lab", help="open JupyterLab on chapter 00; further options go to JupyterLab")
    lab.set_defaults(run=run_lab)

    build = commands.add_parser("build", help="make modules and notebooks from solutions/NN_name.py")
    build.add_argument("chapters", nargs="*", metavar="NN", help="chapters to build (all)")
    build.add_argument("--check", action="store_true", help="run nothing; name stale files, exit 1 if there are any")
    build.add_argument("--force", action="store_true", help="execute notebooks that are up to date, too")
    build.add_argument("--new", nargs=2, metavar=("NN", "NAME"), help="start a chapter from the smallest one there is")
    build.set_defaults(run=run_build)

    verify = commands.add_parser("verify", help="judge submitted notebooks; INSTRUCTORS.md says more")
    verify.add_argument("paths", nargs="+", metavar="PATH", help="notebooks, folders, zip files")
    verify.add_argument("--csv", metavar="FILE", help="write a line for each learner and exercise")
    verify.add_argument("--html", metavar="FILE", help="write the report as one page")
    verify.add_argument("--results", metavar="FILE", default="verify_results.jsonl",
                        help="where results are kept as they come; a rerun skips what is in it (%(default)s)")
    verify.add_argument("--strict", action="store_true", help="exit 1 unless every exercise of every file is passed")
    verify.add_argument("--jobs", type=int, default=2, metavar="N", help="submissions judged at a time (%(default)s)")
    for name, unit, default, what in (("timeout", "SECONDS", 10.0, "for each exercise"),
                                      ("memory", "MB", 1024, "of memory for each submission"),
                                      ("processes", "N", 16, "for each submission"),
                                      ("file-size", "MB", 20, "for each file that a submission writes"),
                                      ("disk", "MB", 100, "for all files that a submission writes")):
        verify.add_argument(f"--{name}", type=type(default), default=default, metavar=unit,
                            help=f"{what} (%(default)s)")
    verify.set_defaults(run=run_verify)

    export = commands.add_parser("export", help="write my_code.zip, or with --single one file that runs")
    export.add_argument("--single", action="store_true", help="write my_transformer.py")
    export.set_defaults(run=run_export)

    reset = commands.add_parser("reset", help="back up your notebook of a chapter, and restore a fresh one")
    reset.add_argument("chapter", metavar="NN")
    reset.set_defaults(run=run_reset)

    sys.stdout.reconfigure(errors="replace")            # a path may hold letters that the terminal lacks
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "lab":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    return options.run(options) or 0


def checkout():
    root = reference("learner").checkout()
    if root is None:
        sys.exit("scratchformer: this needs a checkout of the project, and only the package is installed here")
    return root


def load_author():
    try:
        return reference("author")
    except ModuleNotFoundError as error:
        sys.exit(f"scratchformer: {error.name} is missing in this Python ({sys.executable}); install what authors need "
                 'with: python -m pip install -e ".[test]"')


def run_lab(options):
    root = checkout()
    allow_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []      # containers
    try:
        from jupyterlab.labapp import LabApp
    except ImportError:
        sys.exit('scratchformer: JupyterLab is missing; install the course with: python -m pip install -e ".[course]"')
    LabApp.launch_instance([f"--ServerApp.root_dir={root}", "--LabApp.default_url=/lab/tree/chapters/00_welcome.ipynb",
                            *allow_root, *options.rest])


def run_build(options):
    author, root = load_author(), checkout()
    try:
        if options.new:
            for path in author.new_chapter(root, *options.new):
                print(f"wrote {path.relative_to(root)}")
            print(f"now: scratchformer build {options.new[0]}")
        elif options.check:
            project = author.Project(root)
            stale, orphans = author.stale_files(project), author.orphans(project)
            for path in stale:
                print(f"stale: {path.relative_to(root).as_posix()}")
            for path in orphans:
                print(f"without a source: {path.relative_to(root).as_posix()}; delete it")
            print("run `scratchformer build`" if stale else "everything made is fresh" if not orphans else "")
            return 1 if stale or orphans else 0
        else:
            author.build(root, options.chapters, options.force)
    except author.BuildError as error:
        print(f"scratchformer build: {error}", file=sys.stderr)
        return 1


def run_verify(options):
    root = checkout()
    try:
        from . import verify
        from .verify import report, running
    except ModuleNotFoundError as error:
        sys.exit(f"scratchformer verify: {error.name} is missing in this Python ({sys.executable}); install the course "
                 'with: python -m pip install -e ".[course]"')
    missing = [path for path in options.paths if not os.path.exists(path)]
    if missing:
        sys.exit(f"scratchformer verify: there is no {missing[0]}")
    for what in running.what_is_missing():
        print(f"On this platform {what}.", file=sys.stderr)
    limits = running.Limits(options.timeout, options.memory, options.processes, options.file_size, options.disk)
    try:
        records = verify.verify(root, options.paths, options.results, options.jobs, limits)
    except verify.Tampered as error:
        sys.exit(f"scratchformer verify: {error}")
    except KeyboardInterrupt:
        sys.exit("scratchformer verify: stopped. The same command goes on where this one ended.")
    if not records:
        sys.exit(f"scratchformer verify: no notebooks in {', '.join(options.paths)}")
    titles = verify.titles(root)
    print(report.table(records, titles))
    if options.csv:
        report.write_csv(options.csv, records)
    if options.html:
        report.write_html(options.html, records, titles)
    if not all(record["judged"] for record in records):
        return 2
    passed = all(record["exercises"] and all(result["outcome"] == "passed" for result in record["exercises"].values())
                 for record in records)
    return 1 if options.strict and not passed else 0


def run_export(options):
    export = reference("export")
    if not options.single:
        print(f"wrote {export.archive()}")
        return
    path, mine, problems = export.single_file()
    for name, why in problems.items():
        print(f"{name}: {why}")
    print(f"wrote {path}, with your {', '.join(mine) or 'functions once they are solved'}; run: python {path}")


def run_reset(options):
    root, author, learner = checkout(), load_author(), reference("learner")
    number = options.chapter.zfill(2)
    solved = sorted((root / "solutions").glob(f"{number}_*.ipynb")) if number.isdigit() else []
    if not solved:
        sys.exit(f"scratchformer reset: there is no chapter {options.chapter!r}")
    path = root / "chapters" / solved[0].name
    try:
        fresh = author.written(author.learner_notebook(author.Chapter(solved[0], author.read_notebook(solved[0]))))
    except author.BuildError as error:
        sys.exit(f"scratchformer reset: {error}")
    backup = None
    if path.exists():
        backup = learner.home() / "notebooks" / f"{path.stem}-{datetime.datetime.now():%Y%m%d-%H%M%S-%f}.ipynb"
        backup.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, backup)
    learner.write_aside(path, fresh)
    if backup:
        print(f"your notebook is now {backup}")
    print(f"chapters/{path.name} is fresh; reload it in JupyterLab")


if __name__ == "__main__":
    sys.exit(main())
