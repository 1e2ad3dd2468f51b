// Farebox keys with all that can be set of them: the owner's, and a member's own. The rest of the
// program is in app.js.
"use strict";

const TIMEOUTS = ["connect_ms", "first_byte_ms", "idle_ms", "total_ms"];
const LIMITS = ["requests_per_minute", "tokens_per_minute", "concurrent"];
const labelsOf = (one) => Object.entries(one.labels ?? {}).map((pair) => pair.join("=")).join(", ");

/** A key as its form shows it. */
const keyValues = (one) => ({
  name: one.name, models: (one.models ?? []).join("\n"), expires_at: one.expires_at ?? "", max_cost_usd: one.max_cost_usd ?? "",
  clamp: one.clamp ?? "missing", room_wait_ms: String(one.room_wait_ms ?? ""), drop_params: one.drop_params ?? false, labels: labelsOf(one),
  ...Object.fromEntries(TIMEOUTS.map((name) => [name, String(one.timeouts?.[name] ?? "")])),
});

/** The fields of a key; a member's labels are the owner's to set. */
function keyFields(one, isOwn) {
  const calls = "How its calls are made";
  const timeouts = "How long an attempt may take, in ms, where its route does not say";
  const fields = [
    { name: "name", label: "Name, for people", required: true },
    { name: "max_cost_usd", label: "Most that one call may cost, USD", hint: isOwn ? "as is allowed" : "no limit", inputmode: "decimal" },
    { name: "expires_at", label: "Expires (RFC 3339)", hint: isOwn ? "as late as is allowed" : "never" },
    isOwn ? null : { name: "labels", label: "Labels, as team=search, env=prod", hint: "none" },
    { name: "models", label: "Models: provider/model or provider/*, one a line", type: "lines", hint: isOwn ? "all that are allowed" : "every model" },
    { name: "clamp", label: "Lower an output cap", options: ["missing", "always", "never"], group: calls, note: "missing: where a call sends none" },
    { name: "room_wait_ms", label: "Wait for room, ms", hint: "the usual time", group: calls, inputmode: "numeric" },
    { name: "drop_params", label: "Leave out options that a provider cannot do", type: "checkbox", group: calls },
    { name: "connect_ms", label: "To connect", group: timeouts }, { name: "first_byte_ms", label: "To the answer's head", group: timeouts },
    { name: "idle_ms", label: "Between two pieces", group: timeouts }, { name: "total_ms", label: "In all", group: timeouts },
  ];
  const values = keyValues(one);
  return fields.filter(Boolean).map((field) => ({ ...field, value: values[field.name], ...(field.group === timeouts ? { hint: "the gateway's", inputmode: "numeric" } : {}) }));
}

/** What a form of a key says; what is empty is left out, and so taken away. */
function keyBody(values) {
  const body = { name: values.name, clamp: values.clamp, ...chosen(values, ["expires_at", "max_cost_usd", "drop_params"]) };
  if (values.models) body.models = listed(values.models);
  if (values.room_wait_ms) body.room_wait_ms = whole(values.room_wait_ms);
  const timeouts = TIMEOUTS.filter((name) => values[name]).map((name) => [name, whole(values[name])]);
  if (timeouts.length) body.timeouts = Object.fromEntries(timeouts);
  if (values.labels) {
    const pairs = values.labels.split(",").map((pair) => /^\s*([^=]+?)\s*=\s*(.+?)\s*$/.exec(pair));
    if (pairs.includes(null)) throw new Refused(0, { field: "labels", message: "Write each label as name=value, with a comma before the next one." });
    body.labels = Object.fromEntries(pairs.map(([, name, value]) => [name, value]));
  }
  return body;
}

function makeKey(place, fields, own) {
  open("Make a key", form(fields, "Make", async (values) => {
    const made = await api("POST", place, { ...own(values), ...keyBody(values) });
    dialog.close();
    secret(`The key ${made.name}`, made.secret);
  }));
}

