// Who may sign in, and what a member sees of its own. The rest of the program is in app.js.
"use strict";

const chosen = (values, names) => Object.fromEntries(names.filter((name) => values[name]).map((name) => [name, values[name]]));
const stateOf = (one) => h("span", { class: { active: "good", open: "warn", approved: "good" }[one.state] ?? "bad" }, one.state);

// ---- access --------------------------------------------------------------------------------------

const ROLES = ["auditor", "admin", "owner", "member"];

async function access(query) {
  const cursor = query.cursor ? `&cursor=${encodeURIComponent(query.cursor)}` : "";
  const [found, sessions] = await Promise.all([get(`sso?limit=${PAGE_ROWS}${cursor}`), get(`sso-sessions?limit=${PAGE_ROWS}`)]);
  const path = (subject) => `sso/${encodeURIComponent(subject)}`;
  const give = (given) => () => {
    const fields = [
      { name: "subject", label: "email:ADDRESS or group:NAME", value: given?.subject, required: true, hint: "email:ann@example.com" },
      { name: "role", label: "Role", value: given?.role ?? "auditor", options: ROLES },
      { name: "user", label: "User, for members", value: given?.user, hint: "whose self-service it is" },
    ];
    open("Give a role", form(fields, "Give", async (values) => {
      await api("PUT", path(values.subject), { role: values.role, ...chosen(values, ["user"]) }, "*");
      dialog.close();
      show();
    }), h("p", { class: "note" }, "Whoever has signed in by it must sign in again."));
  };
  const take = (one) => () => confirmed(`Take the role of ${one.subject} away?`, "Its sessions end at once.", "Take away",
    () => api("DELETE", path(one.subject), undefined, "*"));
  const end = (one) => () => confirmed(`End the session of ${one.email}?`, "Its person can sign in again: take the role away to keep it out.", "End",
    () => api("DELETE", `sso-sessions/${one.id}`, undefined, "*"));
  return [
    h("h1", {}, "Access"),
    h("div", { class: "row" }, h("button", { type: "button", class: "main", onclick: give(null) }, "Give a role")),
    table("Who may sign in", [
      { name: "Address or group", id: true, of: (one) => one.subject }, { name: "Role", of: (one) => one.role }, { name: "User", of: (one) => one.user },
      { name: "Since", when: true, of: (one) => when(one.created_at) },
      { name: "", of: (one) => h("div", { class: "row" }, h("button", { type: "button", onclick: give(one) }, "Change"),
        h("button", { type: "button", class: "danger", onclick: take(one) }, "Take away")) },
    ], found.bindings, "Nobody may sign in: an admin key is the only way."),
    more(found.next_cursor, query),
    table("Sessions of the last day", [
      { name: "Who", of: (one) => one.email }, { name: "By", id: true, of: (one) => one.subject }, { name: "State", of: stateOf },
      { name: "Signed in", when: true, of: (one) => when(one.created_at) }, { name: "Last used", when: true, of: (one) => when(one.last_used_at) },
      { name: "", of: (one) => (one.state === "active" ? h("button", { type: "button", class: "danger", onclick: end(one) }, "End") : null) },
    ], sessions.sessions, "Nobody has signed in."),
  ];
}

// ---- a member's own ------------------------------------------------------------------------------

async function ownOverview() {
  const [me, page, asked] = await Promise.all([get("me"), get("me/budgets"), get("me/budget-requests?limit=20")]);
  const of = (name) => (budget) => meterOf(periodOf(budget, name));
  const ask = () => {
    const limit = (period) => ({ name: `${period}_limit_usd`, label: `Limit for ${period === "total" ? "ever" : `a ${period}`}, USD`, hint: "as it is" });
    const fields = [limit("day"), limit("month"), limit("total"), { name: "reason", label: "Why", required: true },
      { name: "until", label: "Until (RFC 3339)", hint: "as the owner says" }];
    open("Ask for more budget", form(fields, "Ask", async (values) => {
      await api("POST", "me/budget-requests", chosen(values, fields.map((field) => field.name)));
      dialog.close();
      show();
    }));
  };
  return [
    h("h1", {}, me.name && me.name !== me.user ? `${me.name} (${me.user})` : me.user),
    table("What your calls count to", [
      { name: "Budget", id: true, of: scopeName }, { name: "Mode", of: (budget) => budget.mode },
      { name: "Day", of: of("day") }, { name: "Month", of: of("month") }, { name: "Total", of: of("total") },
      { name: "Time zone", of: (budget) => budget.time_zone },
    ], page.budgets, "No budget is set."),
    h("div", { class: "row" }, h("button", { type: "button", class: "main", onclick: ask }, "Ask for more budget")),
    table("What you have asked for", [
      { name: "Day", amount: true, of: (one) => usd(one.day_limit_usd) }, { name: "Month", amount: true, of: (one) => usd(one.month_limit_usd) },
      { name: "Total", amount: true, of: (one) => usd(one.total_limit_usd) }, { name: "Why", of: (one) => one.reason },
      { name: "State", of: stateOf }, { name: "Note", of: (one) => one.note },
    ], asked.budget_requests, "Nothing yet."),
  ];
}

async function ownKeys(query) {
  const cursor = query.cursor ? `&cursor=${encodeURIComponent(query.cursor)}` : "";
  const page = await get(`me/keys?limit=${PAGE_ROWS}${cursor}`);
  const revoke = (one) => () => confirmed(`Revoke ${one.name}?`, `Calls with key ${one.id} are refused from then on. Its books stay.`, "Revoke",
    () => api("DELETE", `me/keys/${one.id}`, undefined, "*"));
  const rotate = rotating("me/keys");
  const make = () => {
    const fields = [
      { name: "name", label: "Name, for people", required: true }, { name: "max_cost_usd", label: "Most that one call may cost, USD", hint: "as is allowed" },
      { name: "expires_at", label: "Expires (RFC 3339)", hint: "as late as is allowed" },
    ];
    open("Make a key", form(fields, "Make", async (values) => {
      const made = await api("POST", "me/keys", chosen(values, fields.map((field) => field.name)));
      dialog.close();
      secret(`The key ${made.name}`, made.secret);
    }));
  };
  return [
    h("h1", {}, "Keys"),
    h("div", { class: "row" }, h("button", { type: "button", class: "main", onclick: make }, "Make a key")),
    table("Your keys", [
      { name: "Name", of: (one) => one.name }, { name: "Id", id: true, of: (one) => one.id }, { name: "State", of: stateOf },
      { name: "Models", of: (one) => one.models?.join(", ") ?? "every model" }, { name: "Most per call", amount: true, of: (one) => usd(one.max_cost_usd) },
      { name: "Expires", when: true, of: (one) => when(one.expires_at) },
      { name: "", of: (one) => (one.state === "active" ? [rotate(one), h("button", { type: "button", class: "danger", onclick: revoke(one) }, "Revoke")] : null) },
    ], page.keys, "You have no key yet."),
    more(page.next_cursor, query),
  ];
}

async function ownRequests(query) {
  if (query.id) return [h("h1", {}, "One request"), explained(await get(`me/requests/${encodeURIComponent(query.id)}`))];
  const cursor = query.cursor ? `&cursor=${encodeURIComponent(query.cursor)}` : "";
  const page = await get(`me/requests?limit=${PAGE_ROWS}${cursor}`);
  return [h("h1", {}, "Requests"), requestTable(page.requests, "You have made no call yet."), more(page.next_cursor, query)];
}
