// Who there is, who may sign in, and what a member sees of its own.
"use strict";

const stateOf = (one) => h("span", { class: { active: "good", open: "warn", approved: "good" }[one.state] ?? "bad" }, one.state);

// ---- users, organisations and teams --------------------------------------------------------------

const ID = { name: "id", label: "Id", required: true, once: true, out: true };
const NAME = { name: "name", label: "Name, for people", hint: "none" };
const OWN_GROUP = "What this user may do for itself";
const USER = {
  title: (one) => (one ? `User ${one.id}` : "Make a user"), path: (one) => `users/${encodeURIComponent(one.id)}`, told: (one) => `The user ${one.id} is saved.`,
  fields: [
    { ...ID, hint: "ada" }, NAME, { name: "org", label: "Organisation's id", hint: "none" }, { name: "team", label: "Team's id", hint: "none" },
    { name: "keys", label: "Keys of its own, at most", in: "self_service", kind: "whole", hint: "none", group: OWN_GROUP },
    { name: "key_days", label: "Longest life of such a key, days", in: "self_service", kind: "whole", hint: "no end", group: OWN_GROUP },
    { name: "key_max_cost_usd", label: "Most that one of its calls may cost, USD", in: "self_service", kind: "money", hint: "no limit", group: OWN_GROUP },
    { name: "key_models", label: "Models of such a key: provider/model or provider/*, one a line", in: "self_service", kind: "lines", hint: "every model", group: OWN_GROUP },
    { name: "credentials", label: "Store credentials of its own", in: "self_service", kind: "check", group: OWN_GROUP },
  ],
  extra: (one) => ofScope(`user:${one.id}`),
};
const ownerThing = (place, name) => ({
  title: (one) => (one ? `${capital(name)} ${one.id}` : `Make ${/^o/.test(name) ? "an" : "a"} ${name}`), path: (one) => `${place}/${encodeURIComponent(one.id)}`,
  told: (one) => `The ${name} ${one.id} is saved.`, fields: [ID, NAME],
});
const ORG = ownerThing("orgs", "organisation");
const TEAM = ownerThing("teams", "team");

const limitsThing = (scope) => ({
  title: () => `Rate limits of ${scope}`, path: () => `limits/${scope}`, told: () => `The rate limits of ${scope} are changed, within 30 seconds.`,
  note: scope.startsWith("key:") ? "Its user's rate limits hold too." : "They hold over all of its keys together.",
  fields: [["requests_per_minute", "Calls a minute"], ["tokens_per_minute", "Tokens a minute"], ["concurrent", "Calls at once"]]
    .map(([name, label]) => ({ name, label, kind: "whole", hint: "no limit" })),
});
const contentThing = (scope) => ({
  title: () => `Content log of ${scope}`, path: () => `content-log/${scope}`,
  told: (_, { days }) => (days ? `What ${scope} asks and is answered is kept for ${days} days.` : `Nothing of what ${scope} asks and is answered is kept from now on.`),
  note: "What is asked and answered is kept encrypted, and every look at it stands in the audit.",
  fields: [{ name: "days", label: "Days that content is kept, 1 to 365", kind: "whole", hint: "switched off", empty: 0 }],
});

/** What else there is of a user or a key, each a form of its own. */
const ofScope = (scope) => row(
  act("Budget", () => editBudget(scope), { about: `of ${scope}` }),
  act("Rate limits", () => edit(limitsThing(scope), {}), { about: `of ${scope}` }),
  act("Content log", () => edit(contentThing(scope), {}), { about: `of ${scope}`, isRule: true }));

async function people(query) {
  const [users, orgs, teams] = await Promise.all([
    sought("users", "users", query.cursor, { org: query.org, team: query.team }), list("orgs", query.after), list("teams", query.from),
  ]);
  const own = ({ self_service: may }) => (may ? [may.keys ? `${may.keys} keys` : "", may.credentials ? "credentials" : ""].filter(Boolean).join(", ") : null);
  const owners = (title, thing, rows, empty) => table(title, [col("Id", "id", "id"), col("Name", "name"), col("Since", "created_at", "when"),
      col("", (one) => row(act("Edit", () => edit(thing, one), { about: thing.title(one) }), act("Budget", () => editBudget(`${thing === ORG ? "org" : "team"}:${one.id}`), { about: `of ${thing.title(one)}` })))], rows, empty);
  return [
    h("h1", {}, "People"),
    finder([{ name: "org", label: "Of an organisation" }, { name: "team", label: "Of a team" }], query, users.error),
    table("Users", [
      col("Id", "id", "id"), col("Name", "name"), col("Organisation", "org"), col("Team", "team"), col("May make and store itself", own), col("Since", "created_at", "when"),
      col("", (one) => act("Edit", () => edit(USER, one), { about: `user ${one.id}` })),
    ], users.users, users.next_cursor ? "None of this page fits." : "There is no such user: make one."),
    more(users.next_cursor, query),
    row(act("Make a user", () => edit(USER), { kind: "main" })),
    owners("Organisations", ORG, orgs.orgs, "There is no organisation."),
    more(orgs.next_cursor, query, "after"),
    row(act("Make an organisation", () => edit(ORG))),
    owners("Teams", TEAM, teams.teams, "There is no team."),
    more(teams.next_cursor, query, "from"),
    row(act("Make a team", () => edit(TEAM))),
  ];
}

