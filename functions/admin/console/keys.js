// Farebox keys with all that can be set of them, and providers' credentials: the owner's, and a
// member's own.
"use strict";

const labelsOf = (one) => Object.entries(one.labels ?? {}).map((pair) => pair.join("=")).join(", ");

/** How long an attempt may take: of a route, or of a key where its route does not say. */
const timeoutFields = (group, hint) => [["connect_ms", "To connect"], ["first_byte_ms", "To the first byte"], ["idle_ms", "Between two pieces"], ["total_ms", "In all"]]
  .map(([name, label]) => ({ name, label, in: "timeouts", kind: "whole", hint, group }));

/** The fields of a key; a member's labels are the owner's to set. */
function keyFields(isOwn) {
  const calls = "How its calls are made";
  return [
    isOwn ? null : { name: "user", label: "User", required: true, once: true },
    { name: "name", label: "Name, for people", required: true },
    { name: "max_cost_usd", label: "Most that one call may cost, USD", kind: "money", hint: isOwn ? "as is allowed" : "no limit" },
    { name: "expires_at", label: "Expires (UTC)", kind: "time", hint: isOwn ? "as late as is allowed" : "never" },
    isOwn ? null : { name: "labels", label: "Labels, as team=search, env=prod", kind: "pairs", hint: "none" },
    { name: "models", label: "Models: provider/model or provider/*, one a line", kind: "lines", hint: isOwn ? "all that are allowed" : "every model" },
    { name: "clamp", label: "Lower an output cap", options: ["missing", "always", "never"], group: calls, note: "missing: where a call sends none" },
    { name: "room_wait_ms", label: "Wait for room, ms", kind: "whole", hint: "the usual time", group: calls },
    { name: "drop_params", label: "Leave out options that a provider cannot do", kind: "check", group: calls },
    ...timeoutFields("How long an attempt may take, in ms, where its route does not say", "the gateway's"),
  ].filter(Boolean);
}

const keyThing = (place) => ({
  title: (one) => (one ? `Key ${one.name}` : "Make a key"), submit: "Save", fields: keyFields(place !== "keys"), isPost: false,
  path: (one) => `${place}/${one.id}`, told: (_, { name }) => `${name} is changed, within 30 seconds.`,
  extra: place === "keys" ? (one) => ofScope(`key:${one.id}`) : null,
});
const makeKey = (place, user) => edit({ ...keyThing(place), submit: "Make", isPost: true, path: () => place }, null, { user });
const editKey = (place, one) => edit(keyThing(place), one);
const rotateKey = (place, one) => rotate(`${place}/${one.id}`, one, "grace_s", "The key");

const revokeKey = (place, one) => confirmed(`Revoke ${one.name}?`, `Calls with key ${one.id} are refused from then on. Its books stay.`, "Revoke", `${place}/${one.id}`, one);

const keyColumns = (place) => [
  col("Name", "name"), col("Id", "id", "id"), place === "keys" ? col("User", "user") : null,
  col("State", stateOf), col("Models", (one) => one.models?.join(", ") ?? "every model"),
  col("Most per call", "max_cost_usd", "usd"), col("Labels", labelsOf),
  col("Expires", "expires_at", "when"), col("Last used", "last_used_at", "when"),
  col("", (one) => (one.state === "revoked" ? null : row(act("Edit", () => editKey(place, one), { about: one.name }),
    act("Rotate", () => rotateKey(place, one), { about: one.name }), act("Revoke", () => revokeKey(place, one), { kind: "danger", about: one.name })))),
].filter(Boolean);

/** A page of keys: of the deployment, or a member's own. */
async function keyPage(query, place, title) {
  const page = await sought("keys", place, query.cursor, { user: query.user });
  return [
    h("h1", {}, "Keys"),
    place === "keys" ? finder([{ name: "user", label: "Of one user" }], query, page.error) : null,
    row(act("Make a key", () => makeKey(place, query.user), { kind: "main" })),
    table(title, keyColumns(place), page.keys, "There is no key yet: make one."),
    more(page.next_cursor, query),
  ];
}

