// What is spent, of what limits, and what it comes to.
"use strict";

const DAY_MS = 86_400_000;
/** Whose budgets can have limits; those of models stand among their owners'. */
const KINDS = ["org", "team", "user", "key"];
const PERIODS = ["day", "month", "total"];
const CHART_DAYS = 30;
const DANGER_ROWS = 12;

const card = (label, figure, note, kind) => h("div", { class: "card" }, h("p", { class: "label" }, label),
  h("p", { class: `figure ${kind ?? ""}` }, figure), note ? h("p", { class: "note" }, note) : null);

const scopeName = (scope) => `${scope.kind}:${scope.id}`;

function periodOf(scope, name) {
  return scope.periods.find((period) => period.period === name) ?? {};
}

const sum = (rows, of) => rows.reduce((all, row) => all + (pico(of(row)) ?? 0n), 0n);

// ---- time ----------------------------------------------------------------------------------------

/** A time zone's own clock at an instant, as if it were UTC's. */
function clockOf(at, zone) {
  const parts = new Intl.DateTimeFormat("en", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
  }).formatToParts(at);
  const of = (type) => Number(parts.find((part) => part.type === type).value);
  return Date.UTC(of("year"), of("month") - 1, of("day"), of("hour"), of("minute"), of("second"));
}

/** When a day or month that ends at `end` began, by its own zone's clock, which may have been put back or forward in it. */
function beginOf(name, end, zone) {
  const last = new Date(clockOf(end - 1000, zone));
  const wanted = Date.UTC(last.getUTCFullYear(), last.getUTCMonth(), name === "month" ? 1 : last.getUTCDate());
  const guess = wanted - (clockOf(wanted, zone) - wanted);
  return guess - (clockOf(guess, zone) - wanted);
}

/** What a period comes to if it goes on as it did; null while less than a 24th of it has gone: too early to tell. */
function forecast(spent, begin, end, now) {
  const gone = Math.min(now, end) - begin;
  return gone * 24 < end - begin ? null : (spent * BigInt(end - begin)) / BigInt(gone);
}

/** The forecast of one period of a budget, in the budget's own time zone; null where there is none. */
function forecastOf(budget, name, now) {
  const period = periodOf(budget, name);
  if (!period.resets_at) return null;
  const end = Date.parse(period.resets_at);
  try {
    return forecast(pico(period.settled_usd), beginOf(name, end, budget.time_zone), end, now);
  } catch {
    return null; // This browser does not know the zone.
  }
}

/** A guess for people: three digits of it. */
function about(amount) {
  const unit = 10n ** BigInt(Math.max(String(amount).length - 3, 0));
  return usd(((amount + unit / 2n) / unit) * unit);
}

// ---- limits --------------------------------------------------------------------------------------

function meterOf(period) {
  const limit = pico(period.limit_usd);
  if (limit === null || limit === undefined) return "no limit";
  const used = pico(period.settled_usd) + pico(period.held_usd);
  const percent = limit > 0n ? Number((used * 1000n) / limit) / 10 : 100;
  const text = `${usd(used)} of ${usd(limit)}`;
  return h("span", {}, h("meter", { min: 0, max: 100, high: 80, value: Math.min(percent, 100), "aria-label": `${percent} % used` }), ` ${text}`);
}

/** What is used of one period's limit, in thousandths; null where it has none. */
function shareOf(budget, name) {
  const period = periodOf(budget, name);
  const limit = pico(period.limit_usd);
  if (limit === null) return null;
  return limit > 0n ? Number(((pico(period.settled_usd) + pico(period.held_usd)) * 1000n) / limit) : 1000;
}

/** Of a day's or month's limits the one that is used most: its meter and its words. */
function nearest(budgets, name) {
  const [most] = budgets.filter((budget) => shareOf(budget, name) !== null).sort((a, b) => shareOf(b, name) - shareOf(a, name));
  if (!most) return [`no limit for a ${name}`];
  return ["most used limit: ", h("span", { class: shareOf(most, name) >= 800 ? "warn" : null }, `${shareOf(most, name) / 10} % of ${scopeName(most)}'s ${usd(periodOf(most, name).limit_usd)}`)];
}

/** How near a budget comes to a limit, at its worst: thousandths of it that are used or forecast. */
function danger(budget, now) {
  const shares = PERIODS.map((name) => {
    const period = periodOf(budget, name);
    const limit = pico(period.limit_usd);
    if (!limit) return -1n;
    const used = pico(period.settled_usd) + pico(period.held_usd);
    const expected = forecastOf(budget, name, now) ?? 0n;
    return ((used > expected ? used : expected) * 1000n) / limit;
  });
  return Number(shares.reduce((most, share) => (share > most ? share : most)));
}

function limitsTable(budgets, now) {
  const expected = (name) => (budget) => {
    const period = periodOf(budget, name);
    if (!period.limit_usd) return null;
    const comes = forecastOf(budget, name, now);
    if (comes === null) return "too early";
    return h("span", { class: comes > pico(period.limit_usd) ? "warn" : null }, about(comes));
  };
  const meter = (name) => (budget) => (periodOf(budget, name).limit_usd ? meterOf(periodOf(budget, name)) : null);
  return table("Limits, the nearest to be reached first", [
    col("Budget", scopeName, "id"), col("Mode", "mode"),
    col("Day", meter("day")), col("Its forecast", expected("day"), "amount"),
    col("Month", meter("month")), col("Its forecast", expected("month"), "amount"),
    col("Total", meter("total")),
  ], budgets.slice(0, DANGER_ROWS), "No budget has a limit: nothing is refused for its cost.");
}

// ---- the page ------------------------------------------------------------------------------------