// ---- access --------------------------------------------------------------------------------------

const ADMIN_ROLES = ["auditor", "admin", "owner"];
const ROLES = [...ADMIN_ROLES, "member"];
/** How long an old secret works beside a new one, in seconds. */
const SPANS = { "at once": 0, "in an hour": 3600, "in a day": 86400 };

const roleTold = (of) => (one, { role }) => `${one[of]} has the role ${role}.`;
const BINDING = {
  title: (one) => (one ? `Role of ${one.subject}` : "Give a role"), submit: "Give", told: roleTold("subject"), path: (one) => `sso/${encodeURIComponent(one.subject)}`,
  note: "Whoever has signed in by it must sign in again.",
  fields: [
    { name: "subject", label: "email:ADDRESS, group:NAME or sub:ID", required: true, hint: "email:ann@example.com", once: true, out: true },
    { name: "role", label: "Role", value: "auditor", options: ROLES },
    { name: "user", label: "User, for members", hint: "whose self-service it is" },
  ],
};
const PRINCIPAL = {
  title: (one) => (one ? `Role of ${one.arn}` : "Give an IAM role or user a role"), submit: "Give", told: roleTold("arn"), path: (one) => `iam/${encodeURI(one.arn)}`,
  note: "It signs its requests itself (SigV4), and needs no key.",
  fields: [
    { name: "arn", label: "ARN", required: true, hint: "arn:aws:iam::111122223333:role/Ops", once: true, out: true },
    { name: "role", label: "Role", value: "auditor", options: ADMIN_ROLES },
  ],
};
const ADMIN_KEY = {
  title: (one) => (one ? `The admin key ${one.name}` : "Make an admin key"), submit: "Make", isPost: true, path: () => "admin-keys",
  fields: [
    { name: "name", label: "Name, for people", required: true }, { name: "role", label: "Role", value: "auditor", options: ADMIN_ROLES },
    { name: "expires_at", label: "Expires (UTC)", kind: "time", hint: "never" },
  ],
};

async function access(query) {
  const [found, sessions, admins, iam] = await Promise.all([
    list("sso", query.cursor), list("sso-sessions", query.session),
    list("admin-keys", query.key), list("iam", query.arn),
  ]);
  const path = (subject) => `sso/${encodeURIComponent(subject)}`;
  const give = (given) => edit(BINDING, given);
  const trust = (given) => edit(PRINCIPAL, given);
  const take = (one) => confirmed(`Take the role of ${one.subject} away?`, "Its sessions end at once.", "Take away", path(one.subject), one);
  const distrust = (one) => confirmed(`Take the role of ${one.arn} away?`, "Its requests are refused from then on.", "Take away", `iam/${encodeURI(one.arn)}`, one);
  const end = (one) => confirmed(`End the session of ${one.email}?`, "Its person can sign in again: take the role away to keep it out.", "End", `sso-sessions/${one.id}`, one);
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
      col("", (one) => (one.state === "active" ? row(act("Rotate", () => rotate(`admin-keys/${one.id}`, one, "overlap_s", "The admin key"), { about: `admin key ${one.name}`, isRule: true }),
        act("Revoke", () => confirmed(`Revoke ${one.name}?`, `Requests with admin key ${one.id} are refused from then on.`, "Revoke", `admin-keys/${one.id}`, one),
          { kind: "danger", about: `admin key ${one.name}`, isRule: true })) : null)),
    ], admins.admin_keys, "There is no other."),
    more(admins.next_cursor, query, "key"),
    row(act("Make an admin key", () => edit(ADMIN_KEY), { kind: "main", isRule: true })),
    table("IAM roles and users of AWS", [
      col("ARN", "arn", "id"), col("Role", "role"), col("Since", "created_at", "when"),
      col("", (one) => row(act("Change", () => trust(one), { about: one.arn, isRule: true }),
        act("Take away", () => distrust(one), { kind: "danger", about: one.arn, isRule: true }))),
    ], iam.principals, "None may use the admin API."),
    more(iam.next_cursor, query, "arn"),
    row(act("Give an IAM role or user a role", () => trust(null), { kind: "main", isRule: true })),
  ];
}

// ---- a member's own ------------------------------------------------------------------------------

async function ownOverview(query) {
  const [me, page, asked] = await Promise.all([get("me"), get("me/budgets"), list("me/budget-requests", query.cursor)]);
  const now = Date.now();
  const rows = page.budgets.flatMap((budget) => budget.periods.filter((period) => period.limit_usd || period.period === "month").map((period) => ({ budget, period })));
  const wish = () => edit({
    title: () => "Ask for more budget", submit: "Ask", isPost: true, path: () => "me/budget-requests", told: () => "You have asked for more budget.",
    fields: [...PERIODS.map((period) => ({ name: `${period}_limit_usd`, label: `Limit for ${period === "total" ? "ever" : `a ${period}`}, USD`, hint: "as it is", kind: "money" })),
      { name: "reason", label: "Why", required: true }, { name: "until", label: "Until (UTC)", kind: "time", hint: "as the owner says" }],
  });
  const withdraw = (one) => confirmed("Withdraw what you have asked for?", `“${one.reason}”`, "Withdraw", `me/budget-requests/${one.id}`, one);
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
