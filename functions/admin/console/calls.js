// What was called, what was reported, who changed what.
"use strict";

// ---- requests ------------------------------------------------------------------------------------

const OUTCOME = { settled: "good", adjusted: "good", worst: "warn", provisional: "warn", refused: "bad" };
const OUTCOMES = ["", "settled", "adjusted", "refused", "void", "void_inferred", "provisional", "worst", "correction"];

async function requests(query, place = "requests") {
  if (query.id) return [h("h1", {}, "One request"), explained(await get(`${place}/${encodeURIComponent(query.id)}`))];
  const isOwn = place !== "requests";
  const fields = [
    { name: "id", label: "Request id" }, ...(isOwn ? [] : [{ name: "user", label: "User" }, { name: "org", label: "Organisation" }, { name: "team", label: "Team" }]), { name: "key", label: "Key's id" },
    { name: "provider", label: "Provider" }, { name: "model", label: "Model" }, { name: "outcome", label: "Outcome", options: OUTCOMES },
    { name: "error", label: "Error's code" }, { name: "label", label: "Label", hint: "team:search" },
    { name: "from", label: "From (UTC)", kind: "time", hint: "2026-11-01" }, { name: "to", label: "Before (UTC)", kind: "time", hint: "2026-11-08 13:30" },
  ].filter(Boolean);
  const wanted = Object.fromEntries(fields.map(({ name }) => [name, query[name]]));
  // A key has one user only.
  if (wanted.key) delete wanted.user;
  const page = await sought("requests", place, query.cursor, wanted);
  return [
    h("h1", {}, "Requests"),
    finder(fields, query, page.error),
    requestTable(page.requests, page.next_cursor ? `No call fits back to ${when(page.looked_back_to)}; the next page has older ones.` : "No call fits."),
    more(page.next_cursor, query),
  ];
}

function requestTable(rows, empty) {
  return table("The newest first", [
    col("At", "started_at", "when"), col("User", "user"),
    col("Model", (row) => [row.provider, row.model].filter(Boolean).join("/")),
    col("Outcome", (row) => h("span", { class: OUTCOME[row.outcome] ?? null }, row.error_code ? `${row.outcome}: ${row.error_code}` : row.outcome)),
    col("Tokens", (row) => (row.usage ? number(row.usage.total_tokens) : null), "amount"),
    col("Held", "hold_usd", "usd"), col("Cost", "cost_usd", "usd"),
    col("ms", "response_time_ms", "count"),
    col("", (row) => h("a", { href: `#requests?id=${row.request_id}`, "aria-label": `Explain ${row.request_id}` }, "Explain")),
  ], rows, empty);
}

function explained(row) {
  const facts = [
    ["Request", row.request_id], ["At", when(row.started_at)], ["User and key", `${row.user}, ${row.key_id}`], ["Endpoint", row.endpoint],
    ["Model", `${row.provider ?? "?"}/${row.model ?? "?"}${row.model_served ? ` (served: ${row.model_served})` : ""}`],
    ["Outcome", `${row.outcome}, HTTP ${row.http_status}`], ["Error", row.error_message], ["Finish reason", row.finish_reason],
    ["Corrects", row.corrects], ["Why", row.reason],
    ["Held", row.hold_usd], ["Charged", row.cost_usd], ["Charged by", row.charged_by], ["The provider says", row.provider_cost_usd], ["Price version", row.price_version],
    ["Budgets", row.scopes?.join(", ")], ["Labels", labelsOf(row)],
    ["Time", `${row.response_time_ms} ms, first content after ${row.first_token_ms ?? "–"} ms`], ["Provider's request id", row.provider_request_id],
  ];
  const lines = [...(row.lines ?? [])];
  if (lines.length) lines.push({ class: "Rounded up once, to a whole pico-USD", amount_usd: row.counted_usd ?? row.cost_usd, isTotal: true });
  if (row.charged_by === "provider") lines.push({ class: "Charged as stated by the provider", amount_usd: row.cost_usd, isTotal: true });
  return h("div", {},
    table("What is known", [col("Fact", (one) => one[0]), col("Value", (one) => one[1])], facts.filter((one) => one[1]), ""),
    table("How its cost adds up", [
      col("Class", "class"), col("Count", (one) => (one.isTotal ? " " : number(one.count)), "amount"),
      col("Price, USD", (one) => (one.isTotal ? " " : `${one.price_usd} per ${number(one.per)}`), "amount"),
      col("Amount, USD", "amount_usd", "amount"),
    ], lines, row.outcome === "worst" ? "Nobody knows what it cost, so its whole hold is charged." : "Nothing was counted."),
    row.earlier?.length ? table("Attempts before it", [
      col("Model", "model"), col("Outcome", "outcome"), col("Error", "error_code"),
      col("Cost, USD", "cost_usd", "amount"),
    ], row.earlier, "") : null,
    row.corrections?.length ? table("Corrected later", [
      col("At", "at", "when"), col("By, USD", "amount_usd", "amount"),
      col("To, USD", "cost_usd", "amount"), col("Why", "reason"),
    ], row.corrections, "") : null,
    h("p", {}, h("a", { href: "#requests" }, "All requests")));
}