function chart(days) {
  const place = h("div", { class: "chart", role: "img", "aria-label": "Spend by day; the table below has the figures" });
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
  const data = [days.map((one) => one.at), days.map((one) => one.spent)];
  const draw = () => {
    place.replaceChildren();
    return new uPlot({
      width: Math.max(place.clientWidth, 240), height: 240, legend: { show: false }, cursor: { show: false },
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      scales: { x: { time: true, range: [days[0].at - 43_200, days.at(-1).at + 43_200] }, y: { range: (_, __, most) => [0, most || 1] } },
      axes: [{ ...axis, values: "{MMM} {D}", space: 60 }, { ...axis, size: 68, values: (_, marks) => marks.map((mark) => `$${+mark.toPrecision(3)}`) }],
      series: [{}, { fill: color("--bar"), stroke: color("--bar"), paths: uPlot.paths.bars({ size: [0.7, 60] }), points: { show: false } }],
    }, data, place);
  };
  requestAnimationFrame(() => {
    draw();
    new ResizeObserver(draw).observe(place);
  });
  return place;
}

async function overview() {
  const now = new Date();
  const month = day(now).slice(0, 7);
  const [begin, end] = [0, 1].map((more) => Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + more, 1));
  const first = Math.min(begin, Date.parse(day(now)) - (CHART_DAYS - 1) * DAY_MS);
  const span = { since: month, until: month };
  const [byDay, byModel, byUser, operator, quarantine, asked, ...pages] = await Promise.all([
    get(at("usage", { by: "day", since: day(new Date(first)), until: day(now) })),
    get(at("usage", { by: "model", ...span })), get(at("usage", { by: "user", ...span })),
    ifAllowed("alerts/operator?state=open", { alerts: [] }), ifAllowed("quarantine", { quarantine: [] }),
    ifAllowed("budget-requests?state=open", { budget_requests: [] }), ...KINDS.map((kind) => get(at("budgets", { kind, order: "nearest" }))),
  ]);
  const ofMonth = byDay.rows.filter((row) => row.by.day.startsWith(month));
  const count = (name) => ofMonth.reduce((all, row) => all + row[name], 0);
  const spent = sum(ofMonth, (row) => row.charged_usd);
  const expected = forecast(spent, begin, end, now.getTime());
  const spentOn = new Map(byDay.rows.map((row) => [row.by.day, row]));
  const days = [];
  for (let time = first; time <= now.getTime(); time += DAY_MS) {
    const row = spentOn.get(day(new Date(time)));
    days.push({ at: time / 1000, name: day(new Date(time)), row, spent: row ? Number(pico(row.charged_usd)) / 1e12 : 0 });
  }
  const top = (name, found) => table(`This month by ${name}`, [
    col(name[0].toUpperCase() + name.slice(1), (row) => row.by[name] ?? "(none)"),
    col("Calls", "calls", "count"),
    col("Refused", "refused", "count"),
    col("Tokens", (row) => number(row.prompt_tokens + row.completion_tokens), "amount"),
    col("Spend", "charged_usd", "usd"),
  ], [...found.rows].sort((a, b) => (pico(b.charged_usd) > pico(a.charged_usd) ? 1 : -1)).slice(0, 8), "No call was made this month.");
  const faults = [operator.alerts, quarantine.quarantine, asked.budget_requests].reduce((all, rows) => all + rows.length, 0);

  // Each kind's answer is of its first 2000: the figures of all of them, and the budgets that are the nearest to a limit.
  const all = (name) => pages.reduce((sum, page) => sum + page.nearest[name], 0);
  const cut = KINDS.filter((_, place) => pages[place].next_cursor);
  const beyond = cut.length ? h("a", { href: "#budgets" }, `more than 2,000 of kind ${cut.join(", ")}: the rest is not among them`) : null;
  const limited = pages.flatMap((page) => page.budgets);
  const worst = new Map(limited.map((budget) => [budget, danger(budget, now.getTime())]));
  const over = all("over");
  const held = card("Held now", usd(sum(pages, (page) => page.nearest.held_usd)), "by calls that are under way");
  const near = card("Limits to be reached", number(over), `of ${number(all("limited"))} budgets with a limit`, over ? "warn" : "good");
  const withLimit = (element, ...notes) => { element.append(...notes.filter(Boolean).map((note) => h("p", { class: "note" }, note))); return element; };

  return [
    h("h1", {}, "Overview"),
    h("div", { class: "cards" },
      withLimit(card("Spent today", usd(spentOn.get(day(now))?.charged_usd ?? "0"), "since midnight UTC"), nearest(limited, "day")),
      withLimit(card("Spent this month", usd(spent), `${number(count("calls"))} calls`), nearest(limited, "month")), held,
      card("Forecast for the month", expected === null ? "–" : about(expected), expected === null ? "too early to tell" : "if it goes on as until now"),
      withLimit(near, beyond),
      card("Refused this month", number(count("refused")), `of ${number(count("calls") + count("refused"))} calls`, count("refused") ? "warn" : null),
      card("To look at", number(faults), faults ? "alerts, models in quarantine, budget requests" : "nothing", faults ? "bad" : "good")),
    h("section", { class: "card" }, h("h2", {}, "Spend by day"), chart(days),
      h("details", {}, h("summary", {}, "As a table"), table("Spend by day", [
        col("Day", "name"), col("Calls", (one) => number(one.row?.calls), "amount"),
        col("Spend", (one) => usd(one.row?.charged_usd ?? "0"), "amount")], days, ""))),
    limitsTable(limited.sort((a, b) => worst.get(b) - worst.get(a)), now.getTime()),
    h("div", { class: "two" }, top("model", byModel), top("user", byUser)),
  ];
}
