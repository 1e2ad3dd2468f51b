// Who may sign in, and what a member sees of its own.
"use strict";

const chosen = (values, names) => Object.fromEntries(names.filter((name) => values[name]).map((name) => [name, values[name]]));
const stateOf = (one) => h("span", { class: { active: "good", open: "warn", approved: "good" }[one.state] ?? "bad" }, one.state);

// ---- access --------------------------------------------------------------------------------------

const ADMIN_ROLES = ["auditor", "admin", "owner"];
const ROLES = [...ADMIN_ROLES, "member"];
/** How long an old secret works beside a new one, in seconds. */
const SPANS = { "at once": 0, "in an hour": 3600, "in a day": 86400 };

async function access(query) {
  const [found, sessions, admins, iam] = await Promise.all([
    list("sso", query.cursor), list("sso-sessions", query.session),
    list("admin-keys", query.key), list("iam", query.arn),
  ]);
  const path = (subject) => `sso/${encodeURIComponent(subject)}`;
  const give = (given) => bind("Give a role", "sso", given, [
    { name: "subject", label: "email:ADDRESS or group:NAME", value: given?.subject, required: true, hint: "email:ann@example.com" },
    { name: "role", label: "Role", value: given?.role ?? "auditor", options: ROLES },
    { name: "user", label: "User, for members", value: given?.user, hint: "whose self-service it is" },
  ], "Whoever has signed in by it must sign in again.");
  const trust = (given) => bind("Give an IAM role or user a role", "iam", given, [
    { name: "arn", label: "ARN", value: given?.arn, required: true, hint: "arn:aws:iam::111122223333:role/Ops" },
    { name: "role", label: "Role", value: given?.role ?? "auditor", options: ADMIN_ROLES },
  ], "It signs its requests itself (SigV4), and needs no key.");
  const take = (one) => confirmed(`Take the role of ${one.subject} away?`, "Its sessions end at once.", "Take away", path(one.subject));
  const distrust = (one) => confirmed(`Take the role of ${one.arn} away?`, "Its requests are refused from then on.", "Take away", `iam/${encodeURI(one.arn)}`);
  const end = (one) => confirmed(`End the session of ${one.email}?`, "Its person can sign in again: take the role away to keep it out.", "End", `sso-sessions/${one.id}`);
  return [
    h("h1", {}, "Access"),
    table("Who may sign in", [
      col("Address or group", "subject", "id"), col("Role", "role"), col("User", "user"),
      col("Since", "created_at", "when"),
      col("", (one) => row(act("Change", () => give(one), { about: one.subject, isRule: true }),
        act("Take away", () => take(one), { kind: "danger", about: one.subject, isRule: true }))),
    ], found.bindings, "Nobody may sign in: an admin key is the only way."),
    more(found.next_cursor, query),
    row(act("Give a role", () => give(null), { kind: "main", isRule: true })),
    table("Sessions of the last day", [
      col("Who", "email"), col("By", "subject", "id"), col("State", stateOf),
      col("Signed in", "created_at", "when"), col("Last used", "last_used_at", "when"),
      col("", (one) => (one.state === "active" ? act("End", () => end(one), { kind: "danger", about: `the session of ${one.email}`, isRule: true }) : null)),
    ], sessions.sessions, "Nobody has signed in."),
    more(sessions.next_cursor, query, "session"),
    table("Admin keys, but for the deployment's own", [
      col("Name", "name"), col("Id", "id", "id"), col("Role", "role"), col("State", stateOf),
      col("Made", "created_at", "when"), col("Expires", "expires_at", "when"),
      col("", (one) => (one.state === "active" ? row(act("Rotate", () => rotateAdmin(one), { about: `admin key ${one.name}`, isRule: true }),
        act("Revoke", () => confirmed(`Revoke ${one.name}?`, `Requests with admin key ${one.id} are refused from then on.`, "Revoke", `admin-keys/${one.id}`),
          { kind: "danger", about: `admin key ${one.name}`, isRule: true })) : null)),
    ], admins.admin_keys, "There is no other."),
    more(admins.next_cursor, query, "key"),
    row(act("Make an admin key", makeAdmin, { kind: "main", isRule: true })),
    table("IAM roles and users of AWS", [
      col("ARN", "arn", "id"), col("Role", "role"), col("Since", "created_at", "when"),
      col("", (one) => row(act("Change", () => trust(one), { about: one.arn, isRule: true }),
        act("Take away", () => distrust(one), { kind: "danger", about: one.arn, isRule: true }))),
    ], iam.principals, "None may use the admin API."),
    more(iam.next_cursor, query, "arn"),
    row(act("Give an IAM role or user a role", () => trust(null), { kind: "main", isRule: true })),
  ];
}

