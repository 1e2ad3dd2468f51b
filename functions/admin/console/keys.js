// Farebox keys with all that can be set of them, and providers' credentials: the owner's, and a
// member's own.
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
  open(`Rotate ${one.name}?`, h("p", {}, `Key ${one.id} gets another secret. Its budget and settings stay.`),
    form([{ name: "grace_s", label: "The old secret ends", options: Object.keys(SPANS), value: "at once" }], "Rotate", async (values, version) => {
      const made = await api("POST", `${path}/rotate`, { grace_s: SPANS[values.grace_s] }, version);
      dialog.close();
      secret(`The key ${made.name}`, made.secret);
    }, { version }));
}

const revokeKey = (place, one) => confirmed(`Revoke ${one.name}?`, `Calls with key ${one.id} are refused from then on. Its books stay.`, "Revoke", `${place}/${one.id}`);

const keyColumns = (place) => [
  col("Name", "name"), col("Id", "id", "id"), place === "keys" ? col("User", "user") : null,
  col("State", stateOf), col("Models", (one) => one.models?.join(", ") ?? "every model"),
  col("Most per call", "max_cost_usd", "usd"), col("Labels", labelsOf),
  col("Expires", "expires_at", "when"), col("Last used", "last_used_at", "when"),
  col("", (one) => (one.state === "revoked" ? null : row(act("Edit", () => editKey(place, one), { about: one.name }),
    act("Rotate", () => rotateKey(place, one), { about: one.name }), act("Revoke", () => revokeKey(place, one), { kind: "danger", about: one.name })))),
].filter(Boolean);

/** A page of keys: of the deployment, or a member's own. */
async function keyPage(query, place, title, fields, own) {
  const page = await sought("keys", place, query.cursor, { user: query.user });
  return [
    h("h1", {}, "Keys"),
    place === "keys" ? finder([{ name: "user", label: "Of one user" }], query, page.error) : null,
    row(act("Make a key", () => makeKey(place, fields, own), { kind: "main" })),
    table(title, keyColumns(place), page.keys, "There is no key yet: make one."),
    more(page.next_cursor, query),
  ];
}

const keys = (query) => keyPage(query, "keys", "Keys", [{ name: "user", label: "User", required: true, value: query.user }, ...keyFields({ name: "" })], (values) => ({ user: values.user }));
const ownKeys = ({ cursor }) => keyPage({ cursor }, "me/keys", "Your keys", keyFields({ name: "" }, true), () => ({}));

// ---- credentials ---------------------------------------------------------------------------------

/** The path of a credential: `credentials/u1/openai`, a member's own `me/credentials/openai/second`. */
const credentialPath = (place, one) => [place, ...(place === "credentials" ? [one.owner.replace(/^user:/, "")] : []), one.provider, one.name].filter(Boolean).join("/");

async function putCredential(place, given, user) {
  const path = (one) => credentialPath(place, one);
  const isOwn = place !== "credentials";
  const version = given ? (await seen(path(given))).version : undefined;
  const fields = [
    isOwn ? null : { name: "owner", label: "Owner: a user, or org:ID", value: given?.owner?.replace(/^user:/, "") ?? user, required: true },
    { name: "provider", label: "Provider", value: given?.provider, required: true, list: "providers" },
    { name: "name", label: "Which of several", value: given?.name, hint: "the only one" },
    { name: "secret", label: "API key (never shown again)", type: "password", required: true },
    isOwn ? null : { name: "base_url", label: "Base URL", value: given?.base_url, hint: "the provider's own" },
    { name: "weight", label: "Share of the calls, 1 to 1000", value: given?.weight, hint: "1", inputmode: "numeric" },
  ].filter(Boolean);
  open("Store a credential", providers(), form(fields, "Store", async (values, version) => {
    const body = { secret: values.secret, ...chosen(values, ["base_url"]) };
    if (values.weight) body.weight = whole(values.weight);
    for (const { name, label } of fields) if (!values[name] && ["owner", "provider"].includes(name)) throw new Refused(0, { field: name, message: `${label.split(":")[0]} is needed.` });
    // One of another name is another credential: what is there of it was not seen yet.
    const base = given && path(values) === path(given) ? version : (await seen(path(values))).version;
    await api("PUT", path(values), body, base);
    await done("The credential is stored.");
  }, { version, shows: (one) => ({ base_url: one.base_url ?? "", weight: String(one.weight ?? "") }) }));
}

function credentialTable(place, title, rows, mayPut) {
  const path = (one) => credentialPath(place, one);
  const remove = (one) => confirmed(`Disable the ${one.provider} credential?`, `Calls of ${one.owner} to ${one.provider} are refused from then on.`, "Disable", path(one));
  return table(title, [
    col("Provider", "provider"), col("Owner", "owner"), col("Name", "name"),
    col("State", (one) => h("span", { class: one.state === "active" ? "good" : "bad" }, one.state)),
    col("Base URL", (one) => one.base_url ?? "the provider's own"),
    col("Set", "updated_at", "when"), col("Last used", "last_used_at", "when"),
    col("", (one) => (mayPut(one) ? row(act("Replace", () => putCredential(place, one), { about: path(one) }),
      one.state === "active" ? act("Disable", () => remove(one), { kind: "danger", about: path(one) }) : null) : null)),
  ], rows, "There is no credential yet: store one, or calls are refused.");
}

async function credentials(query) {
  const finds = (error) => finder([{ name: "user", label: "What this user can call providers with", required: true }], query, error);
  if (!query.user) {
    const users = await list("users", query.cursor);
    return [
      h("h1", {}, "Credentials"), finds(), row(act("Store a credential", () => putCredential("credentials", null), { kind: "main" })),
      table("Whose", [col("User", (one) => h("a", { href: address("credentials", { user: one.id }) }, one.id)), col("Name", "name"),
        col("Organisation", "org"), col("Team", "team")], users.users, "There is no user yet."),
      more(users.next_cursor, query),
    ];
  }
  const found = await sought("credentials", "credentials", query.cursor, { user: query.user });
  return [
    h("h1", {}, "Credentials"), finds(found.error),
    row(act("Store a credential", () => putCredential("credentials", null, query.user), { kind: "main" })),
    credentialTable("credentials", `What ${query.user} can call providers with`, found.credentials, () => true),
    more(found.next_cursor, query),
  ];
}

async function ownCredentials(query) {
  const [me, found] = await Promise.all([get("me"), list("me/credentials", query.cursor)]);
  const mayPut = me.self_service.credentials;
  return [
    h("h1", {}, "Credentials"),
    mayPut ? row(act("Store a credential", () => putCredential("me/credentials", null), { kind: "main" }))
      : h("p", { class: "note" }, "Credentials of your own are not allowed: the owner can allow them."),
    credentialTable("me/credentials", "What you can call providers with", found.credentials, (one) => mayPut && one.owner === `user:${me.user}`),
    more(found.next_cursor, query),
  ];
}
