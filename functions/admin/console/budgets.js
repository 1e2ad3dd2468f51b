// Limits, what a change of them would have refused, and who asks for more.
"use strict";

const MODES = ["hard", "balanced", "soft", "observe", "closed"];
/** Pages of calls that are asked for until a hundred of them held something. */
const PREVIEW_PAGES = 4;

async function budgets(query) {
  const kinds = query.kind ? [query.kind] : KINDS;
  const pages = await Promise.all(kinds.map((kind) => list("budgets", query.cursor, { kind })));
  const of = (name) => (budget) => meterOf(periodOf(budget, name));
  return [
    h("h1", {}, "Budgets"),
    h("div", { class: "row" }, picker("kind", ["", ...KINDS], query), act("Set a budget", chooseBudget, { kind: "main" })),
    table("Limits and what is used of them", [
      col("Scope", scopeName, "id"), col("Mode", "mode"),
      col("Day", of("day")), col("Month", of("month")), col("Total", of("total")),
      col("Time zone", "time_zone"),
      col("", (budget) => act("Edit", () => editBudget(scopeName(budget)), { about: scopeName(budget) })),
    ], pages.flatMap((page) => page.budgets), "No budget fits."),
    ...pages.map((page, place) => more(page.next_cursor, { kind: kinds[place] }, "cursor", `More budgets of kind ${kinds[place]}`)),
  ];
}

/** Everybody has a budget, though nobody may have set a limit in it yet. */
function chooseBudget() {
  const field = { name: "scope", label: "Whose", required: true, hint: "team:search",
    note: "org:ID, team:ID, user:ID or key:ID; model:user:ID/PROVIDER/MODEL limits what one model costs one of them." };
  open("Set a budget", form([field], "Go on", async ({ scope }) => {
    try {
      await editBudget(scope);
    } catch (error) {
      if (error.status === 404) throw new Refused(0, { field: "scope", message: "There is nobody of that name." });
      throw error;
    }
  }, { place: "scope" }));
}

// ---- what a change would have refused ------------------------------------------------------------

/** The newest calls that count to a scope, a hundred at most, and since when calls were looked at where that ended before. */
async function callsOf({ kind, id }) {
  const [, owner, of, provider, model] = /^(?:(\w+):)?([^/]+)(?:\/([^/]+)\/(.+))?$/.exec(id) ?? [];
  const filter = { limit: 100, [kind === "model" ? owner : kind]: of, provider, model };
  const rows = [];
  let cursor = null, since = null;
  for (let page = 0; page < PREVIEW_PAGES && rows.length < 100; page += 1) {
    const found = await get(at("requests", { ...filter, cursor }));
    rows.push(...found.requests.filter((row) => row.hold_usd && row.scopes?.includes(kind === "model" ? id : `${kind}:${id}`)));
    cursor = found.next_cursor;
    since = found.looked_back_to;
    if (!cursor) break;
  }
  return { rows: rows.slice(0, 100), since: cursor && rows.length < 100 ? since : null };
}

/**
 * Which of some calls limits would have refused, had they been in force: the calls are made again,
 * one after another, each against what those before it left of its own day, month and the total.
 */
function replayed(budget, rows, limits, mode, now = new Date()) {
  const zone = budget.time_zone;
  const spanOf = (row, name) => {
    const date = new Date(clockOf(Date.parse(row.started_at), zone)).toISOString();
    return name === "total" ? name : date.slice(0, name === "day" ? 10 : 7);
  };
  const today = { started_at: now.toISOString() };
  // What was spent in a period that goes on, before the first of these calls, stays spent.
  const spent = new Map();
  for (const name of PERIODS) {
    const span = spanOf(today, name);
    const before = pico(periodOf(budget, name).settled_usd ?? "0") - sum(rows.filter((row) => spanOf(row, name) === span), (row) => row.cost_usd);
    spent.set(span, before > 0n ? before : 0n);
  }
  const limited = PERIODS.filter((name) => limits[name] !== null);
  return [...rows].reverse().filter((row) => {
    const room = (name) => limits[name] - (spent.get(spanOf(row, name)) ?? 0n);
    const lacks = (name) => (mode === "soft" ? room(name) <= 0n : room(name) < pico(row.hold_usd));
    if (mode === "closed" || (mode !== "observe" && limited.some(lacks))) return true;
    for (const span of new Set(PERIODS.map((name) => spanOf(row, name)))) spent.set(span, (spent.get(span) ?? 0n) + (pico(row.cost_usd) ?? 0n));
    return false;
  });
}

function preview(budget, { rows, since }, wanted) {
  if (wanted.mode === "closed") return "Every call is refused.";
  const texts = PERIODS.map((name) => wanted[`${name}_limit_usd`]);
  if (texts.some((text) => text && !/^\d+(\.\d+)?$/.test(text))) return "";
  const limits = Object.fromEntries(PERIODS.map((name, place) => [name, texts[place] ? pico(texts[place]) : null]));
  const limited = PERIODS.filter((name) => limits[name] !== null);
  if (!limited.length) return "Without a limit nothing is refused.";
  if (wanted.mode === "observe") return "In mode observe nothing is refused: what passes a limit is told only.";
  const rooms = limited.map((name) => {
    const period = periodOf(budget, name);
    const room = limits[name] - pico(period.settled_usd ?? "0") - pico(period.held_usd ?? "0");
    return room < 0n ? `The ${name}'s limit is ${usd(-room)} below what is spent: every call is refused until it ${name === "total" ? "is raised" : "resets"}.` : `The ${name} has ${usd(room)} left.`;
  });
  let refused;
  try {
    refused = replayed({ ...budget, time_zone: wanted.time_zone }, rows, limits, wanted.mode);
  } catch {
    return `${rooms.join(" ")} This browser does not know the time zone.`;
  }
  const last = rows.length === 1 ? "Its last call" : `Of its last ${rows.length} calls ${refused.length}`;
  const had = !rows.length ? `It has made no call ${since ? "among them" : "yet"}.` : `${last} would ${rows.length === 1 && !refused.length ? "not " : ""}have been refused${refused.length ? `, the first at ${when(refused[0].started_at)}` : ""}.`;
  return `${rooms.join(" ")} ${since ? `Calls were looked at back to ${when(since)}. ` : ""}${had}`;
}