/** Gives somebody a role; the first field says who it is. */
async function bind(title, place, given, fields, note) {
  const [{ name: id }, ...others] = fields;
  const path = (values) => `${place}/${encodeURI(values[id])}`;
  const known = given ? await seen(path(given)) : {};
  const values = (one) => Object.fromEntries(fields.map(({ name }) => [name, one[name] ?? ""]));
  for (const field of others) field.value = known.found?.[field.name] ?? field.value;
  open(title, form(fields, "Give", async (typed, version) => {
    // Another address is another thing: what is there of it was not seen yet.
    const base = typed[id] === given?.[id] ? version : (await seen(path(typed))).version;
    await api("PUT", path(typed), chosen(typed, others.map(({ name }) => name)), base);
    await done(`${typed[id]} has the role ${typed.role}.`);
  }, { version: known.version, shows: values, place: id }), h("p", { class: "note" }, note));
}

function makeAdmin() {
  const fields = [
    { name: "name", label: "Name, for people", required: true }, { name: "role", label: "Role", value: "auditor", options: ADMIN_ROLES },
    { name: "expires_at", label: "Expires (RFC 3339)", hint: "never" },
  ];
  open("Make an admin key", form(fields, "Make", async (values) => {
    const made = await api("POST", "admin-keys", chosen(values, ["name", "role", "expires_at"]));
    secret(`The admin key ${made.name}`, made.secret);
  }));
}

async function rotateAdmin(one) {
  const path = `admin-keys/${one.id}`;
  const { version } = await ask("GET", path);
  open(`Rotate ${one.name}?`, h("p", {}, "It gets another secret, and keeps its role."),
    form([{ name: "overlap_s", label: "The old secret ends", options: Object.keys(SPANS), value: "at once" }], "Rotate", async (values, version) => {
      const made = await api("POST", `${path}/rotate`, { overlap_s: SPANS[values.overlap_s] }, version);
      secret(`The admin key ${made.name}`, made.secret);
    }, { version }));
}

// ---- a member's own ------------------------------------------------------------------------------

async function ownOverview(query) {
  const [me, page, asked] = await Promise.all([get("me"), get("me/budgets"), list("me/budget-requests", query.cursor)]);
  const now = Date.now();
  const rows = page.budgets.flatMap((budget) => budget.periods.filter((period) => period.limit_usd || period.period === "month").map((period) => ({ budget, period })));
  const wish = () => {
    const limit = (period) => ({ name: `${period}_limit_usd`, label: `Limit for ${period === "total" ? "ever" : `a ${period}`}, USD`, hint: "as it is", inputmode: "decimal" });
    const fields = [...PERIODS.map(limit), { name: "reason", label: "Why", required: true },
      { name: "until", label: "Until (RFC 3339)", hint: "as the owner says" }];
    open("Ask for more budget", form(fields, "Ask", async (values) => {
      await api("POST", "me/budget-requests", chosen(values, fields.map((field) => field.name)));
      await done("You have asked for more budget.");
    }));
  };
  const withdraw = (one) => confirmed("Withdraw what you have asked for?", `“${one.reason}”`, "Withdraw", `me/budget-requests/${one.id}`);
  const comes = ({ budget, period }) => {
    const expected = forecastOf(budget, period.period, now);
    if (expected === null) return period.resets_at ? "too early" : null;
    return h("span", { class: period.limit_usd && expected > pico(period.limit_usd) ? "warn" : null }, about(expected));
  };
  return [
    h("h1", {}, me.name && me.name !== me.user ? `${me.name} (${me.user})` : me.user),
    table("What your calls count to", [
      col("Budget", ({ budget }) => scopeName(budget), "id"), col("Mode", ({ budget }) => budget.mode),
      col("Period", ({ period }) => period.period), col("Used", ({ period }) => (period.limit_usd ? meterOf(period) : usd(period.settled_usd))),
      col("Room", ({ period }) => (period.room_usd === null ? "no limit" : h("span", { class: pico(period.room_usd) > 0n ? "good" : "bad" }, usd(period.room_usd))), "amount"),
      col("Forecast", comes, "amount"), col("Begins anew", ({ period }) => (period.resets_at ? when(period.resets_at) : "never"), "when"),
    ], rows, "No budget is set."),
    row(act("Ask for more budget", wish, { kind: "main" })),
    table("What you have asked for", [...askedColumns,
      col("", (one) => (one.state === "open" ? act("Withdraw", () => withdraw(one), { about: one.reason, kind: "danger" }) : null)),
    ], asked.budget_requests, "Nothing yet."),
    more(asked.next_cursor, query),
  ];
}

const ownRequests = (query) => requests(query, "me/requests");

async function ownAlerts(query) {
  const [keys, found] = await Promise.all([get("me/keys?limit=100"), list("me/alerts", query.cursor, { key: query.key })]);
  return [
    h("h1", {}, "Alerts"),
    picker("key", ["", ...keys.keys.map((one) => one.id)], query, "your own budget"),
    table(query.key ? `Of key ${query.key}` : "Of your budget", alertColumns.filter((one) => one.name !== "Channels"), found.alerts, "No threshold was reached."),
    more(found.next_cursor, query),
  ];
}
