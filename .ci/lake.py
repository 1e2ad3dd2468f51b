"""The lake's files as another reader of Parquet sees them: `lake.py FAREBOX_LOCAL`, with pyarrow.

It makes calls, lets the scheduler write their day, and compares each row with what the admin API shows of
it; `pyarrow.dataset` finds the partitions by their names, as Athena does.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from decimal import Decimal

import pyarrow
import pyarrow.dataset

BUCKET = "farebox-rows"
PROMPT = "a question that no file may keep"


def send(url, body=None, key=None, method=None, tags=None):
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if tags:
        headers["x-farebox-tags"] = tags
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def rows_of(ready):
    for model, tags in [("chat", "team=search,quote=\"x\""), ("exact", None), ("claude", None), ("chat", None)]:
        body = {"provider": "demo", "model": model, "options": {"max_tokens": 30}}
        body["messages"] = [{"role": "user", "content": PROMPT}]
        send(ready["base_url"] + "/v1/chat", body, ready["key"], tags=tags)
    send(ready["services_url"] + "/_local/drain", method="POST")
    found, cursor = {}, ""
    while cursor is not None:
        page = send(f"{ready['admin_url']}/requests?limit=100{cursor}", key=ready["admin_key"])
        found |= {row["request_id"]: row for row in page["requests"]}
        cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
    return found


def same(row, told):
    """A row of the lake beside the admin API's."""
    started = row["started_at"].strftime("%Y-%m-%dT%H:%M:%S")
    assert told["started_at"].startswith(started), (row, told)
    partition = f"{row['year']}-{row['month']:02}-{row['day']:02}"
    assert told["started_at"].startswith(partition), (row, told)
    for name, other in [("user_id", "user"), ("key_id", "key_id"), ("provider", "provider"), ("model", "model"), ("outcome", "outcome")]:
        assert row[name] == told[other], (name, row, told)
    for name, other in [("charged_usd", "cost_usd"), ("hold_usd", "hold_usd")]:
        assert row[name] == (None if told[other] is None else Decimal(told[other])), (name, row, told)
    for name in ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens"):
        assert row[name] == (told["usage"] or {}).get(name), (name, row, told)
    assert (json.loads(row["labels"]) if row["labels"] else {}) == told["labels"], (row, told)


def main(local):
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"FAREBOX_LAKE_BUCKET": BUCKET}
        stack = subprocess.Popen([local, "--port", "0", "--json", "--state", f"{folder}/state"],
                                 stdout=subprocess.PIPE, text=True, cwd=folder, env=environment)
        try:
            ready = json.loads(stack.stdout.readline())
            told = rows_of(ready)
            # The minute in which all days are looked at, when the calls' day is over.
            after = time.gmtime((time.time() // 3600 + 48) * 3600 + 31 * 60)
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", after)
            for _ in range(5):
                send(f"{ready['services_url']}/_local/schedule?time={at}", method="POST")
            root = f"{folder}/state/s3/{BUCKET}/rows"
            table = pyarrow.dataset.dataset(root, format="parquet", partitioning="hive").to_table()
        finally:
            stack.send_signal(signal.SIGINT)
            stack.wait(timeout=30)
        assert table.schema.field("charged_usd").type == pyarrow.decimal128(38, 12), table.schema
        rows = {row["request_id"]: row for row in table.to_pylist()}
        assert table.num_rows == len(rows) and rows.keys() == told.keys(), (rows.keys(), told.keys())
        for id, row in rows.items():
            same(row, told[id])
        assert PROMPT not in str(rows)
    print(f"the lake has the {len(rows)} rows of the log")


if __name__ == "__main__":
    main(*sys.argv[1:])
