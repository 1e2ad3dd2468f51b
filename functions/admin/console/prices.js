// Prices: the list in force and those before it, the owner's own prices, discounts; and models with
// the names that lead to them.
"use strict";

// ---- models --------------------------------------------------------------------------------------

/** The providers that Farebox calls. */
const PROVIDERS = ["alibaba", "anthropic", "azure", "bedrock", "cerebras", "cohere", "custom", "deepseek", "demo", "fireworks", "gemini", "gpustack", "groq", "mistral",
  "moonshotai", "ollama", "openai", "openrouter", "perplexity", "together", "vertexai", "vllm", "xai"];
const providers = () => h("datalist", { id: "providers" }, PROVIDERS.map((value) => h("option", { value })));

async function models(query) {
  const provider = query.provider ?? "openai";
  const [found, routes, quarantine] = await Promise.all([
    sought("models", "models", query.cursor, { provider, search: query.search }),
    list("routes", query.route), list("quarantine", query.fault),
  ]);
  const acknowledge = (one) => confirmed(`Use ${modelName(one)} again?`, "Check its price and limits first: a call cost more than its worst case.", "Acknowledge",
    `quarantine/${one.provider}/${encodeURI(one.model)}`, one);
  const unroute = (one) => confirmed(`Take the route ${one.name} away?`, "Calls that name it are refused from then on.", "Take away", ROUTE.path(one), one);
  const rate = (name) => (one) => one.prices?.[name];
  return [
    h("h1", {}, "Models"),
    quarantine.quarantine.length ? table("In quarantine: hard and balanced budgets refuse them", [
      col("Model", modelName), col("Held", "hold_usd", "usd"),
      col("Cost", "cost_usd", "usd"), col("Seen", "at", "when"),
      col("", (one) => act("Acknowledge", () => acknowledge(one), { about: modelName(one) })),
    ], quarantine.quarantine, "") : null,
    more(quarantine.next_cursor, query, "fault"),
    providers(),
    finder([{ name: "provider", label: "Provider", list: "providers" }, { name: "search", label: "What its name has in it" }], { ...query, provider }, found.error),
    table(`Models of ${provider}, USD per million tokens`, [
      col("Model", "model", "id"), col("For", (one) => (one.mode === "unknown" ? null : one.mode)),
      col("Window", (one) => (one.context_window ? number(one.context_window) : null), "amount"),
      col("Input", (one) => rate("input")(one) ?? "no price", "amount"), col("Cached", rate("cached_input"), "amount"), col("Output", rate("output"), "amount"),
      col("By", (one) => (one.source === "owner" ? "your own price" : "the list")),
      col("", (one) => act(one.source === "owner" ? "Edit price" : "Set own price", () => edit(PRICE, one.source === "owner" ? one : null, { model: modelName(one) }), { about: modelName(one) })),
    ], found.models, `The catalogue has no such model of ${provider}.`),
    more(found.next_cursor, query),
    table("Routes", [
      col("Name", "name"),
      col("Leads to", (one) => (one.spec?.targets ?? []).map((target) => target.model + (target.weight ? ` ×${target.weight}` : "")).join(" → ")),
      col("", (one) => row(act("Edit", () => edit(ROUTE, one), { about: `route ${one.name}` }), act("Take away", () => unroute(one), { kind: "danger", about: `route ${one.name}` }))),
    ], routes.routes, "No route is set: a call goes to the model that it names."),
    more(routes.next_cursor, query, "route"),
    row(act("Make a route", () => edit(ROUTE))),
  ];
}

const modelName = (one) => (one.provider ? `${one.provider}/${one.model}` : one.model);

const specOf = (thing) => thing.spec;
const segments = (text) => text.split("/").map(encodeURIComponent).join("/");

const ROUTE = {
  title: (one) => (one ? `Route ${one.name}` : "Make a route"), path: (one) => `routes/${encodeURIComponent(one.name)}`, of: specOf,
  told: (one) => `The route ${one.name} is saved, within a minute.`,
  note: "Models are tried in their order; of those beside each other with shares, one is drawn.",
  fields: [
    { name: "name", label: "Name, as calls say it", required: true, hint: "fast", once: true, out: true },
    { name: "on_budget_refusal", label: "Where a budget refuses a model", options: ["refuse", "next"], words: { refuse: "refuse the call", next: "try the next one" } },
    { name: "targets", label: "Leads to: provider/model, and its share if any, one a line", kind: "targets", required: true, hint: "openai/gpt-4o 3" },
    { name: "retries", label: "Tries again at one model", kind: "whole", hint: "none" },
    { name: "retry_patience_ms", label: "Most to wait before that, ms", kind: "whole", hint: "the gateway's" },
    { name: "after_charge", label: "Go on also after a try that was charged", kind: "check" },
    ...timeoutFields("How long an attempt may take, in ms", "the key's"),
  ],
};

