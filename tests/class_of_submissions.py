"""A class of learners: right and wrong answers in many styles, and files that mean no good.

Each submission is made as a file, with what its verdicts must be.
"""
import ast
import inspect
import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from scratchformer_lib.course import author, checks
from scratchformer_lib.course.verify import bench, extract

ROOT = Path(__file__).resolve().parents[1]
BENCH = bench.Bench(ROOT)
IMPORTS = "import math\nimport functools\nimport numpy as np"


@dataclass
class Expected:
    """A file, and what is to be said of it. outcomes: {exercise: outcome}. sentences: {exercise: a known mistake's}, of
    which "" is any. problem: a part of why there is no verdict."""
    name: str
    data: bytes
    outcomes: dict = field(default_factory=dict)
    sentences: dict = field(default_factory=dict)
    problem: str = ""


def handed_out(number):
    return author.learner_notebook(BENCH.chapters[number])


def solutions(number):
    """{exercise: text of the course's own answer}"""
    return {cell.asks: cell.answered for cell in BENCH.chapters[number].cells if cell.asks_something}


def solved(number, answers=None):
    """The chapter's notebook with answers in it; by default the course's own."""
    made, answers = handed_out(number), solutions(number) if answers is None else answers
    for cell in made.cells:
        if cell.id[3:] in answers:
            cell.source = answers[cell.id[3:]]
    return made


def data(made):
    return (json.dumps(made) + "\n").encode()


def all_of(number, outcome="passed"):
    return dict.fromkeys(BENCH.chapters[number].exercises, outcome)


# ---- right answers, in several styles -----------------------------------------------------------------------------

def right():
    for number in BENCH.exercises():
        yield Expected(f"solved_{number}/{BENCH.names()[number]}.ipynb", data(solved(number)), all_of(number))
    yield Expected("unsolved/01_softmax.ipynb", data(handed_out("01")), all_of("01", "not attempted"))
    yield Expected("unsolved/03_attention.ipynb", data(handed_out("03")), all_of("03", "not attempted"))
    yield from (Expected(f"style_{change.__name__}_01_softmax.ipynb", change(solved("01")), all_of("01"))
                for change in (helpers_above, helpers_below, cells_turned_round, every_cell_twice, ids_gone, ids_new,
                               version_3, checks_gone, checks_faked, only_the_answers, as_lambdas, timed, decorated,
                               broken_cell, magics, first_wrong_then_right, stub_below, star_import, byte_order_mark,
                               fifty_megabytes, endless_cell_elsewhere, numpy_patched_at_the_top))
    notebook = solved("01")
    notebook.cells = [cell for cell in notebook.cells if cell.id != "01-log_softmax"]
    yield Expected("zoe (2)/01_softmax.ipynb", data(notebook), all_of("01") | {
        "log_softmax": "not attempted", "surprise": "not attempted"})
    half = solutions("03")
    half["scaled_dot_product_attention"] = stub("03", "scaled_dot_product_attention")
    yield Expected("half/03_attention.ipynb", data(solved("03", half)), all_of("03") | {
        "scaled_dot_product_attention": "not attempted", "self_attention": "not attempted"})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("eve/01_softmax.ipynb", data(solved("01")))
        archive.writestr("__MACOSX/._01_softmax.ipynb", b"\0\1")
    yield Expected("downloads.zip", packed.getvalue(), all_of("01"))


def stub(number, name):
    return next(cell.source for cell in handed_out(number).cells if cell.id == f"{number}-{name}")


def new(source):
    return nbformat.v4.new_code_cell(source)


def code(made):
    return [cell for cell in made.cells if cell.cell_type == "code"]


SOFTMAX = "def softmax(x, axis=-1):\n    return shares(np.exp(x - largest(x, axis)), axis)"
HELPERS = ("def shares(e, axis):\n    return e / e.sum(axis=axis, keepdims=True)",
           "NOTHING = 0\nlargest = lambda x, axis: np.max(x, axis=axis, keepdims=True) + NOTHING")


def with_softmax(made, source):
    next(cell for cell in made.cells if cell.id == "01-softmax").source = source
    return made


def helpers_above(made):
    made = with_softmax(made, SOFTMAX)
    made.cells[3:3] = map(new, HELPERS)
    return data(made)