// ---- alerts --------------------------------------------------------------------------------------

/** `20261130` as a day, `202611` as a month, `2026113016` as an hour. */
const spanText = (id) => (id ?? "").replace(/^(\d{4})(\d\d)(\d\d)?(\d\d)?$/, (_, year, ...rest) => [year, ...rest.slice(0, 2).filter(Boolean)].join("-") + (rest[2] ? ` ${rest[2]}:00` : ""));

const REPORTS = {
  "operator.overrun": "cost more than its hold", "operator.unpriced": "has no price", "operator.cost_differs": "the provider states another cost",
  "operator.provisional": "cost unknown for long", "budget.refused": "a call was refused", test: "a test",
};
const reportOf = (one) => (one.threshold ? `${one.threshold} % reached` : REPORTS[one.type] ?? one.type);

/** What became of an alert, channel by channel. */
const delivery = [
  col("Sent", (one) => (one.sent_at ? when(one.sent_at) : "not yet"), "when"),
  col("Channels", (one) => one.channels?.map((by) => h("div", { class: by.told_at ? "good" : "bad" }, `${by.channel}: ${by.told_at ? "told" : by.error ?? "waits"}`))),
];

const alertColumns = [
  col("What", (one) => h("span", { class: one.type === "budget.refused" || one.threshold >= 100 ? "bad" : one.threshold ? "warn" : null }, reportOf(one))),
  col("Scope", "scope", "id"), col("Period", (one) => [one.period, spanText(one.period_id)].filter(Boolean).join(" ")),
  col("Spent", "spent_usd", "usd"), col("Limit", "limit_usd", "usd"),
  col("Found", "created_at", "when"), ...delivery,
];

const WEBHOOK = {
  title: () => "The webhook", path: () => "webhook", told: () => "The webhook is set.",
  note: "Alerts are sent to it, each signed with a secret that is shown once: whoever sets it anew gets a new one.",
  fields: [{ name: "url", label: "URL that takes a POST", required: true, inputmode: "url" }],
};

async function alerts(query) {
  const [{ channels }, operator, found] = await Promise.all([
    ifAllowed("alerts/channels", { channels: [] }), list("alerts/operator", query.after),
    sought("alerts", "alerts", query.cursor, { scope: query.scope }),
  ]);
  const test = () => edit({
    title: () => "Send a test alert", submit: "Send", isPost: true, path: () => "alerts/test", told: () => "A test alert is on its way: it arrives within a minute.",
    fields: [{ name: "scope", label: "Of which budget", required: true, value: found.alerts[0]?.scope, hint: "user:ID" }],
  });
  const unhook = () => confirmed("Take the webhook away?", "Alerts are not sent to it from then on.", "Take away", "webhook");
  const hook = channels.find((one) => one.channel === "webhook");
  const acknowledge = (one) => confirmed(`Is ${one.subject} looked at?`, `It ${reportOf(one)}. The alert stays in the list, and is counted no more.`, "Acknowledge",
    `alerts/operator/${one.id.split("/").map(encodeURIComponent).join("/")}`, one);
  return [
    h("h1", {}, "Alerts"),
    table("Channels", [col("Channel", "channel"), col("To", "target")], channels, "No channel is set: alerts are only kept here."),
    row(act(hook ? "Change the webhook" : "Set a webhook", () => edit(WEBHOOK, hook), { kind: hook ? null : "main" }),
      hook ? act("Take the webhook away", unhook, { kind: "danger" }) : null, channels.length ? act("Send a test alert", test) : null),
    table("For the operator", [
      col("What", (one) => h("span", { class: one.acknowledged_at ? null : "bad" }, reportOf(one))), col("Of", "subject", "id"),
      col("Since", (one) => spanText(one.since), "when"), col("Times", (one) => (one.count === null ? null : number(one.count)), "amount"),
      col("Held", "hold_usd", "usd"), col("Charged", "charged_usd", "usd"),
      col("Call", (one) => (one.request_id ? h("a", { href: `#requests?id=${one.request_id}`, "aria-label": `Explain ${one.request_id}` }, "Explain") : null)), ...delivery,
      col("Looked at", (one) => (one.acknowledged_at ? h("span", { title: one.acknowledged_by }, when(one.acknowledged_at)) : act("Acknowledge", () => acknowledge(one), { about: one.id }))),
    ], operator.alerts, "Nothing was reported."),
    more(operator.next_cursor, query, "after"),
    finder([{ name: "scope", label: "Of one budget", hint: "user:ID" }], query, found.error),
    table("Of budgets", alertColumns, found.alerts, "No threshold was reached."),
    more(found.next_cursor, query),
  ];
}