// ---- a change ------------------------------------------------------------------------------------

/** A budget as its form shows it. */
const asBudget = (budget) => ({ ...budget, shares: budget.shares?.count || null });
const capital = (text) => text[0].toUpperCase() + text.slice(1);

async function editBudget(name) {
  const path = `budgets/${encodeURI(name)}`;
  const { found: budget, version } = await ask("GET", path);
  const calls = await callsOf(budget);
  const now = asBudget(budget);
  // Who has no limit yet observes: whoever sets the first one means it to hold.
  if (budget.mode === "observe" && !PERIODS.some((period) => budget[`${period}_limit_usd`])) now.mode = "hard";
  const said = h("p", { class: "note", id: "preview", role: "status" }, "");
  const oninput = (texts) => { said.textContent = preview(budget, calls, texts); };
  const fields = [
    ...PERIODS.map((period) => ({ name: `${period}_limit_usd`, label: `${capital(period)} limit, USD`, kind: "money", hint: "no limit", oninput })),
    { name: "mode", label: "Mode", options: MODES, oninput },
    { name: "time_zone", label: "Time zone", oninput, required: true },
    { name: "alert_thresholds", label: "Alert at percent", kind: "percents", hint: "50, 80", empty: [] },
    { name: "until", label: "Until (UTC; then as before)", kind: "time", hint: "for good" },
    { name: "shares", label: `Shares of a hot budget${budget.shares?.pending ? ", a change is pending" : ""}`, kind: "whole", hint: "none; 2 to 64", empty: 0 },
  ].map((field) => ({ ...field, value: textOf(field, now) }));
  const send = async ({ shares, ...body }, version) => {
    const changed = await api("PUT", path, shares === (now.shares ?? 0) ? body : { ...body, shares }, version);
    await done(changed?.warnings?.join(" ") || `The budget of ${name} is set.`);
  };
  open(`Budget of ${name}`, form(fields, "Save", send, { version, of: asBudget }), said,
    h("p", { class: "note" }, "Other budgets that these calls count to are not looked at."));
  oninput(Object.fromEntries(fields.map((field) => [field.name, field.value])));
}

// ---- requests for more ---------------------------------------------------------------------------

const askedColumns = [
  col("Asked", "created_at", "when"),
  col("Day", "day_limit_usd", "usd"), col("Month", "month_limit_usd", "usd"),
  col("Total", "total_limit_usd", "usd"), col("Until", "until", "when"),
  col("Why", "reason"), col("State", stateOf), col("Note", "note"),
];

async function budgetRequests(query) {
  const page = await list("budget-requests", query.cursor, { state: query.state });
  return [
    h("h1", {}, "Budget requests"),
    picker("state", ["", "open", "approved", "denied", "withdrawn"], query),
    table("Who asks for more", [
      col("User", "user"), ...askedColumns, col("Decided by", "decided_by", "id"),
      col("", (one) => (one.state === "open" ? row(act("Approve", () => decide(one, true), { about: one.user }),
        act("Deny", () => decide(one, false), { about: one.user, kind: "danger" })) : null)),
    ], page.budget_requests, page.next_cursor ? "None of this page fits." : "Nobody has asked."),
    more(page.next_cursor, query),
  ];
}

async function decide(shown, isGranted) {
  const path = `budget-requests/${shown.user}/${shown.id}`;
  const [{ found: one, version }, { found: budget }] = await Promise.all([ask("GET", path), ask("GET", `budgets/user:${shown.user}`)]);
  const limits = isGranted ? PERIODS.filter((name) => one[`${name}_limit_usd`]) : [];
  const now = new Date();
  const end = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)).toISOString().replace(".000", "");
  const fields = [
    ...limits.map((name) => ({ name: `${name}_limit_usd`, label: `Limit for ${name === "total" ? "ever" : `a ${name}`}, USD`, value: one[`${name}_limit_usd`], kind: "money",
      note: `now ${usd(budget[`${name}_limit_usd`])}` })),
    isGranted ? { name: "until", label: "Until (UTC; then as before)", kind: "time", value: one.until ?? end, required: true } : null,
    { name: "note", label: `A word to ${one.user}`, hint: "none" },
  ].filter(Boolean);
  open(`${isGranted ? "Approve" : "Deny"} what ${one.user} asks for?`, h("p", {}, `“${one.reason}”`),
    form(fields, isGranted ? "Approve" : "Deny", async (body, version) => {
      await api("PUT", path, { state: isGranted ? "approved" : "denied", ...body }, version);
      await done(isGranted ? `${one.user} may spend more until ${when(body.until)}.` : `The request of ${one.user} is denied.`);
    }, { version, given: one, of: (now) => ({ ...now, until: now.until ?? end }), place: "note" }));
}
