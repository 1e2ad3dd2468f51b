"""The operator's command against the whole product: `command.py FAREBOX FAREBOX_LOCAL`.

Both are executables. It starts the local stack, makes some calls, and types what an operator types:
what the command says must be what the gateway's own answers add up to. A part of it runs on a
pseudo-terminal. Shared libraries beside libc fail it.
"""

import csv
import io
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.parquet

import focus
import unknown

# What libc is made of, and what Rust's standard library needs of the compiler's.
LIBC = {"linux-vdso", "libc", "libm", "libdl", "libpthread", "librt", "libgcc_s", "ld-linux-x86-64", "ld-linux-aarch64"}
MONTH = time.strftime("%Y-%m", time.gmtime())


def libraries(executable):
    listed = subprocess.run(["ldd", executable], capture_output=True, text=True, check=True).stdout
    names = [line.split()[0].rsplit("/", 1)[-1].split(".so")[0] for line in listed.splitlines() if line.strip()]
    foreign = [name for name in names if name not in LIBC]
    assert not foreign, f"needs more than libc: {foreign}"


class Command:
    def __init__(self, executable, ready, home):
        self.executable = executable
        self.environment = {
            "PATH": os.environ["PATH"], "TERM": "xterm", "XDG_CONFIG_HOME": home,
        }
        self.run(f"login --url {ready['base_url']}", given=ready["admin_key"])

    def run(self, line, ok=True, given=""):
        done = subprocess.run([self.executable, *line.split()], env=self.environment, input=given,
                              capture_output=True, text=True, timeout=60)
        assert (done.returncode == 0) == ok, f"{line}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if ok else done.stderr

    def json(self, line, given=""):
        return json.loads(self.run(line + " --json", given=given))

    def terminal(self, line, typed=b"", stop_after=None):
        """On a pseudo-terminal; ended by Ctrl-C once `stop_after` was shown."""
        environment = {name: value for name, value in self.environment.items() if name != "NO_COLOR"}
        pid, master = pty.fork()
        if pid == 0:
            # Whoever runs this in the background has Ctrl-C ignored, and children inherit that.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execve(self.executable, [self.executable, *line.split()], environment)
        shown, ends = b"", time.time() + 60
        if typed:
            time.sleep(1)
            os.write(master, typed)
        while time.time() < ends:
            if not select.select([master], [], [], 1)[0]:
                continue
            try:
                more = os.read(master, 65536)
            except OSError:
                break
            if not more:
                break
            shown += more
            if stop_after and stop_after in shown:
                os.kill(pid, signal.SIGINT)
        else:
            os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"{line}: not over within a minute: {shown.decode()}")
        os.waitpid(pid, 0)
        return shown.decode()