// ---- audit ---------------------------------------------------------------------------------------

/** What was done, in words. */
const DEEDS = { PUT: "set", POST: "made", DELETE: "took away", GET: "looked at", "SIGN-IN": "signed in", "SIGN-OUT": "signed out", END: "was done" };
const AUDIT_ROOT = "/admin/v1/";
const placeOf = (one) => one.target.replace(AUDIT_ROOT, "");

/** What a change changed, in a line. */
function summary(one) {
  if (one.action === "DELETE") return "taken away";
  const changes = changesOf(one.before, one.after).filter(({ name }) => !["id", "kind", "scope", "created at"].includes(name));
  const texts = changes.slice(0, 3).map(({ name, before, after }) => `${name}: ${one.before ? `${before ?? "nothing"} → ${after ?? "nothing"}` : after}`);
  return texts.join("; ") + (changes.length > 3 ? `; and ${changes.length - 3} more` : "");
}

function look(one) {
  const facts = [["When", when(one.at)], ["Who", `${one.actor}, ${one.role}`], ["Outcome", [one.outcome, one.http_status && `HTTP ${one.http_status}`].filter(Boolean).join(", ")], ["Request", one.request_id]];
  open(`${DEEDS[one.action] ?? one.action} ${placeOf(one)}`, h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])), differences(one.before, one.after), closing());
}

async function audit(query) {
  const fields = [
    { name: "actor", label: "Who", hint: "admin-key:root" }, { name: "action", label: "What", options: ["", ...Object.keys(DEEDS)], words: DEEDS },
    { name: "target", label: "Where: how it begins", hint: "budgets/user:" },
    { name: "from", label: "From (UTC)", kind: "time", hint: "2026-11-01" }, { name: "to", label: "To (UTC)", kind: "time", hint: "2026-11-08 13:30" },
  ];
  const wanted = Object.fromEntries(fields.map(({ name }) => [name, query[name]]));
  if (wanted.target && !wanted.target.startsWith("/")) wanted.target = AUDIT_ROOT + wanted.target;
  const page = await sought("entries", "audit", query.cursor, wanted);
  return [
    h("h1", {}, "Audit"),
    finder(fields, query, page.error),
    table("Who changed what, the newest first", [
      col("At", "at", "when"), col("Who", "actor", "id"),
      col("What", (one) => DEEDS[one.action] ?? one.action), col("Where", placeOf, "id"), col("Change", summary, "change"),
      col("Outcome", (one) => h("span", { class: one.outcome === "done" ? "good" : "bad" }, one.outcome)),
      col("", (one) => h("button", { type: "button", class: "link", "aria-label": `Look at ${DEEDS[one.action] ?? one.action} ${placeOf(one)}`, onclick: (event) => { opener = nameOf(event.target); look(one); } }, "Look")),
    ], page.entries, page.next_cursor ? "No change of this page fits; the next page has older ones." : "No change fits."),
    more(page.next_cursor, query),
  ];
}