def helpers_below(made):
    made = with_softmax(made, SOFTMAX)
    made.cells += map(new, HELPERS)
    return data(made)


def cells_turned_round(made):
    made.cells.reverse()
    return data(made)


def every_cell_twice(made):
    made.cells = [cell for cell in made.cells for _ in range(2)]
    return data(made)


def ids_gone(made):
    made.nbformat_minor = 4
    for cell in made.cells:
        del cell["id"]
    return data(made)


def ids_new(made):
    for i, cell in enumerate(made.cells):
        cell.id = f"0{i % 9}-softmax-check" if i % 2 else f"{i:032x}"
    return data(made)


def version_3(made):
    cells = [{"cell_type": "code", "language": "python", "input": cell.source.splitlines(True), "outputs": [],
              "metadata": {}, "collapsed": False, "prompt_number": 1} for cell in code(made)]
    return json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""},
                       "worksheets": [{"metadata": {}, "cells": cells}]}).encode()


def checks_gone(made):
    made.cells = [cell for cell in made.cells if not cell.id.endswith("-check")]
    return data(made)


def checks_faked(made):
    for cell in made.cells:
        if cell.id.endswith("-check"):
            cell.source = "print('softmax is right (passed)')"
    return data(made)


def only_the_answers(made):
    made.cells = [new(IMPORTS), *map(new, solutions("01").values())]
    return data(made)


def as_lambdas(made):
    return data(with_softmax(made, "softmax = lambda x, axis=-1: (lambda e: e / e.sum(axis=axis, keepdims=True))(\n"
                                   "    np.exp(x - x.max(axis=axis, keepdims=True)))"))


def timed(made):
    return data(with_softmax(made, "%%time\n" + solutions("01")["softmax"] + "\nsoftmax(np.ones(3))"))


def decorated(made):
    return data(with_softmax(made, "def traced(f):\n    @functools.wraps(f)\n    def g(*args, **options):\n"
                                   "        return f(*args, **options)\n    return g\n\nimport functools\n@traced\n"
                             + solutions("01")["softmax"] + "\n\nsoftmax = traced(softmax)"))


def broken_cell(made):
    made.cells[5:5] = [new("def softmax(x:\n    pass"), new("for")]
    return data(made)


def magics(made):
    return data(with_softmax(made, "%matplotlib inline\n!ls\nfiles = !ls\nnp.exp?\n" + solutions("01")["softmax"]))


def first_wrong_then_right(made):
    made.cells.insert(3, new("def softmax(x, axis=-1):\n    return x"))
    return data(made)


def stub_below(made):
    made.cells.append(new(stub("01", "softmax")))
    return data(made)


def star_import(made):
    return data(with_softmax(made, "from numpy import *\n\ndef softmax(x, axis=-1):\n"
                                   "    e = exp(x - amax(x, axis=axis, keepdims=True))\n"
                                   "    return e / e.sum(axis=axis, keepdims=True)"))


def byte_order_mark(made):
    return b"\xef\xbb\xbf" + data(made).replace(b"\\n", b"\\r\\n")


def fifty_megabytes(made):
    code(made)[3].outputs = [nbformat.v4.new_output("stream", text="0123456789" * 1000 + "\n") for _ in range(5000)]
    return data(made)


def endless_cell_elsewhere(made):
    made.cells[3:3] = [new("while True:\n    pass"), new("import sys\nsys.exit()"), new("input()")]
    return data(made)


def numpy_patched_at_the_top(made):
    made.cells.insert(3, new("np.exp = lambda x: 1 / 0\n__builtins__ = {}\ncheck = print"))
    return data(made)


# ---- every mistake that is written out ----------------------------------------------------------------------------

NAMED = """def named(name):
    def give(f):
        f.__name__ = f.__qualname__ = name
        return f
    return give"""


class WithoutReference(ast.NodeTransformer):
    """The course's own answers, which mistakes are made of, under names of their own."""

    def __init__(self, names):
        self.names = names

    def visit_Name(self, node):
        return ast.copy_location(ast.Name(f"right_{node.id}", node.ctx), node) if node.id in self.names else node

    def visit_FunctionDef(self, node):
        node.name = f"right_{node.name}" if node.name in self.names else node.name
        return self.generic_visit(node)

    visit_ClassDef = visit_FunctionDef


