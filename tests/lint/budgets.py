"""Keeps files, functions, lines and parameter lists short; prints the longest of each.

SPDX-License-Identifier: Apache-2.0

Functions are found by their braces, not by a compiler: good enough to count lines by.
"""

import ast
import pathlib
import re

import tree

FILE_LINES = 400
FUNCTION_LINES = 60
LINE_COLUMNS = 100
PARAMETERS = 5

# (file, function or ""): (budget it may break, what it is allowed, the reason).
EXCEPTIONS = {
    ("include/strobe/strobe.h", ""):
        ("lines in a file", 480, "all of the C interface is one header, for those who bind it"),
    ("src/reference/forward.cpp", "forward_row"):
        ("parameters", 6, "which row, and where its two results go"),
    ("src/cpu/rows.cpp", "see_few"):
        ("parameters", 6, "some rows of a key head, and where their intervals go"),
    ("src/cpu/run_decode.cpp", "run_decode"):
        ("parameters", 7, "the whole of a call, from the plan to the backend"),
    ("src/cpu/tiles/few_scores.hpp", "start"):
        ("parameters", 7, "rows of keys and of values; a setter of members"),
    ("src/cpu/tiles/few_scores.hpp", "few_block"):
        ("parameters", 7, "sums, operands and what is done beside, all of it in registers"),
    ("src/cpu/tiles/few_scores.hpp", "few_product"):
        ("parameters", 7, "operands, results and what is done beside, all of it in registers"),
    ("src/cpu/tiles/rules.hpp", "without_hidden"):
        ("parameters", 6, "a vector of keys of a row, and whose they are"),
    ("src/cpu/run_forward.cpp", "forward_workspace_bytes"):
        ("parameters", 6, "all that a workspace depends on; called before there are ForwardParams"),
    ("src/cpu/run_forward.cpp", "run_forward"):
        ("parameters", 6, "the whole of a call, from the plan to the backend"),
    ("src/cpu/tiles/fetch.hpp", "start"):
        ("parameters", 6, "rows that are touched, and how; a setter of members"),
    ("src/cpu/tiles/state.hpp", "load_q"):
        ("parameters", 7, "a strided tile, its sizes, its factor, and where units go"),
    ("src/cpu/tiles/few_integers.hpp", "integer_dims"):
        ("parameters", 7, "sums, operands and what is done beside, all of it in registers"),
    ("tests/conformance/forward_test.cpp", "cases"):
        ("lines in a function", 120, "a list of cases, one a line"),
    ("tests/cli/failing_malloc.cpp", "__libc_start_main"):
        ("parameters", 7, "the C library's own"),
    ("tests/lint/budgets.py", "check"):
        ("parameters", 6, "a measurement is named by all of them"),
}

LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# A comment that ends as a statement does, after a call, an assignment or a keyword.
COMMENTED_CODE = re.compile(
    r"^\s*//(?!/)\s*(?:.*[)\]=\w]\s*;|(?:if|for|while|return)\b.*[;{]|"
    r"#\s*(?:if|include|define)\b.*)\s*$")
STRING_OR_COMMENT = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|'
    r"(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'", re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.MULTILINE)
SCOPE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b[^()]*$")
NOT_A_NAME = {"if", "for", "while", "switch", "catch", "return", "decltype", "alignas", "noexcept",
              "requires", "sizeof", "static_assert", "__attribute__", "defined"}


def blanked(source):
    """The source with strings and comments replaced by blanks of the same number of lines."""
    return STRING_OR_COMMENT.sub(lambda m: "\n" * m[0].count("\n") or " ", source)


def top_level_commas(text):
    depth = commas = 0
    for character in text:
        depth += character in "([{<"
        depth -= character in ")]}>"
        commas += character == "," and depth == 0
    return commas