def ask(ready, model, tags=""):
    body = {"provider": "demo", "model": model, "messages": [{"role": "user", "content": "Hello!"}], "options": {"max_tokens": 30}}
    headers = {"Authorization": f"Bearer {ready['key']}", "Content-Type": "application/json"}
    if tags:
        headers["x-farebox-tags"] = tags
    request = urllib.request.Request(ready["base_url"] + "/v1/chat", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return Decimal(answer.headers["x-farebox-cost-usd"])


def labelled(ready):
    """A call that is told apart as OpenAI's clients do it."""
    body = {"model": "demo/claude", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 30,
            "metadata": {"team": "ads"}, "user": "bob"}
    request_id = post(ready, "/v1/chat/completions", body)[1]
    drain(ready)
    request = urllib.request.Request(ready["base_url"] + f"/v1/requests/{request_id}", headers={"Authorization": f"Bearer {ready['key']}"})
    with urllib.request.urlopen(request) as answer:
        return Decimal(json.load(answer)["cost_usd"])


def by_label(farebox, costs):
    """Each call's label, however it was sent, in the statement and the usage: its cost to the last digit."""
    for label, wanted in [("team", {"search": costs["tags"], "ads": costs["metadata"]}), ("end_user", {"bob": costs["metadata"]})]:
        lines = list(csv.DictReader(io.StringIO(farebox.run(f"statement --month {MONTH} --by label:{label}"))))
        assert {line[f"label:{label}"]: Decimal(line["charged_usd"]) for line in lines} == wanted, lines
        rows = farebox.json(f"usage --by label:{label} --since 1d")["rows"]
        assert {row["by"][f"label:{label}"]: Decimal(row["charged_usd"]) for row in rows} == wanted, rows
    lines = list(csv.DictReader(io.StringIO(farebox.run(f"statement --month {MONTH} --by label:team,model"))))
    assert [(line["label:team"], line["model"]) for line in lines] == [("ads", "demo/claude"), ("search", "demo/chat")], lines


def reports(farebox, costs, folder):
    spent = sum(costs.values())
    report = farebox.json("usage --by model --since 7d")
    assert Decimal(report["total"]["charged_usd"]) == spent, report
    assert sum(Decimal(row["charged_usd"]) for row in report["rows"]) == spent
    lines = list(csv.DictReader(io.StringIO(farebox.run(f"statement --month {MONTH} --by user"))))
    assert [(line["user"], Decimal(line["charged_usd"])) for line in lines] == [("demo", spent)], lines
    by_label(farebox, costs)
    lines = exported(farebox, MONTH, folder, spent)
    assert {line["ProviderName"] for line in lines} == {"demo"}
    tags = {line["ServiceName"]: json.loads(line["Tags"]) for line in lines}
    wanted = {"demo/chat": {"team": "search"}, "demo/claude": {"team": "ads", "end_user": "bob"}, "demo/exact": {}}
    assert tags == wanted, lines
    assert "top" in farebox.run("top --once") and "demo" in farebox.run("top --once")


def exported(farebox, month, folder, books):
    """The lines of an export, by the specification and by another reader of Parquet than the writer's own."""
    lines = list(csv.DictReader(io.StringIO(farebox.run(f"export focus --month {month}"))))
    assert sum(Decimal(line["BilledCost"]) for line in lines) == books, (books, lines)
    focus.check(lines)
    farebox.run(f"export focus --month {month} --output {folder}/focus.parquet")
    table = pyarrow.parquet.read_table(f"{folder}/focus.parquet")
    assert table.column_names == list(lines[0]) and table.num_rows == len(lines)
    focus.check_parquet(table, lines)
    return lines


def charged_in(farebox, month):
    return Decimal(farebox.json(f"usage --by month --since {month} --until {month}")["total"]["charged_usd"])


def imports(farebox, ready, folder):
    table = Path(folder, "people.csv")
    table.write_text("kind,id,name,org,user,models,labels,month_usd\norg,acme,Acme,,,,,1000\nuser,ann,Ann,acme,,,,50\n"
                     "key,ci,,,ann,demo/*,team=search,\n")
    assert "Nothing is changed yet" in farebox.run(f"import csv {table}")
    assert "ann" not in farebox.run("user list"), "a dry run changes nothing"
    made = farebox.run(f"import csv {table} --apply")
    assert made.startswith("sk-fb-local-"), made
    assert len(farebox.json("key list --user ann")["keys"]) == 1
    assert farebox.json("budget show user:ann")["month_limit_usd"] == "50"
    # What an owner has set since, the file says nothing of: it stays, whatever is run again.
    farebox.run("user allow ann --keys 2 --key-max-cost-usd 0.5 --credentials true")
    farebox.run("budget set user:ann --mode soft --time-zone Europe/Berlin --alert-thresholds 10,90 --day 7")
    looks = ["user show ann", "org show acme", "budget show user:ann", "budget show org:acme", "key list --user ann"]
    before = [farebox.json(look) for look in looks]
    assert before[0]["self_service"]["keys"] == 2 and before[2]["time_zone"] == "Europe/Berlin", before
    for _ in range(2):
        again = farebox.json(f"import csv {table} --apply")
        assert again == {"keys": [], "steps": [], "unchanged": 5}, again
    assert "Nothing to do: all 5 steps of the file are so already." in farebox.run(f"import csv {table}")
    assert "nothing is changed" in farebox.run("user add ann")
    assert "nothing is changed" in farebox.run("user add ann --name Ann --org acme")
    assert [farebox.json(look) for look in looks] == before
    farebox.run("user add ann --name Anna")
    anna = farebox.json("user show ann")
    assert (anna["name"], anna["org"], anna["self_service"]) == ("Anna", "acme", before[0]["self_service"]), anna
    assert "user ann" in farebox.run(f"import csv {table}"), "the file says another name"
    farebox.run(f"import csv {table} --apply")
    assert farebox.json("user show ann")["self_service"] == before[0]["self_service"]
    farebox.run("user add ann --org none")
    assert "org" not in farebox.json("user show ann")
    farebox.run("user add ann --org acme")
    # A change with an end date ends by itself: the file is about what comes after it.
    farebox.run("budget set user:ann --month 80 --until 2099-01-01T00:00:00Z")
    assert farebox.json(f"import csv {table} --apply")["unchanged"] == 5
    table.write_text(table.read_text().replace(",50\n", ",55\n"))
    told = farebox.run(f"import csv {table} --apply")
    assert "still to type: farebox budget set user:ann" in told and "2099-01-01" in told, told
    assert farebox.json("budget show user:ann")["month_limit_usd"] == "80"
    table.write_text("kind,id,month_usd\nuser,a b,\nuser,bob,lots\n")
    told = farebox.run(f"import csv {table} --apply", ok=False)
    assert "line 2, id:" in told and "line 3, month_usd:" in told, told
    assert "bob" not in farebox.run("user list"), "a file with a fault changes nothing"
    config = Path(folder, "config.yaml")
    config.write_text("model_list:\n  - model_name: fast\n    litellm_params: {model: demo/chat, api_key: sk-canary}\n")
    done = farebox.run(f"import litellm {config} --owner org:acme --apply")
    assert "credential set org:acme demo" in done and "canary" not in done, done
    assert "fast" in farebox.run("route list")
    farebox.run("route set fast --retries 2")
    route = farebox.json("route show fast")
    farebox.run(f"credential set org:acme demo --base-url {ready['demo_provider_url']}", given="demo-key\n")
    assert "Nothing to do" in farebox.run(f"import litellm {config} --owner org:acme --apply")
    assert farebox.json("route show fast") == route


def usage_files(farebox, folder):
    """A console's CSV of usage beside the books: added up by time and model, and nothing corrected unasked."""
    export = Path(folder, "usage.csv")
    head = "start_time,end_time,project_id,num_model_requests,model,input_tokens,output_tokens,input_cached_tokens"
    export.write_text(f"\ufeff{head}\r\n1761523200,1761523260,,,,,,\r\n"
                      "1761523260,1761523320,p1,3.0,gpt-4o-mini-2024-07-18,7162,500,1280\r\n"
                      '1761523260,1761523320,"p2, other",1.0,gpt-4o-mini-2024-07-18,38,5,0\r\n')
    lines = [line for bucket in farebox.json(f"reconcile --import {export} --provider openai") for line in bucket["lines"]]
    told = [(line["model"], line["reported_tokens"], line["settled_tokens"], line["unknown_calls"]) for line in lines]
    assert told == [("gpt-4o-mini", "7705", "0", 0)], lines
    assert "--apply corrects" in farebox.run(f"reconcile --import {export} --provider openai")
    assert "no column usage_date_utc" in farebox.run(f"reconcile --import {export} --provider anthropic", ok=False)
    export.write_text("start_time,model\r\n1,\r\n")
    assert "line 1: there is no column" in farebox.run(f"reconcile --import {export} --provider openai --apply", ok=False)


def looks(farebox, ready):
    """Secrets come by a prompt or standard input: what the environment says is heeded nowhere."""
    kept = Path(farebox.environment["XDG_CONFIG_HOME"], "farebox", "profile.json")
    assert kept.stat().st_mode & 0o777 == 0o600, "the key is its owner's alone"
    farebox.environment |= {"FAREBOX_ADMIN_KEY": "sk-fba-no", "FAREBOX_KEY": "sk-fb-no"}
    checks = {check["check"]: check["state"] for check in farebox.json("doctor --quote", given=ready["key"])}
    assert {check["check"]: check["state"] for check in farebox.json("doctor")}["quote"] == "skip"
    del farebox.environment["FAREBOX_ADMIN_KEY"], farebox.environment["FAREBOX_KEY"]
    elsewhere = farebox.run("user list --url http://127.0.0.1:9", ok=False)
    assert f"is for {ready['base_url']}, and is not sent to" in elsewhere, elsewhere
    assert checks["admin key"] == checks["quote"] == checks["reachable"] == "ok", checks
    assert checks["queue"] == checks["dead letters"] == "ok", checks
    assert "REQUEST ID" in farebox.run("requests tail -n 3")
    assert farebox.json("audit -n 5")["entries"], "changes are told"
    completes(farebox)


def completes(farebox):
    """What each shell is given: bash itself completes a command by it; zsh and fish read theirs where they are installed."""
    for shell, check in [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])]:
        script = farebox.run(f"completion {shell}")
        assert "farebox" in script and "budget-request" in script and "json" in script, shell
        if shutil.which(shell):
            subprocess.run(check, input=script, text=True, check=True)
    typed = 'source /dev/stdin; COMP_WORDS=(farebox "$@"); COMP_CWORD=$#; _farebox farebox "${!#}" ""; echo "${COMPREPLY[@]}"'
    for words, wanted in [(["req"], "requests"), (["requests", "ta"], "tail"), (["completion", "z"], "zsh")]:
        done = subprocess.run(["bash", "-c", typed, "bash", *words], input=farebox.run("completion bash"), capture_output=True, text=True)
        assert done.stdout.split() == [wanted], (words, done)