async function editKey(place, one) {
  const path = `${place}/${one.id}`;
  const isOwn = place !== "keys";
  const limitsPath = `limits/key:${one.id}`;
  const [known, limits] = await Promise.all([ask("GET", path), isOwn ? null : seen(limitsPath)]);
  const settings = form(keyFields(known.found, isOwn), "Save", async (values, version) => {
    await api("PUT", path, keyBody(values), version);
    await done(`${values.name} is changed, within 30 seconds.`);
  }, { version: known.version, shows: keyValues });
  const title = `Key ${known.found.name}`;
  if (isOwn) return open(title, settings);
  const shows = (found) => Object.fromEntries(LIMITS.map((name) => [name, String(found?.[name] ?? "")]));
  const now = shows(limits.found);
  const labels = ["Calls a minute", "Tokens a minute", "Calls at once"];
  const fields = LIMITS.map((name, place) => ({ name, label: labels[place], value: now[name], hint: "no limit", inputmode: "numeric" }));
  const rates = form(fields, "Save the rate limits", async (values, version) => {
    const set = LIMITS.filter((name) => values[name]).map((name) => [name, whole(values[name])]);
    await api("PUT", limitsPath, Object.fromEntries(set), version);
    await done(`The rate limits of ${known.found.name} are changed, within 30 seconds.`);
  }, { version: limits.version, shows });
  return open(title, settings, h("h3", {}, "Rate limits of this key; its user's hold too"), rates,
    h("p", { class: "note" }, `Its budget is key:${one.id}, on the page Budgets.`));
}

/** Gives a key another secret. */
async function rotateKey(place, one) {
  const path = `${place}/${one.id}`;
  const { version } = await ask("GET", path);
  const spans = { "at once": 0, "in an hour": 3600, "in a day": 86400 };
  open(`Rotate ${one.name}?`, h("p", {}, `Key ${one.id} gets another secret. Its budget and settings stay.`),
    form([{ name: "grace_s", label: "The old secret ends", options: Object.keys(spans), value: "at once" }], "Rotate", async (values, version) => {
      const made = await api("POST", `${path}/rotate`, { grace_s: spans[values.grace_s] }, version);
      dialog.close();
      secret(`The key ${made.name}`, made.secret);
    }, { version }));
}

const revokeKey = (place, one) => confirmed(`Revoke ${one.name}?`, `Calls with key ${one.id} are refused from then on. Its books stay.`, "Revoke", `${place}/${one.id}`);

const keyColumns = (place) => [
  { name: "Name", of: (one) => one.name }, { name: "Id", id: true, of: (one) => one.id }, place === "keys" ? { name: "User", of: (one) => one.user } : null,
  { name: "State", of: stateOf }, { name: "Models", of: (one) => one.models?.join(", ") ?? "every model" },
  { name: "Most per call", amount: true, of: (one) => usd(one.max_cost_usd) }, { name: "Labels", of: labelsOf },
  { name: "Expires", when: true, of: (one) => when(one.expires_at) }, { name: "Last used", when: true, of: (one) => when(one.last_used_at) },
  { name: "", of: (one) => (one.state === "revoked" ? null : h("div", { class: "row" }, act("Edit", () => editKey(place, one), { about: one.name }),
    act("Rotate", () => rotateKey(place, one), { about: one.name }), act("Revoke", () => revokeKey(place, one), { kind: "danger", about: one.name }))) },
].filter(Boolean);

async function keys(query) {
  const cursor = query.cursor ? `&cursor=${encodeURIComponent(query.cursor)}` : "";
  const user = query.user ? `&user=${encodeURIComponent(query.user)}` : "";
  const page = await get(`keys?limit=${PAGE_ROWS}${user}${cursor}`);
  const fields = [{ name: "user", label: "User", required: true, value: query.user }, ...keyFields({ name: "" })];
  return [
    h("h1", {}, "Keys"),
    h("div", { class: "row" }, act("Make a key", () => makeKey("keys", fields, (values) => ({ user: values.user })), { kind: "main" })),
    table("Keys", keyColumns("keys"), page.keys, "There is no key yet: make one."),
    more(page.next_cursor, query),
  ];
}

async function ownKeys(query) {
  const cursor = query.cursor ? `&cursor=${encodeURIComponent(query.cursor)}` : "";
  const page = await get(`me/keys?limit=${PAGE_ROWS}${cursor}`);
  return [
    h("h1", {}, "Keys"),
    h("div", { class: "row" }, act("Make a key", () => makeKey("me/keys", keyFields({ name: "" }, true), () => ({})), { kind: "main" })),
    table("Your keys", keyColumns("me/keys"), page.keys, "You have no key yet."),
    more(page.next_cursor, query),
  ];
}
