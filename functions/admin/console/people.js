// Who may sign in, and what a member sees of its own. The rest of the program is in app.js.
"use strict";

const chosen = (values, names) => Object.fromEntries(names.filter((name) => values[name]).map((name) => [name, values[name]]));
const stateOf = (one) => h("span", { class: { active: "good", open: "warn", approved: "good" }[one.state] ?? "bad" }, one.state);

// ---- access --------------------------------------------------------------------------------------

const ROLES = ["auditor", "admin", "owner", "member"];

async function access(query) {
  const cursor = query.cursor ? `&cursor=${encodeURIComponent(query.cursor)}` : "";
  const after = query.after ? `&cursor=${encodeURIComponent(query.after)}` : "";
  const [found, sessions] = await Promise.all([get(`sso?limit=${PAGE_ROWS}${cursor}`), get(`sso-sessions?limit=${PAGE_ROWS}${after}`)]);
  const path = (subject) => `sso/${encodeURIComponent(subject)}`;
  const values = (one) => ({ subject: one.subject, role: one.role, user: one.user ?? "" });
  const give = async (given) => {
    const known = given ? await seen(path(given.subject)) : { found: null };
    const now = known.found ?? given;
    const fields = [
      { name: "subject", label: "email:ADDRESS or group:NAME", value: now?.subject, required: true, hint: "email:ann@example.com" },
      { name: "role", label: "Role", value: now?.role ?? "auditor", options: ROLES },
      { name: "user", label: "User, for members", value: now?.user, hint: "whose self-service it is" },
    ];
    open("Give a role", form(fields, "Give", async (typed, version) => {
      // Another address is another thing: what is there of it was not seen yet.
      const base = typed.subject === given?.subject ? version : (await seen(path(typed.subject))).version;
      await api("PUT", path(typed.subject), { role: typed.role, ...chosen(typed, ["user"]) }, base);
      await done(`${typed.subject} has the role ${typed.role}.`);
    }, { version: known.version, shows: values }), h("p", { class: "note" }, "Whoever has signed in by it must sign in again."));
  };
  const take = (one) => confirmed(`Take the role of ${one.subject} away?`, "Its sessions end at once.", "Take away", path(one.subject));
  const end = (one) => confirmed(`End the session of ${one.email}?`, "Its person can sign in again: take the role away to keep it out.", "End", `sso-sessions/${one.id}`);
  return [
    h("h1", {}, "Access"),
    h("div", { class: "row" }, act("Give a role", () => give(null), { kind: "main" })),
    table("Who may sign in", [
      { name: "Address or group", id: true, of: (one) => one.subject }, { name: "Role", of: (one) => one.role }, { name: "User", of: (one) => one.user },
      { name: "Since", when: true, of: (one) => when(one.created_at) },
      { name: "", of: (one) => h("div", { class: "row" }, act("Change", () => give(one), { about: one.subject }),
        act("Take away", () => take(one), { kind: "danger", about: one.subject })) },
    ], found.bindings, "Nobody may sign in: an admin key is the only way."),
    more(found.next_cursor, query),
    table("Sessions of the last day", [
      { name: "Who", of: (one) => one.email }, { name: "By", id: true, of: (one) => one.subject }, { name: "State", of: stateOf },
      { name: "Signed in", when: true, of: (one) => when(one.created_at) }, { name: "Last used", when: true, of: (one) => when(one.last_used_at) },
      { name: "", of: (one) => (one.state === "active" ? act("End", () => end(one), { kind: "danger", about: one.email }) : null) },
    ], sessions.sessions, "Nobody has signed in."),
    more(sessions.next_cursor, query, "after"),
  ];
}

// ---- a member's own ------------------------------------------------------------------------------

async function ownOverview() {
  const [me, page, asked] = await Promise.all([get("me"), get("me/budgets"), get("me/budget-requests?limit=20")]);
  const of = (name) => (budget) => meterOf(periodOf(budget, name));
  const wish = () => {
    const limit = (period) => ({ name: `${period}_limit_usd`, label: `Limit for ${period === "total" ? "ever" : `a ${period}`}, USD`, hint: "as it is" });
    const fields = [limit("day"), limit("month"), limit("total"), { name: "reason", label: "Why", required: true },
      { name: "until", label: "Until (RFC 3339)", hint: "as the owner says" }];
    open("Ask for more budget", form(fields, "Ask", async (values) => {
      await api("POST", "me/budget-requests", chosen(values, fields.map((field) => field.name)));
      await done("You have asked for more budget.");
    }));
  };
  return [
    h("h1", {}, me.name && me.name !== me.user ? `${me.name} (${me.user})` : me.user),
    table("What your calls count to", [
      { name: "Budget", id: true, of: scopeName }, { name: "Mode", of: (budget) => budget.mode },
      { name: "Day", of: of("day") }, { name: "Month", of: of("month") }, { name: "Total", of: of("total") },
      { name: "Time zone", of: (budget) => budget.time_zone },
    ], page.budgets, "No budget is set."),
    h("div", { class: "row" }, act("Ask for more budget", wish, { kind: "main" })),
    table("What you have asked for", [
      { name: "Day", amount: true, of: (one) => usd(one.day_limit_usd) }, { name: "Month", amount: true, of: (one) => usd(one.month_limit_usd) },
      { name: "Total", amount: true, of: (one) => usd(one.total_limit_usd) }, { name: "Why", of: (one) => one.reason },
      { name: "State", of: stateOf }, { name: "Note", of: (one) => one.note },
    ], asked.budget_requests, "Nothing yet."),
  ];
}

async function ownRequests(query) {
  if (query.id) return [h("h1", {}, "One request"), explained(await get(`me/requests/${encodeURIComponent(query.id)}`))];
  const cursor = query.cursor ? `&cursor=${encodeURIComponent(query.cursor)}` : "";
  const page = await get(`me/requests?limit=${PAGE_ROWS}${cursor}`);
  return [h("h1", {}, "Requests"), requestTable(page.requests, "You have made no call yet."), more(page.next_cursor, query)];
}