def terminals(farebox, ready):
    shown = farebox.terminal("usage --by model --since 1d")
    assert "\x1b[1mMODEL" in shown, shown
    drawn = farebox.terminal("top", stop_after=b"MODELS TODAY")
    assert "BUDGETS TODAY" in drawn, drawn
    typed = farebox.terminal(f"login --profile typed --url {ready['base_url']}", typed=ready["admin_key"].encode() + b"\n")
    assert "not shown" in typed and "as profile typed" in typed, typed
    assert ready["admin_key"] not in typed, "a secret is not echoed"
    assert "typed" in farebox.run("profile list")


def lets_in(farebox):
    """Who may sign in to the console."""
    farebox.run("sso set email:Ann@Example.com --role auditor")
    farebox.run("sso set group:r&d/all --role member --user nobody", ok=False)
    farebox.run("user add lin")
    farebox.run("sso set group:r&d/all --role member --user lin")
    listed = [(one["subject"], one["role"]) for one in farebox.json("sso list")["bindings"]]
    assert listed == [("email:ann@example.com", "auditor"), ("group:r&d/all", "member")], listed
    farebox.run("sso remove group:r&d/all")
    assert "group:" not in farebox.run("sso list") and farebox.json("sso sessions")["sessions"] == []
    farebox.run("sso end nobody", ok=False)