// ---- prices --------------------------------------------------------------------------------------

async function prices(query) {
  const [inUse, own, discounts] = await Promise.all([ask("GET", "catalogue"), list("prices", query.cursor),
    list("discounts", query.after)]);
  const spec = (name) => (row) => row.spec?.[name];
  const remove = (one) => confirmed(`Take your own price of ${modelName(one)} away?`, "It has the list's price from then on, or none.", "Take away", PRICE.path(one), one);
  const end = (one) => confirmed(`Take the discount of ${one.target} away?`, "As if it had never been. To end one from a day on, edit it: 0 percent.", "Take away", DISCOUNT.path(one), one);
  return [
    h("h1", {}, "Prices"),
    inForce(inUse.found),
    table("Your own prices, USD per million tokens", [
      col("Model", modelName), col("Input", (one) => (one.spec?.free ? "free" : spec("input")(one)), "amount"),
      col("Cached", spec("cached_input"), "amount"), col("Output", spec("output"), "amount"),
      col("Window", (one) => (one.spec?.context_window ? number(one.spec.context_window) : "the list's"), "amount"), col("Version", "price_version", "id"),
      col("Only the list has", (one) => one.not_stated?.join(", ")),
      col("", (one) => row(act("Edit", () => edit(PRICE, one), { about: modelName(one) }), act("Take away", () => remove(one), { kind: "danger", about: modelName(one) }))),
    ], own.prices, "Every model has the price of the list in force."),
    more(own.next_cursor, query),
    row(act("Set a price of your own", () => edit(PRICE), { kind: "main" })),
    table("Discounts on the list's prices", [
      col("Of", "target", "id"), col("Now, %", "off_percent", "amount"),
      col("From and percent", (one) => one.spec.terms.map((term) => `${when(term.from)}: ${term.off_percent}`).join("; ")),
      col("", (one) => row(act("Edit", () => edit(DISCOUNT, one), { about: one.target }), act("Take away", () => end(one), { kind: "danger", about: one.target }))),
    ], discounts.discounts, "Nothing is taken off."),
    more(discounts.next_cursor, query, "after"),
    row(act("Set a discount", () => edit(DISCOUNT), { kind: "main" })),
  ];
}

/** What only the list says of a model. */
const leftOut = ({ not_stated: names }) => (names ? `Only the list's price of it has: ${names.join(", ")}.` : "");
const rates = "USD per million tokens";
const bounds = "Limits, in tokens";
const PRICE = {
  title: (one) => (one ? `Your price of ${modelName(one)}` : "Set a price of your own"), of: specOf,
  path: (one) => (/^[^/]+\/./.test(modelName(one)) ? `prices/${segments(modelName(one))}` : refuse("model", "Write it as provider/model.")),
  told: (one, _, made) => [`${modelName(one)} has your own price, within a minute.`, leftOut(made)].filter(Boolean).join(" "),
  note: "It takes the place of the list's prices whole: what is not said here has no price.",
  extra: (one) => (one.not_stated ? h("p", { class: "warn" }, leftOut(one)) : null),
  fields: [
    { name: "model", label: "Model, as provider/model", required: true, hint: "openai/gpt-x", once: true, out: true },
    ...[["input", "Prompt", rates, ""], ["output", "Completion", rates, ""], ["cached_input", "Read from the cache", rates], ["cache_write_5m", "Written to the cache, 5 min", rates],
      ["cache_write_1h", "Written to the cache, 1 h", rates], ["web_search", "One web search, USD", "Else"], ["per_request", "Every request, USD", "Else"]]
      .map(([name, label, group, hint = "none"]) => ({ name, label, group, hint, kind: "money" })),
    { name: "free", label: "It costs nothing", kind: "check", group: "Else" },
    ...[["context_window", "Prompt and completion"], ["max_output_tokens", "Completion"]].map(([name, label]) => ({ name, label, group: bounds, hint: "the list's", kind: "whole" })),
  ],
};

