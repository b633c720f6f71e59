#!/usr/bin/env python3
"""Renders templates with Python's jinja2, the reference for package jinja.

Standard input: a JSON list of cases {"name", "source", "vars"}. Standard
output: the same list with "output", or "error" where rendering fails. The
environment is the one Hugging Face transformers renders chat templates in,
except that lists and dictionaries may be changed, and with the filter
from_json, which some templates expect.

With --cases FILE the cases come from a text file of our own format instead:
"=== name" begins a case and the template follows; "--- vars" on a line of its
own begins the variables in JSON.

    python3 make_goldens.py --cases cases.txt > goldens.json
"""
import datetime
import json
import sys

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.sandbox import SandboxedEnvironment

NOW = datetime.datetime(2026, 3, 5, 14, 7, 9)


class Generation(Extension):
    """{% generation %} blocks: rendered like their body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = SandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    env.filters["tojson"] = tojson
    env.filters["from_json"] = json.loads
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def read_cases(path):
    cases = []
    with open(path, encoding="utf-8", newline="") as f:
        blocks = f.read().split("=== ")[1:]
    for block in blocks:
        name, rest = block.split("\n", 1)
        source, _, variables = rest.partition("\n--- vars\n")
        if not variables and source.endswith("\n"):
            source = source[:-1]
        cases.append({"name": name, "source": source, "vars": json.loads(variables or "{}")})
    return cases


def main():
    if sys.argv[1:2] == ["--cases"]:
        cases = read_cases(sys.argv[2])
    else:
        cases = json.load(sys.stdin)
    env = environment()
    compiled = {}
    for case in cases:
        source = case["source"]
        try:
            if source not in compiled:
                compiled[source] = env.from_string(source)
            case["output"] = compiled[source].render(case["vars"])
        except Exception as e:  # whatever a template can provoke
            case["error"] = f"{type(e).__name__}: {e}"
    json.dump(cases, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