def mistakes(number):
    """Notebooks that together make every mistake that is a definition of its own in the module of checks."""
    module = inspect.getmodule(next(iter(checks.exercises(number).values())).inputs)
    text = inspect.getsource(module).replace("from ...", "from scratchformer_lib.")
    text = text.replace("from ..exercise", "from scratchformer_lib.course.exercise")
    own = {name: solutions(number)[name] for name in checks.exercises(number)}
    rename = WithoutReference(own)
    rights = [NAMED]
    for name, source in own.items():
        tree = rename.visit(ast.parse(source))
        definition = next(node for node in tree.body if getattr(node, "name", "") == f"right_{name}")
        definition.decorator_list.insert(0, ast.parse(f"named({name!r})").body[0].value)
        rights.append(ast.unparse(tree))
    helpers = ast.unparse(rename.visit(ast.parse(text)))
    everything = [s for s in extract.statements([("", helpers)])[0] if not (s.names & set(own))]
    everything += extract.statements([("", "\n\n".join(rights))])[0]
    found = {name: [] for name in own}
    for name, asked in checks.exercises(number).items():
        for f, sentence in asked.mistakes:
            for statement in everything:
                registers = [d for d in getattr(statement.node, "decorator_list", []) if isinstance(d, ast.Call)
                             and ast.unparse(d.func).endswith(".mistake")]
                if registers and statement.node.name == f.__name__ and \
                        sentence == eval(ast.unparse(registers[0].args[0]), vars(module)):
                    found[name].append((answer_text(statement, everything, name), sentence))
                    break
    for i in range(max(map(len, found.values()))):
        answers = {name: texts[i][0] for name, texts in found.items() if len(texts) > i}
        sentences = {name: texts[i][1] for name, texts in found.items() if len(texts) > i}
        made = solved(number, answers)
        made.cells.insert(3, new(IMPORTS))
        yield Expected(f"mistakes_{number}_{i}x/{BENCH.names()[number]}.ipynb", data(made), {}, sentences)


def answer_text(statement, everything, name):
    """A mistake as a learner writes it: with its helpers, without its decorators, under the exercise's name."""
    node = ast.parse(statement.text).body[0]
    node.decorator_list = [d for d in node.decorator_list if ".mistake" not in ast.unparse(d)]
    wrong = extract.Statement(node, ast.unparse(node), 0, statement.names)
    text = extract.Book([s for s in everything if s is not statement] + [wrong], [], {}).with_needs(wrong)
    return text + (f"\n\n{name} = {node.name}\n" if node.name != name else "")


# ---- those that mean no good --------------------------------------------------------------------------------------

ALONE = """def with_temperature(x, temperature, axis=-1):
    e = np.exp((x - x.max(axis=axis, keepdims=True)) / temperature)
    return e / e.sum(axis=axis, keepdims=True)"""


