"""Calls whose cost nobody knew, and what exports of their providers make of them: a part of command.py."""

import calendar
import time
from decimal import Decimal
from pathlib import Path


def corrects(farebox, folder, clock, origin, stack):
    """Calls whose cost nobody knew, corrected to what the exports of both providers' consoles say."""
    post, drain, settled = stack
    day, _ = clock.noon(0)
    said = [{"role": "user", "content": "hello"}]
    claude = {"model": "anthropic/claude-opus-5", "max_tokens": 200, "speed": "fast", "messages": said}
    gpt = {"model": "openai/gpt-4o-mini", "max_tokens": 200, "messages": said}
    for provider in ("anthropic", "openai"):
        farebox.run(f"credential set demo {provider} --base-url {origin}", given="sk-x\n")
    for path, body in [("/v1/messages", claude), ("/v1/chat/completions", gpt)]:
        for _ in range(2):
            status, _, text = post(path, body)
            assert status >= 500, (status, text)
    drain()
    held = settled(farebox, day)

    # claude-opus-5, fast and us: 10 and 50 USD a million, a tenth more. gpt-4o-mini: 0.15 and 0.6.
    exports = {
        "anthropic": ("0.01144", "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
                      "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
                      "usage_output_tokens,web_search_count,inference_geo,speed\n"
                      f"{day},claude-opus-5,k,Default,standard,≤ 200k,30,0,0,0,150,0,us,fast\n"
                      f"{day},claude-opus-5,k,Default,standard,≤ 200k,10,0,0,0,50,0,us,fast\n"
                      f"{day},claude-opus-5,k,Default,batch,≤ 200k,7000,0,0,0,5000,0,global,\n"),
        "openai": ("0.000009", "start_time,end_time,num_model_requests,model,batch,service_tier,input_tokens,output_tokens,input_cached_tokens\n"
                   + "".join(f"{hour},{hour + 3600},{calls},gpt-4o-mini-2024-07-18,false,default,{calls * 10},{calls * 5},0\n"
                             for hour, calls in openai_hours(day))),
    }
    for provider, (cost, text) in exports.items():
        Path(folder, f"{provider}.csv").write_text(text)
        line, = unknown_lines(farebox, f"reconcile --import {folder}/{provider}.csv --provider {provider}")
        assert line["determined"] == [] and "not an hour past" in line["open"], line
    assert settled(farebox, day) == held, "a day that is not over determines nothing"

    clock.noon(1)
    truth = Decimal(0)
    for provider, (cost, text) in exports.items():
        ask = f"reconcile --import {folder}/{provider}.csv --provider {provider}"
        line, = unknown_lines(farebox, ask)
        assert (line["unknown_calls"], len(line["determined"]), line["determined_usd"]) == (2, 2, cost), line
        held -= Decimal(line["charged_usd"])
        truth += Decimal(cost)
        assert "They are corrected." in farebox.run(ask + " --apply")
        again, = unknown_lines(farebox, ask + " --apply")
        assert (again["charged_usd"], again["error_bar_usd"]) == (cost, "0"), again
        drain()
        assert settled(farebox, day) == held + truth, provider
    assert held == 0

    # OpenAI's cost export says what the day cost, and its two calls stand in the same budgets. The day before has none, and a cost.
    head, start = "start_time,end_time,amount_value,amount_currency\n", openai_hours(day)[0][0]
    ask = f"reconcile --import {folder}/costs.csv --provider openai --apply"
    of_day = f"{start},{start + 86400},0.0000120000000,usd\n"
    Path(folder, "costs.csv").write_text(head + f"{start - 86400},{start},5,usd\n" + of_day)
    assert "Nothing is corrected" in farebox.run(ask)
    drain()
    assert settled(farebox, day) == truth
    Path(folder, "costs.csv").write_text(head + of_day)
    told = farebox.run(ask)
    assert "2 calls whose outcome nobody knew are corrected." in told and "may be up to 0 USD" in told, told
    drain()
    # A pico-USD more than is written: what is written is rounded.
    assert settled(farebox, day) == truth - Decimal("0.000009") + Decimal("0.000012000001")


def openai_hours(day):
    """Every hour of the day, and the two calls at noon."""
    start = calendar.timegm(time.strptime(day, "%Y-%m-%d"))
    return [(start + hour * 3600, 2 if hour == 12 else 0) for hour in range(24)]


def unknown_lines(farebox, line):
    return [line for bucket in farebox.json(line) for line in bucket["lines"] if line["unknown_calls"]]