def signs(farebox, ready, folder):
    """By AWS access keys instead of an admin key: of the environment, and of a profile's file."""
    users = farebox.json("user list")
    keys = {"AWS_ACCESS_KEY_ID": "AKIALOCALOPS", "AWS_SECRET_ACCESS_KEY": ready["iam_secret"]}
    before = dict(farebox.environment)
    farebox.environment |= keys | {"HOME": folder}
    login = f"login --auth iam --profile signed --url {ready['base_url']}"
    refused = farebox.run(login, ok=False)
    assert "not allowed" in refused, refused
    farebox.run("iam grant arn:aws:iam::000000000000:user/ops --role admin")
    farebox.run(login)
    assert farebox.json("user list --profile signed") == users
    farebox.run("user add signed --name by_a/b&c --profile signed")
    assert "iam:arn:aws:iam::000000000000:user/ops" in farebox.run("audit")
    farebox.environment["AWS_SECRET_ACCESS_KEY"] += "x"
    assert "does not match" in farebox.run("user list", ok=False)
    for name in keys:
        del farebox.environment[name]
    folder = Path(folder) / ".aws"
    folder.mkdir()
    text = f"[ops]\naws_access_key_id = AKIALOCALOPS\naws_secret_access_key = {ready['iam_secret']}\n"
    (folder / "credentials").write_text(text)
    assert "no AWS access keys" in farebox.run("user list", ok=False)
    farebox.environment["AWS_PROFILE"] = "ops"
    assert len(farebox.json("user list")["users"]) == len(users["users"]) + 1
    # The profile signs now, by the machine's clock; what follows moves the stack's.
    farebox.environment = before
    farebox.run("profile use default")