def hostile(marker):
    """Answers to `softmax` in notebooks that are right but for that one. marker: a file that nobody may write."""
    def one(name, body, outcome="crashed", sentence=None, above="", others="passed"):
        text = f"{above}\ndef softmax(x, axis=-1):\n" + "\n".join(f"    {line}" for line in body.split("\n"))
        made = with_softmax(solved("01", solutions("01") | {"with_temperature": ALONE}), text)
        made.cells.insert(3, new("import os, sys, subprocess, socket, time, threading, ctypes, gc, json, builtins"))
        outcomes = (all_of("01", others) if others else {}) | {"softmax": outcome}
        return Expected(f"hostile/{name}_01_softmax.ipynb", data(made), outcomes,
                        {} if sentence is None else {"softmax": sentence})

    reaches = "It reaches for the course's own answers"
    right = "e = np.exp(x - x.max(axis=axis, keepdims=True))\nreturn e / e.sum(axis=axis, keepdims=True)"
    return [
        one("prints_passed", "print('softmax is right (passed)')\nreturn x", "wrong"),
        one("says_passed", "return 'passed'", "wrong"),
        one("raises_what_a_check_raises", "raise AssertionError('passed')"),
        one("not_attempted_by_itself", "raise NotImplementedError('Exercise 1.1')", "not attempted"),
        one("imports_the_library", "return theirs(x, axis)", "crashed", reaches,
            above="from scratchformer_lib.softmax import softmax as theirs"),
        one("imports_it_inside", "import scratchformer_lib.softmax as m\nreturn m.softmax(x, axis)", "crashed",
            reaches),
        one("second_package", "import scratchformer_reference.softmax as m\nreturn m.softmax(x, axis)", "crashed",
            reaches),
        one("asks_the_course", "from scratchformer_lib.course import reference\n"
            "return reference('checks').all_exercises()['softmax'].reference(x, axis)", "crashed", reaches),
        one("shows_the_solution", "from scratchformer_lib.course import solution\nreturn solution(softmax)", "crashed",
            reaches),
        one("reads_the_solutions", f"text = open({str(ROOT / 'solutions' / '01_softmax.py')!r}).read()\n"
            "space = {}\nexec(text.split('# %%')[1], space)\nreturn space['softmax'](x, axis)", "crashed", reaches),
        one("reads_the_module", f"sys.path.insert(0, {str(ROOT)!r})\n"
            "for name in list(sys.modules):\n    if name.startswith('scratchformer'):\n        del sys.modules[name]\n"
            "from scratchformer_lib.softmax import softmax as s\nreturn s(x, axis)", "crashed", reaches),
        one("patches_numpy", "np.array_equal = np.allclose = lambda *a, **k: True\nnp.asarray = lambda *a: x\nreturn x",
            "wrong"),
        one("patches_builtins", "builtins.isinstance = lambda *a: True\nbuiltins.abs = lambda x: 0\nreturn x", None,
            ""),
        one("patches_the_collector", "for name, m in list(sys.modules.items()):\n"
            "    if name.endswith('course.exercise'):\n        m.compare = lambda *a: None\n"
            "        m.attempt = lambda *a: m.Attempt(value=1.0)\nreturn x", None, ""),
        one("patches_code", "softmax.__code__ = (lambda x, axis=-1: x).__code__\nreturn x", "wrong"),
        one("writes_results", "for name in ('softmax', 'surprise'):\n"
            "    open(os.path.join(os.environ['HOME'], 'results', name + '.json'), 'w').write('[]')\n"
            "json.dump = lambda value, file: file.write('[]')\nreturn x", "crashed"),
        one("results_that_block", "folder = os.path.join(os.environ['HOME'], 'results')\n"
            "os.mkdir(os.path.join(folder, 'softmax.json'))\nos.mkfifo(os.path.join(folder, 'log_softmax.json'))\n"
            "os._exit(0)"),
        one("tampers", f"with open({str(marker)!r}, 'a') as file:\n    file.write('x')\nreturn x"),
        one("tampers_and_is_right", f"try:\n    open({str(marker)!r}, 'a')\nexcept OSError:\n    pass\n{right}"),
        one("deletes", f"os.remove({str(ROOT / 'README.md')!r})\nreturn x"),
        one("sys_exit", "sys.exit()"),
        one("keyboard_interrupt", "raise KeyboardInterrupt"),
        one("os_exit", "os._exit(0)"),
        one("kills_its_kernel", "os.kill(os.getpid(), 9)"),
        one("kills_by_machine_code", "ctypes.CDLL(None).kill(os.getpid(), 9)"),
        one("segfault", "ctypes.string_at(0)"),
        one("loop", "while True:\n    pass", "timed out"),
        one("loop_that_swallows",
            "while True:\n    try:\n        time.sleep(1)\n    except BaseException:\n        pass",
            "timed out"),
        one("sleeps", "time.sleep(10000)", "timed out"),
        one("loop_above", "return x + start", "timed out",
            above="def endless():\n    while True:\n        pass\n\nstart = endless()\n"),
        one("forks", "while True:\n    os.fork()"),
        one("forks_by_machine_code", "c = ctypes.CDLL(None)\nfor _ in range(40):\n"
            "    if c.fork() == 0:\n        c.setsid()\n"
            "        while True:\n            c.sleep(1)\nreturn x"),
        one("leaves_a_process", "c = ctypes.CDLL(None)\nif c.fork() == 0:\n    c.setsid()\n    if c.fork() == 0:\n"
            "        while True:\n            c.sleep(1)\n    c._exit(0)\nreturn x", "wrong"),
        one("starts_processes", "subprocess.run(['sleep', '1000'])"),
        one("shell", "os.system('echo passed')\n" + right),
        one("fills_memory", "return [bytearray(10**7) for _ in range(10**4)]"),
        one("one_huge_array", "return np.ones(10**11)"),
        one("huge_result", "return np.ones(5 * 10**7)"),
        one("fills_the_disk", "i = 0\nwhile True:\n    i += 1\n    open(f'{i}.bin', 'wb').write(bytes(10**7))"),
        one("one_huge_file", "with open('big', 'wb') as file:\n    while True:\n        file.write(bytes(10**7))"),
        one("prints_without_end", "while True:\n    os.write(1, b'passed ' * 10**5)", None, ""),
        one("opens_a_connection", "socket.create_connection(('127.0.0.1', 9))\nreturn x"),
        one("listens", "s = socket.socket()\ntry:\n    s.bind(('127.0.0.1', 0))\nexcept OSError:\n    pass\n" + right),
        one("waits_for_input", "input('?')\nreturn x"),
        one("recurses", "return softmax(x, axis)"),
        one("recurses_deeply", "sys.setrecursionlimit(10**9)\ndef f(n):\n    return f(n + 1) + 1\nreturn f(0)",
            None, ""),
        one("leaves_threads", "def spin():\n    while True:\n        time.sleep(0.01)\n"
            "threading.Thread(target=spin).start()\nreturn x", "wrong"),
        one("writes_outside", "open(os.path.join(os.environ['HOME'], '..', '..', '..', 'left_behind'), 'w')\nreturn x"),
        one("evil_object",
            "class Evil:\n    def __getattribute__(self, name):\n        raise SystemExit\nreturn Evil()", None,
            ""),
        one("nested", "y = []\nfor _ in range(10**5):\n    y = [y]\nreturn y"),
        one("endless_generator", "return iter(int, 1)", "wrong"),
        one("a_class_as_error",
            "class NotPassed(Exception):\n    def __str__(self):\n        raise SystemExit\nraise NotPassed"),
    ]


