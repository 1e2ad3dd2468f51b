"""An export by the rules of FOCUS 1.2, line by line.

What each column must be stands in `shared/cli/tests/focus-1.2.csv`; what columns owe to each other
stands here. Both are of the specification's tag v1.2, `specification/columns`.
"""

import csv
import json
import re
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

TABLE = Path(__file__).parent.parent / "shared/cli/tests/focus-1.2.csv"
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
# Both are null, or neither is.
TOGETHER = [
    ("ConsumedQuantity", "ConsumedUnit"), ("PricingQuantity", "PricingUnit"), ("SkuId", "SkuMeter"),
    ("SubAccountId", "SubAccountName"), ("ResourceId", "ResourceType"),
]
# One value of the first has one of the second.
ONE_OF = [("SkuId", "SkuMeter"), ("SkuId", "PricingUnit"), ("ServiceName", "ServiceCategory"), ("ServiceName", "ServiceSubcategory"),
          ("ServiceSubcategory", "ServiceCategory"), ("ResourceId", "SubAccountId")]


def columns():
    with TABLE.open() as table:
        return [row for row in csv.DictReader(table) if not row["LeftOut"]]


def check_cell(column, cell):
    name, kind = column["Column"], column["Type"]
    if cell == "":
        assert column["Nulls"] == "yes", f"{name} is null"
        return
    assert cell.strip(), f"{name} is blank"
    if column["Allowed"]:
        assert cell in column["Allowed"].split(";"), f"{name}: {cell}"
    if kind == "Decimal":
        assert NUMBER.fullmatch(cell), f"{name}: {cell}"
    elif kind == "Date/Time":
        assert TIME.fullmatch(cell), f"{name}: {cell}"
    elif kind == "JSON":
        assert all(isinstance(value, (str, int, bool, type(None))) for value in json.loads(cell).values()), f"{name}: {cell}"


def check(lines):
    """Each line of a CSV: an empty cell is null."""
    wanted, seen = columns(), defaultdict(set)
    assert lines and list(lines[0]) == [column["Column"] for column in wanted], list(lines[0])
    for line in lines:
        for column in wanted:
            check_cell(column, line[column["Column"]])
        for one, other in TOGETHER:
            assert (line[one] == "") == (line[other] == ""), (one, other, line)
        for one, other in ONE_OF:
            seen[one, other, line[one]].add(line[other])
        is_usage = line["ChargeCategory"] == "Usage"
        for name in ("ConsumedQuantity", "PricingQuantity", "PricingCategory", "SkuId"):
            assert (line[name] != "") == is_usage, (name, line)
        # What was agreed on is what is billed; the list is dearer where a discount was taken off.
        assert {line[name] for name in ("BilledCost", "ContractedCost", "EffectiveCost")} == {line["BilledCost"]}, line
        assert line["ListCost"] == line["BilledCost"] or (is_usage and Decimal(line["ListCost"]) > Decimal(line["BilledCost"])), line
        assert line["ChargeClass"] == "" and line["InvoiceId"] == "", "no invoice was issued that a line could correct"
        assert line["ResourceId"] or not line["ResourceName"], line
        assert (line["ChargeFrequency"] == "Usage-Based") == is_usage, line
        assert re.fullmatch("[A-Z]{3}", line["BillingCurrency"])
        start, end = line["ChargePeriodStart"], line["ChargePeriodEnd"]
        assert line["BillingPeriodStart"] <= start < end <= line["BillingPeriodEnd"], line
    for (one, other, value), found in seen.items():
        assert value == "" or len(found) == 1, (one, value, other, found)


def check_parquet(table, lines):
    """The same lines, in the types of the specification; null is null."""
    for column in columns():
        name = column["Column"]
        kind = {"Decimal": "decimal128(38, 12)", "Date/Time": "timestamp[ms, tz=UTC]"}.get(column["Type"], "string")
        assert str(table.schema.field(name).type) == kind, (name, table.schema.field(name).type)
        for cell, line in zip(table[name].to_pylist(), lines, strict=True):
            said = line[name]
            if said == "" or cell is None:
                assert cell is None and said == "", (name, cell, said)
            elif column["Type"] == "Decimal":
                assert cell == Decimal(said), (name, cell, said)
            elif column["Type"] == "Date/Time":
                assert cell.strftime("%Y-%m-%dT%H:%M:%SZ") == said, (name, cell, said)
            else:
                assert cell == said, (name, cell, said)