def signature(head):
    """(name, number of parameters) of a function whose text up to its brace is `head`, or None."""
    head = re.sub(r"\brequires\s*\([^()]*(\([^()]*\)[^()]*)*\)", " ", head)
    for match in re.finditer(r"([~\w]+|operator\s*[^\s\w(]+|operator\s*\(\s*\))\s*\(", head):
        if match[1] in NOT_A_NAME:
            continue
        depth, start = 1, match.end()
        for end in range(start, len(head)):
            depth += (head[end] == "(") - (head[end] == ")")
            if depth == 0:
                inside = head[start:end].strip()
                return match[1], 0 if inside in ("", "void") else top_level_commas(inside) + 1
    return None


def cxx_functions(source):
    """(name, first line, lines, parameters) of every function body; lambdas count with theirs."""
    code = DIRECTIVE.sub(lambda m: "\n" * m[0].count("\n"), blanked(source))
    stack, head_start, found = [], 0, []
    for at, character in enumerate(code):
        if character == "{":
            head = code[head_start:at]
            inside_function = any(kind == "body" for kind, *_ in stack)
            known = None if inside_function or SCOPE.search(head) else signature(head)
            if known:
                first = code.count("\n", 0, at) + 1 - head.strip().count("\n")
                stack.append(("body", known, first))
            else:
                stack.append(("scope", None, 0))
            head_start = at + 1
        elif character == "}":
            if stack:
                kind, known, first = stack.pop()
                if kind == "body":
                    found.append((known[0], first, code.count("\n", 0, at) + 2 - first, known[1]))
            head_start = at + 1
        elif character == ";":
            head_start = at + 1
    return found


def python_functions(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1, len(node.args.args)


class Budgets:
    """Collects what is over budget, and the largest of each kind."""

    def __init__(self):
        self.problems = []
        self.largest = {}
        self.used = set()

    def check(self, what, budget, amount, name, function=""):
        where = f"{name} {function}".strip()
        if amount > self.largest.get(what, (0, ""))[0]:
            self.largest[what] = (amount, where)
        if amount <= budget:
            return
        exception = EXCEPTIONS.get((name, function))
        if exception and exception[0] == what and amount <= exception[1]:
            self.used.add((name, function))
            return
        self.problems.append(f"{where}: {amount} {what}; the budget is {budget}")


def check_text(budgets, name, source):
    """Line lengths, leftovers, commented-out code."""
    for number, line in enumerate(source.splitlines(), 1):
        if len(line) > LINE_COLUMNS:
            budgets.check("columns", LINE_COLUMNS, len(line), name, f"line {number}")
        if LEFTOVER.search(line) and not name.startswith("tests/lint/"):
            budgets.problems.append(f"{name}:{number}: a leftover note; write an issue instead")
        if not name.endswith(".py") and COMMENTED_CODE.match(line):
            budgets.problems.append(f"{name}:{number}: commented-out code")


def main():
    budgets = Budgets()
    for name in tree.files():
        suffix = pathlib.PurePath(name).suffix
        if suffix not in tree.CXX_SUFFIXES | {".py", ".sh", ".cmake"}:
            continue
        source = tree.text(name)
        budgets.check("lines in a file", FILE_LINES, source.count("\n"), name)
        check_text(budgets, name, source)
        functions = []
        if suffix in tree.CXX_SUFFIXES:
            functions = cxx_functions(source)
        elif suffix == ".py":
            functions = python_functions(source)
        for function, _, lines, parameters in functions:
            budgets.check("lines in a function", FUNCTION_LINES, lines, name, function)
            budgets.check("parameters", PARAMETERS, parameters, name, function)
    for unused in set(EXCEPTIONS) - budgets.used:
        budgets.problems.append(f"budgets.py: the exception {unused} is not needed any more")
    for what, (amount, where) in sorted(budgets.largest.items()):
        print(f"most {what}: {amount}, {where}")
    tree.report("budgets", budgets.problems)


if __name__ == "__main__":
    main()