def broken():
    """Files without anything to judge."""
    for name, content, problem in [
            ("empty", b"", "it is empty"), ("blank", b" \n", "it is empty"),
            ("text", b"def softmax(x): pass", "not JSON"),
            ("cut", data(solved("01"))[:5000], "not JSON"), ("list", b"[1, 2]", "not a notebook"),
            ("number", b"3", "not a notebook"), ("null", b"null", "not a notebook"),
            ("deep", b"[" * 200_000, "not JSON"),
            ("binary", bytes(range(256)) * 50, "not JSON"),
            ("no_cells", b'{"nbformat": 4, "metadata": {}, "cells": []}', "no code"),
            ("strange_cells", b'{"nbformat": 4, "cells": [3, null, {"cell_type": "code"}, '
                              b'{"cell_type": "code", "source": {"a": 1}}]}', "no code"),
            ("cells_of_cells", b'{"nbformat": 4, "cells": {"cells": []}, "worksheets": 3}', "no code"),
            ("deep_code", data(nbformat.v4.new_notebook(cells=[new("x = " + "(" * 50_000 + ")" * 50_000),
                                                               new("y = " + "-" * 100_000 + "1")])), "not a chapter"),
            ("other_course", data(nbformat.v4.new_notebook(cells=[new("import torch\ndef softmax(x):\n    return x")])),
             "not a chapter")]:
        yield Expected(f"broken/{name}.ipynb", content, problem=problem)
    yield Expected("broken/no.zip", b"PK nothing", problem="cannot be unpacked")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("01_softmax.ipynb", "w") as member:
        for _ in range(300):
            member.write(bytes(10**6))
    yield Expected("broken/bomb.zip", bomb.getvalue(), problem="larger than")
    name = "<img src=x onerror=alert(1)>\x1b[31m=1+1_01_softmax.ipynb"
    yield Expected(f"broken/{name}", data(solved("01")), all_of("01"))
