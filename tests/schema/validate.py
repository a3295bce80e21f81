"""Validates documents against a schema: validate.py SCHEMA DOCUMENTS

Each line of DOCUMENTS is JSON: {"name", "valid", "document"}. Prints a line for each whose validity is not the expected
one, and for each message of a valid one that is refused.
"""

import json
import sys

from jsonschema import Draft202012Validator


def faults(validator, case):
    errors = sorted(validator.iter_errors(case["document"]), key=lambda error: list(map(str, error.path)))
    if case["valid"]:
        for error in errors:
            yield "/".join(map(str, error.path)) + ": " + error.message
    elif not errors:
        yield "is accepted"


def main(schema_path, documents_path):
    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    with open(documents_path, encoding="utf-8") as file:
        for case in map(json.loads, file):
            for fault in faults(validator, case):
                print(f"{case['name']}: {fault}")


main(*sys.argv[1:])