class Refuses(BaseHTTPRequestHandler):
    """A provider whose every answer is a fault: nobody knows what it bills."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b'{"type":"error","error":{"type":"api_error","message":"no"}}'
        self.send_response(500)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Loses(BaseHTTPRequestHandler):
    """What stands between the command and the gateway, and loses answers to what the gateway has done."""

    def ask(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))) or None
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        request = urllib.request.Request(self.server.gateway + self.path, body, headers, method=self.command)
        with urllib.request.urlopen(request) as answer:
            text, tag = answer.read(), answer.headers["etag"]
        if self.command == "POST" and self.server.lost < self.server.loses:
            self.server.lost += 1
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        if tag:
            self.send_header("etag", tag)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = ask

    def log_message(self, *_):
        pass


def once(farebox, ready, folder):
    """A lost answer makes nothing twice: no second key, no second secret, and no second correction of money."""
    relay = ThreadingHTTPServer(("127.0.0.1", 0), Loses)
    relay.gateway, relay.lost, relay.loses = ready["base_url"], 0, 2
    threading.Thread(target=relay.serve_forever, daemon=True).start()
    through = Command(farebox.executable, ready | {"base_url": f"http://127.0.0.1:{relay.server_port}"}, f"{folder}/through")
    line = "key create --user demo --name once"
    told = through.run(line, ok=False)
    again = re.search(r"--idempotency-key [0-9a-f]{32}", told)
    assert again and relay.lost == 2, told
    secret = through.run(f"{line} {again[0]}").split()[0]
    made = [key for key in farebox.json("key list --user demo")["keys"] if key["name"] == "once"]
    assert len(made) == 1 and post(ready, "/v1/quote", {"model": "demo/chat", "messages": []}, secret)[0] != 401, made
    relay.loses = 3
    through.run(f"key rotate {made[0]['id']}")
    relay.loses = 4
    before = len(farebox.json("corrections")["corrections"])
    through.run("correct user:demo --amount-usd 0.000001 --reason once")
    assert relay.lost == 4 and len(farebox.json("corrections")["corrections"]) == before + 1
    farebox.run(f"key revoke {made[0]['id']} --force")
    relay.shutdown()


class Clock:
    """The clock of the stack, by the file that moves it; days are counted from tomorrow."""

    def __init__(self, folder):
        self.file = Path(folder, "clock")
        self.file.write_text("0")

    def noon(self, day):
        wanted = (int(time.time()) // 86400 + 1 + day) * 86400 + 43200
        beside = self.file.with_suffix(".new")
        beside.write_text(str(wanted * 1000 - int(time.time() * 1000)))
        beside.rename(self.file)
        return time.strftime("%Y-%m-%d", time.gmtime(wanted)), wanted


def post(ready, path, body, key=None):
    """Status, answer's id and text of a call."""
    headers = {"Authorization": f"Bearer {key or ready['key']}", "Content-Type": "application/json"}
    request = urllib.request.Request(ready["base_url"] + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers["x-request-id"], answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers["x-request-id"], answer.read()


def drain(ready):
    request = urllib.request.Request(ready["services_url"] + "/_local/drain", method="POST")
    urllib.request.urlopen(request).close()


def settled(farebox, day):
    """What a day of the user's budget has, as `reconcile` tells it: it fails where the log's rows add up to another sum."""
    lines = farebox.json(f"reconcile --month {day[:7]} --scope user:demo")
    of_day = [line for line in lines if line["period"].replace("-", "") == day.replace("-", "")]
    return Decimal(of_day[0]["settled_usd"]) if of_day else Decimal(0)


def rates_again(farebox, ready, folder, clock):
    """A call explained, its day rated again, and a lost settlement replayed: each once."""
    day, now = clock.noon(2)
    body = {"model": "demo/exact", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 30}
    status, request_id, text = post(ready, "/v1/chat/completions", body)
    assert status == 200, text
    drain(ready)
    row = farebox.json(f"explain {request_id}")
    cost = Decimal(row["cost_usd"])
    assert cost == sum(Decimal(line["amount_usd"]) for line in row["lines"]) > 0, row
    told = farebox.run(f"explain {request_id}")
    assert f"= {row['cost_usd']} USD  settled" in told and "prompt" in told and "in user:demo, key:" in told, told
    farebox.run("explain no_such", ok=False)
    assert settled(farebox, day) == cost

    farebox.run("price set demo/exact --input 100 --output 200")
    count = {line["class"]: line["count"] for line in row["lines"]}
    new = Decimal(count["prompt"] * 100 + count["completion"] * 200) / 1000000
    ask = f"rerate --from {day} --to {day} --model demo/exact"
    told = farebox.run(ask)
    assert f"1 of 1 calls differ, by {new - cost:f} USD together. Nothing is entered yet" in told, told
    assert settled(farebox, day) == cost
    assert "They are entered." in farebox.run(ask + " --apply")
    assert "Nothing to enter." in farebox.run(ask + " --apply")
    drain(ready)
    assert settled(farebox, day) == new
    assert f"= {new:f} USD  rated at" in farebox.run(f"explain {request_id}")
    farebox.run("price delete demo/exact")

    part = {"unheld": True, "day": int(day.replace("-", ""))}
    record = {"v": 1, "request_id": ulid(now), "rid": ulid(now), "tenant": "main", "user": "demo", "key_id": row["key_id"],
              "endpoint": "/v1/chat", "outcome": "settled", "decision": {"settle": "0.25"}, "http_status": 200,
              "response_time_ms": 5, "started_at": now * 1000, "scopes": row["scopes"],
              "parts": [{"scope": scope, **part} for scope in row["scopes"]]}
    lines = 'START\n2026 {"farebox.settlement.v1":%s}\nEND\n' % json.dumps(record)
    for _ in range(2):
        assert "1 settlements are sent" in farebox.run("replay -", given=lines)
        drain(ready)
    assert settled(farebox, day) == new + Decimal("0.25"), "once"
    made = exported(farebox, day[:7], folder, charged_in(farebox, day[:7]))
    assert {line["ChargeCategory"] for line in made} == {"Usage", "Adjustment"}, made
    refused = farebox.run("replay -", ok=False, given=lines.replace('"v": 1', '"v": 2'))
    assert "line 2:" in refused and "0 settlements are sent, 1 are not" in refused, refused


def ulid(seconds):
    number, digits = (seconds * 1000 << 80) + 7, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    return "".join(digits[number >> 5 * place & 31] for place in reversed(range(26)))


def main(executable, local):
    libraries(executable)
    with tempfile.TemporaryDirectory() as folder:
        clock, refuses = Clock(folder), ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
        threading.Thread(target=refuses.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{refuses.server_port}"
        stack = subprocess.Popen([local, "--port", "0", "--json", "--ephemeral", "--clock", clock.file], stdout=subprocess.PIPE, text=True, cwd=folder,
                                 env=os.environ | {"FAREBOX_ALLOWED_ORIGINS": origin})
        try:
            ready = json.loads(stack.stdout.readline())
            farebox = Command(executable, ready, folder)
            costs = {"tags": ask(ready, "chat", "team=search"), "metadata": labelled(ready), "none": ask(ready, "exact")}
            drain(ready)
            reports(farebox, costs, folder)
            looks(farebox, ready)
            imports(farebox, ready, folder)
            usage_files(farebox, folder)
            once(farebox, ready, folder)
            terminals(farebox, ready)
            lets_in(farebox)
            signs(farebox, ready, folder)
            unknown.corrects(farebox, folder, clock, origin, (lambda path, body: post(ready, path, body), lambda: drain(ready), settled))
            rates_again(farebox, ready, folder, clock)
        finally:
            stack.send_signal(signal.SIGINT)
            stack.wait(timeout=30)
    print("the command says what the gateway does")


if __name__ == "__main__":
    main(*sys.argv[1:])
