// The console: a page over the admin API. A key stays in this page and is forgotten with it; who has
// signed in has a cookie that no program sees.
"use strict";

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const said = document.getElementById("said");
const dialog = document.getElementById("dialog");
const leave = document.getElementById("leave");
const who = document.getElementById("who");
const PAGE_ROWS = 50;
let key = null;
/** Who asks, once it is known. */
let session = null;
let hasSignIn = false;
/** What follows when the dialog is closed. */
let closed = null;
let turn = 0;

// ---- small things --------------------------------------------------------------------------------

/** An element with attributes, listeners (`on…`) and children. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const PICO = 12;

/** A decimal text of USD as an integer of pico-USD. */
function pico(text) {
  if (text === null || text === undefined) return null;
  const [, sign, whole, part = ""] = /^(-?)(\d*)\.?(\d*)$/.exec(String(text)) ?? [];
  if (whole === undefined) return 0n;
  const amount = BigInt(whole || "0") * 10n ** BigInt(PICO) + BigInt(part.padEnd(PICO, "0").slice(0, PICO) || "0");
  return sign ? -amount : amount;
}

/** An amount for people: cents, and more digits where it is less than a dollar and has them. */
function usd(amount) {
  if (amount === null || amount === undefined) return "–";
  const value = typeof amount === "bigint" ? amount : pico(amount);
  const size = value < 0n ? -value : value;
  const digits = size >= 10n ** 12n || size === 0n ? 2 : size >= 10n ** 10n ? 4 : 8;
  const unit = 10n ** BigInt(PICO - digits);
  const rounded = (size + unit / 2n) / unit;
  const text = rounded.toString().padStart(digits + 1, "0");
  const whole = text.slice(0, -digits).replace(/\B(?=(\d{3})+$)/g, ",");
  const part = text.slice(-digits).replace(/0+$/, "").padEnd(2, "0");
  return `${value < 0n ? "−" : ""}$${whole}.${part}`;
}