const keys = (query) => keyPage(query, "keys", "Keys");
const ownKeys = ({ cursor }) => keyPage({ cursor }, "me/keys", "Your keys");

// ---- credentials ---------------------------------------------------------------------------------

/** The path of a credential: `credentials/u1/openai`, a member's own `me/credentials/openai/second`. */
const credentialPath = (place, one) => [place, ...(place === "credentials" ? [one.owner.replace(/^user:/, "")] : []), one.provider, one.name].filter(Boolean).join("/");

const credentialThing = (place) => ({
  title: (one) => (one ? `Replace the ${one.provider} credential` : "Store a credential"), submit: "Store",
  path: (one) => credentialPath(place, one), told: () => "The credential is stored.",
  fields: [
    place === "credentials" ? { name: "owner", label: "Owner: a user, or org:ID", required: true, list: "owners", once: true, out: true } : null,
    { name: "provider", label: "Provider", required: true, list: "providers", once: true, out: true },
    { name: "name", label: "Which of several", hint: "the only one", once: true, out: true },
    { name: "secret", label: "API key (never shown again)", type: "password", required: true },
    place === "credentials" ? { name: "base_url", label: "Base URL", hint: "the provider's own" } : null,
    { name: "weight", label: "Share of the calls, 1 to 1000", kind: "whole", hint: "1" },
  ].filter(Boolean),
});
const putCredential = (place, given, owner) => edit(credentialThing(place), given, { owner });

function credentialTable(place, title, rows, mayPut) {
  const path = (one) => credentialPath(place, one);
  const remove = (one) => confirmed(`Disable the ${one.provider} credential?`, `Calls of ${one.owner} to ${one.provider} are refused from then on.`, "Disable", path(one), one);
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
  const finds = (error) => finder([{ name: "user", label: "Whose: a user, or org:ID", list: "owners", required: true }], query, error);
  if (!query.user) {
    const [orgs, users] = await Promise.all([list("orgs", query.after), list("users", query.cursor)]);
    const ofOrg = (one) => `org:${one.id}`;
    const link = (user) => h("a", { href: address("credentials", { user }) }, user);
    return [
      h("h1", {}, "Credentials"), providers(),
      h("datalist", { id: "owners" }, [...orgs.orgs.map(ofOrg), ...users.users.map((one) => one.id)].map((value) => h("option", { value }))),
      finds(), row(act("Store a credential", () => putCredential("credentials", null), { kind: "main" })),
      table("Of an organisation: all its users call by them", [col("Organisation", (one) => link(ofOrg(one))), col("Name", "name")], orgs.orgs, "There is no organisation."),
      more(orgs.next_cursor, query, "after", "More organisations"),
      table("Of a user: they go before its organisation's. A team has none", [col("User", (one) => link(one.id)), col("Name", "name"),
        col("Organisation", "org"), col("Team", "team")], users.users, "There is no user yet."),
      more(users.next_cursor, query),
    ];
  }
  const found = await sought("credentials", "credentials", query.cursor, { user: query.user });
  return [
    h("h1", {}, "Credentials"), providers(), finds(found.error),
    row(act("Store a credential", () => putCredential("credentials", null, query.user), { kind: "main" })),
    credentialTable("credentials", `What ${query.user} can call providers with`, found.credentials, () => true),
    more(found.next_cursor, query),
  ];
}

async function ownCredentials(query) {
  const [me, found] = await Promise.all([get("me"), list("me/credentials", query.cursor)]);
  const mayPut = me.self_service.credentials;
  return [
    h("h1", {}, "Credentials"), providers(),
    mayPut ? row(act("Store a credential", () => putCredential("me/credentials", null), { kind: "main" }))
      : h("p", { class: "note" }, "Credentials of your own are not allowed: the owner can allow them."),
    credentialTable("me/credentials", "What you can call providers with", found.credentials, (one) => mayPut && one.owner === `user:${me.user}`),
    more(found.next_cursor, query),
  ];
}