const DISCOUNT = {
  title: (one) => (one ? `Discount of ${one.target}` : "Set a discount"), of: specOf,
  path: (one) => `discounts/${segments(one.target)}`, told: (one) => `The discount of ${one.target} is set, within a minute.`,
  note: "Each term holds until the next one; 0 ends a discount. The nearest target counts, and no other.",
  fields: [
    { name: "target", label: "Of what: provider/model, provider/* or *", required: true, hint: "openai/*", once: true, out: true },
    { name: "terms", label: "From when, and how many percent off, one a line", kind: "terms", required: true, hint: "2027-01-01 12.5" },
  ],
};

// ---- the list in force ---------------------------------------------------------------------------

function inForce(list) {
  const { imported } = list;
  const by = list.source === "imported" ? `imported ${when(imported.imported_at)} by ${imported.imported_by}` : "which the code was built with";
  const again = (one) => act("Look at it", () => lookAt(one.version), { about: one.version });
  const back = () => confirmed("Go back to the list that the code was built with?", `${list.compiled_version} is in force from then on, for every model at once.`, "Go back", "catalogue", list);
  return h("div", {},
    h("section", { class: "card" }, h("h2", {}, "The price list in force"),
      h("p", {}, h("b", { id: "in-force" }, list.list_version), `: ${number(list.rows)} models, ${by}.`),
      row(act("Import a price list", importList, { kind: "main" }), imported ? act("Go back to the built-in list", back, { kind: "danger" }) : null)),
    list.earlier.length ? table("Imported price lists", [
      col("Version", "version", "id"), col("Models", "rows", "count"),
      col("Imported", "imported_at", "when"), col("By", "imported_by", "id"),
      col("", (one) => (one.version === list.list_version ? h("span", { class: "good" }, "in force") : again(one))),
    ], list.earlier, "") : null);
}

/** A file is chosen, looked at by the gateway, and only then put in force. */
function importList() {
  const field = { name: "file", label: "A file as catalog.json of a newer Farebox", type: "file", accept: ".json,application/json", required: true, needed: "Choose a file.",
    note: "The gateway looks at every row first; nothing changes before you say so." };
  open("Import a price list", form([field], "Look at it", async ({ file }) => {
    await weigh(() => api("POST", "catalogue/preview", file), (version) => api("PUT", "catalogue", file, version));
  }, { place: "file" }));
}

const lookAt = (version) => weigh(() => get(`catalogue/lists/${encodeURIComponent(version)}`), (tag) => api("PUT", "catalogue/version", { version }, tag));

/** Shows what a list would change, and puts it in force if that is what is wanted. */
async function weigh(look, put) {
  const [now, preview] = await Promise.all([ask("GET", "catalogue"), look()]);
  const fault = h("p", { class: "fault", role: "alert", hidden: true });
  const onclick = async (event) => {
    event.target.disabled = true;
    try {
      const stored = await put(now.version);
      await done(`${stored.list_version} is in force, within a minute.`);
    } catch (error) {
      const instead = error.current ? `Meanwhile ${error.current.list_version} came into force, by ${error.current.imported?.imported_by ?? "the way back"}; what is shown here was compared with ${preview.from_version}.` : error.message;
      fault.replaceChildren(instead, error.status === 412 ? h("button", { type: "button", onclick: () => weigh(look, put).catch((why) => { fault.textContent = why.message; }) }, "Look again") : "");
      fault.hidden = false;
      event.target.disabled = false;
    }
  };
  const price = (rates, name) => rates?.[name] ?? "–";
  const arrow = (name) => (row) => {
    const [before, after] = [price(row.before, name), price(row.after, name)];
    return before === after ? after : `${before} → ${after}`;
  };
  open(`Price list ${preview.version}`,
    h("p", {}, `Against ${preview.from_version}, which is in force: of its models ${number(preview.added)} are added, ${number(preview.removed)} removed, ${number(preview.changed)} changed; ${number(preview.unchanged)} stay.`),
    preview.warnings.length ? h("div", { class: "warn", role: "alert" }, "Before you do:", h("ul", {}, preview.warnings.map((text) => h("li", {}, text)))) : null,
    table("What changes, USD per million tokens", [
      col("Model", modelName), col("Change", (row) => (row.fields.length ? row.fields.join(", ") : row.change)),
      col("Input", arrow("input"), "amount"), col("Output", arrow("output"), "amount"),
    ], preview.rows, "No price changes at the providers that Farebox calls."),
    preview.rows_left_out ? h("p", { class: "note" }, `And ${number(preview.rows_left_out)} changes of other providers, or more than are shown.`) : null,
    fault, row(h("button", { type: "button", class: "main", onclick }, "Put it in force"), closing("Cancel")));
}