const number = (value) => (value ?? 0).toLocaleString("en");
const when = (text) => (text ? text.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC") : "–");
const day = (date) => date.toISOString().slice(0, 10);

/** Whether who asks may change things at all; the gateway decides again, each time. */
const mayChange = () => session?.role !== "auditor";

/** A button that asks the gateway: it waits for the answer, and tells where there is none. */
function act(label, what, { kind, about } = {}) {
  if (!mayChange()) return null;
  const button = h("button", { type: "button", class: kind, "aria-label": about ? `${label} ${about}` : null }, label);
  button.addEventListener("click", async () => {
    button.disabled = true;
    tell("Asking…");
    try {
      tell((await what()) ?? "");
    } catch (error) {
      tell(error.message, true);
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

/** A table from rows; a column is {name, of, amount?}. */
function table(caption, columns, rows, empty) {
  if (!rows.length) return h("section", { class: "card" }, h("h2", {}, caption), h("p", { class: "empty" }, empty));
  const title = (one) => one.name || h("span", { class: "unseen" }, one.hidden ?? "Actions");
  const head = h("tr", {}, columns.map((one) => h("th", { scope: "col", class: one.amount ? "amount" : null }, title(one))));
  const cells = (row) => columns.map((one) => {
    const content = one.of(row);
    const text = content === null || content === undefined || content === "" ? "–" : content;
    return h("td", { class: one.amount ? "amount" : one.id ? "id" : one.when ? "when" : null }, text);
  });
  const body = rows.map((row) => h("tr", { class: row.isTotal ? "total" : null }, cells(row)));
  // A wide table scrolls, and then the keyboard must reach it.
  return h("section", { class: "card scroll", tabindex: "0", "aria-label": caption },
    h("table", {}, h("caption", {}, caption), h("thead", {}, head), h("tbody", {}, body)));
}

function tell(text, isBad) {
  said.textContent = text;
  said.className = isBad ? "bad" : "";
}

// ---- the API -------------------------------------------------------------------------------------

class Refused extends Error {
  constructor(status, error, version) {
    super(error?.message ?? `The gateway answered ${status}.`);
    Object.assign(this, { status, field: error?.field, current: error?.current, version });
  }
}

/** What no other site's page can send: a browser would ask first whether it may. */
const OWN = { "x-farebox-console": "1" };

/** What is found, and its version. A file is sent as it stands, anything else as JSON. */
async function ask(method, path, body, version) {
  const headers = key ? { authorization: `Bearer ${key}` } : { ...OWN };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (version) headers["if-match"] = version;
  const text = body === undefined || body instanceof Blob ? body : JSON.stringify(body);
  const answer = await fetch(`v1/${path}`, { method, headers, cache: "no-store", body: text }).catch(() => null);
  if (!answer) throw new Refused(0, { message: "The gateway did not answer. Try again." });
  const tag = answer.headers.get("etag");
  const found = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, found?.error, tag);
  return { found, version: tag };
}

const api = async (...asked) => (await ask(...asked)).found;

const get = (path) => api("GET", path);

/** All pages of a list, as far as a page can show it. */
async function all(path, items) {
  const rows = [];
  let cursor = null;
  do {
    const joint = path.includes("?") ? "&" : "?";
    const page = await get(`${path}${cursor ? `${joint}cursor=${encodeURIComponent(cursor)}` : ""}`);
    rows.push(...page[items]);
    cursor = page.next_cursor;
  } while (cursor && rows.length < 5000);
  return rows;
}

/** A thing with the version that a change of it is based on, also where nobody has made it yet. */
const seen = (path) => ask("GET", path).catch((error) => {
  if (error.status === 404) return { found: null, version: '"0"' };
  throw error;
});

/** What a role may not see, or an older gateway has not, is an empty list and not the page's end. */
const ifAllowed = (path, instead) => get(path).catch((error) => {
  if (error.status === 403 || error.status === 404) return instead;
  throw error;
});

// ---- dialogs and forms ---------------------------------------------------------------------------

function open(title, ...content) {
  dialog.replaceChildren(h("h2", { id: "dialog-title" }, title), ...content);
  dialog.showModal();
}

const closing = (text = "Close") => h("button", { type: "button", onclick: () => dialog.close() }, text);

/** A whole number as one; anything else as it is typed, so that the gateway says what is wrong. */
const whole = (text) => (/^\d{1,15}$/.test(text) ? Number(text) : text);
const listed = (text) => text.split(/[\s,]+/).filter(Boolean);

function inputOf(field) {
  const attributes = { id: `f-${field.name}`, name: field.name, autocomplete: "off", required: field.required };
  if (field.options) {
    return h("select", attributes, field.options.map((one) => h("option", { value: one, selected: one === field.value }, one)));
  }
  if (field.type === "checkbox") return h("input", { ...attributes, type: "checkbox", checked: Boolean(field.value) });
  if (field.type === "lines") {
    const area = h("textarea", { ...attributes, rows: 3, placeholder: field.hint, spellcheck: "false" });
    area.value = field.value ?? "";
    return area;
  }
  return h("input", {
    ...attributes, type: field.type ?? "text", value: field.value ?? "", placeholder: field.hint, spellcheck: "false",
    inputmode: field.inputmode, accept: field.accept,
  });
}

/** What somebody else has changed meanwhile: what stands there now, beside what is typed here. */
function conflict(fields, inputs, now) {
  const text = (value) => (value === true ? "yes" : value === false ? "no" : value === "" ? "nothing" : value);
  const differing = fields.filter((field) => now && now[field.name] !== undefined && String(now[field.name]) !== String(read(inputs.get(field.name).input)));
  const take = () => {
    for (const { name } of differing) write(inputs.get(name).input, now[name]);
    inputs.get(differing[0].name).input.focus();
    box.remove();
  };
  const what = !now ? "Somebody took it away meanwhile: to save makes it again."
    : differing.length ? "Somebody changed it meanwhile. To save now puts what is typed here in its place."
      : "Somebody changed it meanwhile to what is typed here.";
  const box = h("div", { class: "conflict", role: "alert" }, h("p", {}, what),
    differing.length ? h("table", {}, h("thead", {}, h("tr", {}, ["Field", "Now there", "Typed here"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, differing.map((field) => h("tr", {}, h("th", { scope: "row" }, field.label), h("td", {}, text(now[field.name])),
        h("td", {}, text(read(inputs.get(field.name).input))))))) : null,
    differing.length ? h("button", { type: "button", onclick: take }, "Take what is there") : null);
  return box;
}

const read = (input) => (input.type === "checkbox" ? input.checked : input.type === "file" ? input.files[0] ?? "" : input.value.trim());
function write(input, value) {
  if (input.type === "checkbox") input.checked = Boolean(value);
  else input.value = value ?? "";
}

/**
 * A form of fields {name, label, value?, type?, options?, hint?, group?}; `send` gets their values
 * and the version that the change is based on. A fault is told at its field, else at `place`.
 * `shows` makes the fields' values of the thing as it is now, for who comes second.
 */
function form(fields, submit, send, { version, shows, place } = {}) {
  const inputs = new Map();
  const row = (field) => {
    const input = inputOf(field);
    const fault = h("p", { class: "fault", id: `e-${field.name}`, hidden: true });
    const note = field.note ? h("p", { class: "note", id: `n-${field.name}` }, field.note) : null;
    input.setAttribute("aria-describedby", [note?.id, fault.id].filter(Boolean).join(" "));
    inputs.set(field.name, { input, fault });
    if (field.oninput) input.addEventListener("input", () => field.oninput(values()));
    if (field.type === "checkbox") return h("div", { class: "check" }, h("label", {}, input, field.label), note, fault);
    return h("div", { class: field.type === "lines" ? "wide" : null }, h("label", {}, field.label, input), note, fault);
  };
  const groups = [...new Set(fields.map((field) => field.group))].map((group) => {
    const rows = h("div", { class: "row" }, fields.filter((field) => field.group === group).map(row));
    return group ? h("fieldset", {}, h("legend", {}, group), rows) : rows;
  });
  const values = () => Object.fromEntries([...inputs].map(([name, { input }]) => [name, read(input)]));
  const general = h("p", { class: "fault", role: "alert", hidden: true });
  const wait = h("p", { class: "note", role: "status" });
  const button = h("button", { type: "submit", class: "main" }, submit);
  /** `models[0]` and `labels.team` are told at `models` and `labels`. */
  const at = (name = "") => inputs.get(name) ?? inputs.get(name.split(/[.[]/)[0]) ?? inputs.get(name.split(".").at(-1)) ?? inputs.get(place);
  const tellFault = (error) => {
    const found = at(error.field);
    const shown = found ? found.fault : general;
    shown.textContent = error.message;
    shown.hidden = false;
    if (!found) return;
    found.input.setAttribute("aria-invalid", "true");
    found.input.focus();
  };
  const onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    general.hidden = true;
    made.querySelector(".conflict")?.remove();
    for (const { input, fault } of inputs.values()) {
      fault.hidden = true;
      input.removeAttribute("aria-invalid");
    }
    wait.textContent = "Asking…";
    try {
      await send(values(), version);
    } catch (error) {
      if (error.status === 412 && shows) {
        version = error.version;
        general.before(conflict(fields, inputs, error.current ? shows(error.current) : null));
      } else {
        tellFault(error);
      }
    } finally {
      wait.textContent = "";
      button.disabled = false;
    }
  };
  const made = h("form", { onsubmit, novalidate: true }, groups, general, wait, h("div", { class: "row" }, button, closing("Cancel")));
  return made;
}

/** What is saved: the dialog is closed, the page shown anew and read out. */
async function done(text) {
  dialog.close();
  await show();
  tell(text);
  main.focus();
}

/** Asks before something is taken away for good, as it is when it is asked. */
async function confirmed(title, text, label, path) {
  const { version } = await seen(path);
  const fault = h("p", { class: "fault", role: "alert", hidden: true });
  const onclick = async (event) => {
    event.target.disabled = true;
    try {
      await api("DELETE", path, undefined, version);
      await done("");
    } catch (error) {
      fault.textContent = error.status === 412 ? "Somebody changed it meanwhile. Close this, and look at it again." : error.message;
      fault.hidden = false;
      event.target.disabled = false;
    }
  };
  const buttons = h("div", { class: "row" }, h("button", { type: "button", class: "danger", onclick }, label), closing("Cancel"));
  open(title, h("p", {}, text), fault, buttons);
}

function secret(title, text) {
  open(title, h("p", {}, "It is shown this once. Copy it now."), h("p", { class: "secret", tabindex: "0" }, text), closing());
  closed = show;
}

// ---- pages ---------------------------------------------------------------------------------------

const card = (label, figure, note, kind) => h("div", { class: "card" }, h("p", { class: "label" }, label),
  h("p", { class: `figure ${kind ?? ""}` }, figure), note ? h("p", { class: "note" }, note) : null);

function periodOf(scope, name) {
  return scope.periods.find((period) => period.period === name) ?? {};
}

/** What the month comes to, if it goes on as it did. */
function forecast(spent, now) {
  const start = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1);
  const end = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
  return (spent * BigInt(end - start)) / BigInt(Math.max(now.getTime() - start, 3_600_000));
}

function chart(days) {
  const place = h("div", { class: "chart", role: "img", "aria-label": "Spend by day of this month; the table below has the figures" });
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
  const data = [days.map((one) => one.at), days.map((one) => one.spent)];
  const draw = () => {
    place.replaceChildren();
    return new uPlot({
      width: Math.max(place.clientWidth, 240), height: 240, legend: { show: false }, cursor: { show: false },
      scales: { x: { time: true, range: [days[0].at - 43_200, days.at(-1).at + 43_200] }, y: { range: (_, __, most) => [0, most || 1] } },
      axes: [{ ...axis, values: "{D}", space: 28 }, { ...axis, size: 68, values: (_, marks) => marks.map((mark) => `$${+mark.toPrecision(3)}`) }],
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
  const month = now.toISOString().slice(0, 7);
  const [scopes, byDay, byModel, byUser, operator, quarantine] = await Promise.all([
    all("usage?kind=user", "scopes"), get(`usage?by=day&since=${month}&until=${month}`),
    get(`usage?by=model&since=${month}&until=${month}`), get(`usage?by=user&since=${month}&until=${month}`),
    ifAllowed("alerts/operator", { alerts: [] }), ifAllowed("quarantine", { quarantine: [] }),
  ]);
  const users = scopes.filter((scope) => scope.kind === "user");
  const sum = (name, field) => users.reduce((all, scope) => all + (pico(periodOf(scope, name)[field]) ?? 0n), 0n);
  const limits = users.map((scope) => pico(periodOf(scope, "month").limit_usd)).filter((limit) => limit !== null);
  const limit = limits.length === users.length && users.length ? limits.reduce((all, one) => all + one, 0n) : null;
  const spent = pico(byDay.total.charged_usd);
  const expected = forecast(spent, now);
  const spentOn = new Map(byDay.rows.map((row) => [row.by.day, row]));
  const days = [];
  for (let at = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1); at <= now.getTime(); at += 86_400_000) {
    const row = spentOn.get(day(new Date(at)));
    days.push({ at: at / 1000, name: day(new Date(at)), row, spent: row ? Number(pico(row.charged_usd)) / 1e12 : 0 });
  }
  const top = (name, found) => table(`This month by ${name}`, [
    { name: name[0].toUpperCase() + name.slice(1), of: (row) => row.by[name] ?? "(none)" },
    { name: "Calls", amount: true, of: (row) => number(row.calls) },
    { name: "Refused", amount: true, of: (row) => number(row.refused) },
    { name: "Tokens", amount: true, of: (row) => number(row.prompt_tokens + row.completion_tokens) },
    { name: "Spend", amount: true, of: (row) => usd(row.charged_usd) },
  ], [...found.rows].sort((a, b) => (pico(b.charged_usd) > pico(a.charged_usd) ? 1 : -1)).slice(0, 8), "No call was made this month.");
  const over = limit !== null && expected > limit;
  const faults = [...(operator.alerts ?? []), ...(quarantine.quarantine ?? [])].length;
  return [
    h("h1", {}, "Overview"),
    h("div", { class: "cards" },
      card("Spent today", usd(sum("day", "settled_usd")), `${usd(sum("day", "held_usd"))} held by open calls`),
      card("Spent this month", usd(spent), limit === null ? "not every user has a monthly limit" : `of ${usd(limit)} that users may spend`),
      card("Forecast for the month", usd(expected), over ? "above the users' limits: calls will be refused" : "if it goes on as until now", over ? "warn" : null),
      card("Refused this month", number(byDay.total.refused), `of ${number(byDay.total.calls + byDay.total.refused)} calls`, byDay.total.refused ? "warn" : null),
      card("For the operator", number(faults), faults ? "alerts and models in quarantine" : "nothing to look at", faults ? "bad" : "good")),
    h("section", { class: "card" }, h("h2", {}, "Spend by day"), chart(days),
      h("details", {}, h("summary", {}, "As a table"), table("Spend by day", [
        { name: "Day", of: (one) => one.name }, { name: "Calls", amount: true, of: (one) => number(one.row?.calls) },
        { name: "Spend", amount: true, of: (one) => usd(one.row?.charged_usd ?? "0") }], days, ""))),
    h("div", { class: "two" }, top("model", byModel), top("user", byUser)),
  ];
}

const scopeName = (scope) => `${scope.kind}:${scope.id}`;

function meterOf(period) {
  const limit = pico(period.limit_usd);
  if (limit === null || limit === undefined) return "no limit";
  const used = pico(period.settled_usd) + pico(period.held_usd);
  const percent = limit > 0n ? Number((used * 1000n) / limit) / 10 : 100;
  const text = `${usd(used)} of ${usd(limit)}`;
  return h("span", {}, h("meter", { min: 0, max: 100, high: 80, value: Math.min(percent, 100), "aria-label": `${percent} % used` }), ` ${text}`);
}

async function budgets(query) {
  // Limits of models stand among their owners'.
  const kind = query.kind && query.kind !== "model" ? `&kind=${query.kind}` : "";
  const page = await get(`budgets?limit=${PAGE_ROWS}${kind}${query.cursor ? `&cursor=${encodeURIComponent(query.cursor)}` : ""}`);
  const of = (name) => (budget) => meterOf(periodOf(budget, name));
  return [
    h("h1", {}, "Budgets"),
    picker("kind", ["", "org", "team", "user", "key", "model"], query),
    table("Limits and what is used of them", [
      { name: "Scope", id: true, of: scopeName }, { name: "Mode", of: (budget) => budget.mode },
      { name: "Day", of: of("day") }, { name: "Month", of: of("month") }, { name: "Total", of: of("total") },
      { name: "Time zone", of: (budget) => budget.time_zone },
      { name: "", of: (budget) => act("Edit", () => editBudget(budget), { about: scopeName(budget) }) },
    ], page.budgets.filter((budget) => !query.kind || budget.kind === query.kind), "No budget fits."),
    more(page.next_cursor, query),
  ];
}

/** What a change would refuse: the last calls whose worst case would not fit into the new room. */
function preview(budget, rows, wanted) {
  const changes = ["day", "month", "total"].map((name) => {
    const text = wanted[`${name}_limit_usd`];
    if (!text || !/^\d+(\.\d+)?$/.test(text)) return null;
    const period = periodOf(budget, name);
    const room = pico(text) - pico(period.settled_usd ?? "0") - pico(period.held_usd ?? "0");
    const refused = rows.filter((row) => row.hold_usd && pico(row.hold_usd) > room).length;
    const what = room < 0n ? `is ${usd(-room)} below what is spent: every call is refused until it resets` : `leaves ${usd(room)}`;
    return `The ${name}'s limit ${what}; of the last ${rows.length} calls ${refused} would be refused.`;
  });
  return changes.filter(Boolean).join(" ") || "Without a limit nothing is refused.";
}

const budgetValues = (budget) => ({
  day_limit_usd: budget.day_limit_usd ?? "", month_limit_usd: budget.month_limit_usd ?? "", total_limit_usd: budget.total_limit_usd ?? "",
  mode: budget.mode, time_zone: budget.time_zone, alert_thresholds: budget.alert_thresholds.join(", "), until: budget.until ?? "",
  shares: String(budget.shares?.count || ""),
});

async function editBudget(shown) {
  const name = scopeName(shown);
  const path = `budgets/${encodeURI(name)}`;
  const [{ found: budget, version }, recent] = await Promise.all([ask("GET", path), ifAllowed("requests?limit=100", { requests: [] })]);
  const rows = recent.requests.filter((row) => row.scopes?.includes(name));
  const now = budgetValues(budget);
  const said = h("p", { class: "note", role: "status" }, "");
  const oninput = (values) => { said.textContent = preview(budget, rows, values); };
  const limit = (period) => ({ name: `${period}_limit_usd`, label: `${period[0].toUpperCase()}${period.slice(1)} limit, USD`, hint: "no limit", oninput });
  const fields = [
    limit("day"), limit("month"), limit("total"),
    { name: "mode", label: "Mode", options: ["hard", "balanced", "soft", "observe", "closed"] },
    { name: "time_zone", label: "Time zone" },
    { name: "alert_thresholds", label: "Alert at percent" },
    { name: "until", label: "Until (RFC 3339; then as before)", hint: "for good" },
    { name: "shares", label: `Shares of a hot budget${budget.shares?.pending ? ", a change is pending" : ""}`, hint: "none; 2 to 64" },
  ].map((field) => ({ ...field, value: now[field.name] }));
  const send = async (values, version) => {
    const body = { mode: values.mode, time_zone: values.time_zone };
    for (const period of ["day", "month", "total"]) body[`${period}_limit_usd`] = values[`${period}_limit_usd`] || null;
    body.alert_thresholds = listed(values.alert_thresholds).map(whole);
    if (values.until) body.until = values.until;
    if (values.shares !== now.shares) body.shares = whole(values.shares || "0");
    const changed = await api("PUT", path, body, version);
    await done(changed?.warnings?.join(" ") || `${name} is changed.`);
  };
  open(`Budget of ${name}`, form(fields, "Save", send, { version, shows: budgetValues }), said);
  oninput(now);
}

async function credentials(query) {
  const names = (await all("users", "users")).map((user) => user.id);
  const user = query.user ?? names[0];
  const cursor = query.cursor ? `&cursor=${encodeURIComponent(query.cursor)}` : "";
  const found = user ? await get(`credentials?user=${encodeURIComponent(user)}&limit=${PAGE_ROWS}${cursor}`) : { credentials: [] };
  const path = (one) => `credentials/${[one.owner.replace(/^user:/, ""), one.provider, one.name].filter(Boolean).map(encodeURIComponent).join("/")}`;
  const put = async (given) => {
    const version = given ? (await seen(path(given))).version : undefined;
    const fields = [
      { name: "owner", label: "Owner: a user, or org:ID", value: given?.owner?.replace(/^user:/, "") ?? user, required: true },
      { name: "provider", label: "Provider", value: given?.provider, required: true },
      { name: "name", label: "Which of several", value: given?.name, hint: "the only one" },
      { name: "secret", label: "API key (never shown again)", type: "password", required: true },
      { name: "base_url", label: "Base URL", value: given?.base_url, hint: "the provider's own" },
      { name: "weight", label: "Share of the calls, 1 to 1000", value: given?.weight, hint: "1", inputmode: "numeric" },
    ];
    open("Store a credential", form(fields, "Store", async (values, version) => {
      const body = { secret: values.secret };
      if (values.base_url) body.base_url = values.base_url;
      if (values.weight) body.weight = whole(values.weight);
      const place = path(values);
      // One of another name is another credential: what is there of it was not seen yet.
      const base = given && place === path(given) ? version : (await seen(place)).version;
      await api("PUT", place, body, base);
      await done("The credential is stored.");
    }, { version, shows: (one) => ({ base_url: one.base_url ?? "", weight: String(one.weight ?? "") }) }));
  };
  const remove = (one) => confirmed(`Disable the ${one.provider} credential?`, `Calls of ${one.owner} to ${one.provider} are refused from then on.`, "Disable", path(one));
  return [
    h("h1", {}, "Credentials"),
    h("div", { class: "row" }, picker("user", names, { ...query, user }), act("Store a credential", () => put(null), { kind: "main" })),
    table(`What ${user ?? "nobody"} can call providers with`, [
      { name: "Provider", of: (one) => one.provider }, { name: "Owner", of: (one) => one.owner }, { name: "Name", of: (one) => one.name },
      { name: "State", of: (one) => h("span", { class: one.state === "active" ? "good" : "bad" }, one.state) },
      { name: "Base URL", of: (one) => one.base_url ?? "the provider's own" },
      { name: "Set", when: true, of: (one) => when(one.updated_at) }, { name: "Last used", when: true, of: (one) => when(one.last_used_at) },
      { name: "", of: (one) => h("div", { class: "row" }, act("Replace", () => put(one), { about: path(one) }),
        one.state === "active" ? act("Disable", () => remove(one), { kind: "danger", about: path(one) }) : null) },
    ], found.credentials, "There is no credential yet: store one, or calls are refused."),
    more(found.next_cursor, { ...query, user }),
  ];
}

const OUTCOME = { settled: "good", adjusted: "good", worst: "warn", provisional: "warn", refused: "bad" };

async function requests(query) {
  if (query.id) return [h("h1", {}, "One request"), explained(await get(`requests/${encodeURIComponent(query.id)}`))];
  const cursor = query.cursor ? `&cursor=${encodeURIComponent(query.cursor)}` : "";
  const page = await get(`requests?limit=${PAGE_ROWS}${cursor}`);
  const wanted = (query.text ?? "").toLowerCase();
  const rows = page.requests.filter((row) => !wanted || JSON.stringify(row).toLowerCase().includes(wanted));
  const find = (event) => {
    event.preventDefault();
    const text = event.target.elements.text.value.trim();
    go("requests", /^[0-9A-HJKMNP-TV-Z]{26}$/.test(text) ? { id: text } : { text });
  };
  return [
    h("h1", {}, "Requests"),
    h("form", { class: "row", role: "search", onsubmit: find }, h("label", {}, "A request's id, or words in this page's rows",
      h("input", { name: "text", value: query.text ?? "", type: "search" })), h("button", { type: "submit" }, "Find")),
    requestTable(rows, "No call fits."),
    more(page.next_cursor, query),
  ];
}

function requestTable(rows, empty) {
  return table("The newest first", [
    { name: "At", when: true, of: (row) => when(row.started_at) }, { name: "User", of: (row) => row.user },
    { name: "Model", of: (row) => [row.provider, row.model].filter(Boolean).join("/") },
    { name: "Outcome", of: (row) => h("span", { class: OUTCOME[row.outcome] ?? null }, row.error_code ? `${row.outcome}: ${row.error_code}` : row.outcome) },
    { name: "Tokens", amount: true, of: (row) => (row.usage ? number(row.usage.total_tokens) : null) },
    { name: "Held", amount: true, of: (row) => usd(row.hold_usd) }, { name: "Cost", amount: true, of: (row) => usd(row.cost_usd) },
    { name: "ms", amount: true, of: (row) => number(row.response_time_ms) },
    { name: "", of: (row) => h("a", { href: `#requests?id=${row.request_id}` }, "Explain") },
  ], rows, empty);
}

function explained(row) {
  const facts = [
    ["Request", row.request_id], ["At", when(row.started_at)], ["User and key", `${row.user}, ${row.key_id}`], ["Endpoint", row.endpoint],
    ["Model", `${row.provider ?? "?"}/${row.model ?? "?"}${row.model_served ? ` (served: ${row.model_served})` : ""}`],
    ["Outcome", `${row.outcome}, HTTP ${row.http_status}`], ["Error", row.error_message], ["Finish reason", row.finish_reason],
    ["Held", row.hold_usd], ["Charged", row.cost_usd], ["Charged by", row.charged_by], ["The provider says", row.provider_cost_usd], ["Price version", row.price_version],
    ["Budgets", row.scopes?.join(", ")], ["Labels", Object.entries(row.labels ?? {}).map((pair) => pair.join("=")).join(", ")],
    ["Time", `${row.response_time_ms} ms, first content after ${row.first_token_ms ?? "–"} ms`], ["Provider's request id", row.provider_request_id],
  ];
  const lines = [...(row.lines ?? [])];
  if (lines.length) lines.push({ class: "Rounded up once, to a whole pico-USD", amount_usd: row.counted_usd ?? row.cost_usd, isTotal: true });
  if (row.charged_by === "provider") lines.push({ class: "Charged as stated by the provider", amount_usd: row.cost_usd, isTotal: true });
  return h("div", {},
    table("What is known", [{ name: "Fact", of: (one) => one[0] }, { name: "Value", of: (one) => one[1] }], facts.filter((one) => one[1]), ""),
    table("How its cost adds up", [
      { name: "Class", of: (one) => one.class }, { name: "Count", amount: true, of: (one) => (one.isTotal ? " " : number(one.count)) },
      { name: "Price, USD", amount: true, of: (one) => (one.isTotal ? " " : `${one.price_usd} per ${number(one.per)}`) },
      { name: "Amount, USD", amount: true, of: (one) => one.amount_usd },
    ], lines, row.outcome === "worst" ? "Nobody knows what it cost, so its whole hold is charged." : "Nothing was counted."),
    h("p", {}, h("a", { href: "#requests" }, "All requests")));
}

async function alerts() {
  const [channels, operator] = await Promise.all([ifAllowed("alerts/channels", {}), ifAllowed("alerts/operator", { alerts: [] })]);
  const scopes = await get("usage?limit=100");
  const found = await Promise.all(scopes.scopes.slice(0, 20).map((scope) => ifAllowed(`alerts?scope=${encodeURIComponent(scopeName(scope))}`, { alerts: [] })));
  const rows = found.flatMap((page, place) => (page.alerts ?? []).map((alert) => ({ ...alert, scope: alert.scope ?? scopeName(scopes.scopes[place]) })));
  const test = async () => {
    await api("POST", "alerts/test", { scope: scopeName(scopes.scopes[0]) });
    return "A test alert is on its way: it arrives within a minute.";
  };
  const columns = [
    { name: "Type", of: (one) => one.type ?? (one.threshold !== undefined ? `${one.threshold}` : null) }, { name: "Scope", id: true, of: (one) => one.scope },
    { name: "Period", of: (one) => one.period }, { name: "Made", of: (one) => when(one.at ?? one.created_at) }, { name: "Delivered", of: (one) => when(one.sent_at) },
  ];
  return [
    h("h1", {}, "Alerts"),
    h("section", { class: "card" }, h("h2", {}, "Channels"), h("p", {}, describe(channels)),
      scopes.scopes.length ? act("Send a test alert", test) : null),
    table("For the operator", columns, operator.alerts ?? [], "Nothing was reported."),
    table("Of budgets", columns, rows, "No budget has reached a threshold."),
  ];
}

function describe(channels) {
  const set = Object.entries(channels).filter(([, value]) => value && value.length !== 0);
  return set.length ? set.map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join("; ") : "No channel is set: alerts are only kept here.";
}

async function audit(query) {
  const cursor = query.cursor ? `&cursor=${encodeURIComponent(query.cursor)}` : "";
  const page = await get(`audit?limit=${PAGE_ROWS}${cursor}`);
  const changed = (one) => h("button", { type: "button", class: "link", onclick: () => open(`${one.action} ${one.target}`,
    h("h3", {}, "Before"), h("pre", { class: "secret" }, JSON.stringify(one.before, null, 2) ?? "–"),
    h("h3", {}, "After"), h("pre", { class: "secret" }, JSON.stringify(one.after, null, 2) ?? "–"), closing()) }, "Look");
  return [
    h("h1", {}, "Audit"),
    table("Who changed what, the newest first", [
      { name: "At", when: true, of: (one) => when(one.at) }, { name: "Who", id: true, of: (one) => one.actor }, { name: "Role", of: (one) => one.role },
      { name: "What", of: (one) => one.action }, { name: "Where", id: true, of: (one) => one.target },
      { name: "Outcome", of: (one) => h("span", { class: one.outcome === "done" ? "good" : "bad" }, one.outcome) }, { name: "", of: changed },
    ], page.entries ?? page.audit ?? [], "Nothing was changed yet."),
    more(page.next_cursor, query),
  ];
}

// ---- the frame -----------------------------------------------------------------------------------

const PAGES = { overview, budgets, keys, credentials, models, prices, requests, alerts, access, audit };
const OWN_PAGES = { overview: ownOverview, keys: ownKeys, requests: ownRequests };
const pages = () => (session?.role === "member" ? OWN_PAGES : PAGES);

function picker(name, options, query) {
  const onchange = (event) => go(here().page, { ...query, cursor: null, [name]: event.target.value });
  return h("label", { class: "picker" }, name[0].toUpperCase() + name.slice(1),
    h("select", { onchange }, options.map((one) => h("option", { value: one, selected: one === (query[name] ?? "") }, one || "all"))));
}

function more(cursor, query, name = "cursor") {
  if (!cursor) return null;
  return h("p", {}, h("a", { href: address(here().page, { ...query, [name]: cursor }) }, "Next page"));
}

function address(page, query) {
  const set = Object.entries(query).filter(([, value]) => value);
  return `#${page}${set.length ? `?${new URLSearchParams(set)}` : ""}`;
}

function here() {
  const [page, query] = location.hash.slice(1).split("?");
  return { page: page in pages() ? page : "overview", query: Object.fromEntries(new URLSearchParams(query ?? "")) };
}

function go(page, query) {
  const wanted = address(page, query);
  if (location.hash === wanted) show();
  else location.hash = wanted;
}

function login(text) {
  nav.hidden = true;
  leave.hidden = true;
  who.hidden = true;
  document.title = "Farebox";
  const input = h("input", { type: "password", id: "key", required: true, autocomplete: "off", spellcheck: "false" });
  const onsubmit = (event) => {
    event.preventDefault();
    key = input.value.trim();
    enter();
  };
  const back = location.hash.slice(1);
  const signIn = h("a", { id: "sign-in", class: "button main", href: `console/sign-in${back ? `?back=${encodeURIComponent(back)}` : ""}` }, "Sign in");
  const fault = text ? h("p", { class: "fault", role: "alert" }, text) : null;
  main.replaceChildren(h("form", { class: "card login", onsubmit }, h("h1", {}, "Farebox console"), fault,
    hasSignIn ? signIn : null, hasSignIn ? h("p", { class: "note" }, "Or with a key:") : null,
    h("label", {}, "Admin key, or a member's own; it stays in this page", input),
    h("button", { type: "submit", class: hasSignIn ? null : "main" }, "Open")));
  tell("");
  (hasSignIn ? signIn : input).focus();
}

/** Asks who has signed in; null where nobody has. */
async function signedIn() {
  const answer = await fetch("console/session", { headers: OWN, cache: "no-store" });
  const found = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, found?.error);
  hasSignIn = found.single_sign_on;
  return found.session;
}

/** Begins, with a key or with the browser's cookie. */
async function enter() {
  tell("Asking…");
  try {
    session = key ? await get("session") : await signedIn();
  } catch (error) {
    key = null;
    session = null;
    return login(error.message);
  }
  return session ? show() : login();
}

async function show() {
  if (!session) return login();
  const { page, query } = here();
  turn += 1;
  const mine = turn;
  nav.hidden = false;
  leave.hidden = false;
  leave.textContent = key ? "Forget key" : "Sign out";
  who.hidden = Boolean(key);
  who.textContent = key ? "" : `${session.actor.replace(/^sso:/, "")}, ${session.role}`;
  nav.replaceChildren(...Object.keys(pages()).map((name) => h("a", { href: `#${name}`, "aria-current": name === page ? "page" : null }, name[0].toUpperCase() + name.slice(1))));
  document.title = `${page[0].toUpperCase()}${page.slice(1)} – Farebox`;
  tell("Asking…");
  main.setAttribute("aria-busy", "true");
  try {
    const content = await pages()[page](query);
    if (mine !== turn) return null;
    main.replaceChildren(...content.filter(Boolean));
    tell("");
  } catch (error) {
    if (mine !== turn) return null;
    if (error.status === 403 && await hasEnded()) return login("Your session has ended. Sign in again.");
    main.replaceChildren(h("h1", {}, "This page could not be shown"), h("p", { class: "bad" }, error.message),
      h("button", { type: "button", onclick: show }, "Try again"));
    tell("");
  } finally {
    main.removeAttribute("aria-busy");
  }
  return null;
}

/** Whether who has signed in is not any more; where nobody answers, nothing is known. */
async function hasEnded() {
  if (key) return false;
  const found = await signedIn().catch(() => session);
  if (!found) session = null;
  return !found;
}

leave.addEventListener("click", async () => {
  let next = null;
  if (!key) {
    const answer = await fetch("console/sign-out", { method: "POST", headers: OWN }).catch(() => null);
    if (!answer?.ok) return tell("You are still signed in: the gateway did not answer. Try again.", true);
    ({ next } = await answer.json());
  }
  key = null;
  session = null;
  history.replaceState(null, "", location.pathname);
  // The provider's own sign-in ends there, and its page leads back here.
  return next ? location.assign(next) : login();
});
// Nothing of it stays in the page, a new key's secret least of all. The event comes late: another
// dialog may be open by then.
dialog.addEventListener("close", () => {
  if (dialog.open) return;
  dialog.replaceChildren();
  const act = closed;
  closed = null;
  act?.();
});
window.addEventListener("hashchange", () => {
  if (dialog.open) dialog.close();
  show().then(() => main.focus());
});

// `cargo local` hands its key over behind the #, which no browser sends; it leaves the address at once.
const handed = /^#key=([\w-]+)$/.exec(location.hash);
if (handed) {
  key = handed[1];
  history.replaceState(null, "", location.pathname);
}
enter();
