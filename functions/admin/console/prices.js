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
    `quarantine/${one.provider}/${encodeURI(one.model)}`);
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
      col("", (one) => act(one.source === "owner" ? "Edit price" : "Set own price", () => editPrice(one.source === "owner" ? one : null, modelName(one)), { about: modelName(one) })),
    ], found.models, `The catalogue has no such model of ${provider}.`),
    more(found.next_cursor, query),
    table("Routes", [
      col("Name", "name"),
      col("Leads to", (one) => (one.spec?.targets ?? []).map((target) => target.model + (target.weight ? ` ×${target.weight}` : "")).join(" → ")),
      col("In the way", (one) => one.warnings?.join("; ")),
    ], routes.routes, "No route is set: a call goes to the model that it names."),
    more(routes.next_cursor, query, "route"),
  ];
}

const modelName = (one) => `${one.provider}/${one.model}`;

// ---- prices --------------------------------------------------------------------------------------

const RATES = ["input", "output", "cached_input", "cache_write_5m", "cache_write_1h", "web_search"];
const BOUNDS = ["context_window", "max_output_tokens"];

async function prices(query) {
  const [inUse, own, discounts] = await Promise.all([ask("GET", "catalogue"), list("prices", query.cursor),
    list("discounts", query.after)]);
  const spec = (name) => (row) => row.spec?.[name];
  const path = (one) => `prices/${one.provider}/${encodeURI(one.model)}`;
  const remove = (one) => confirmed(`Take your own price of ${modelName(one)} away?`, "It has the list's price from then on, or none.", "Take away", path(one));
  const end = (one) => confirmed(`Take the discount of ${one.target} away?`, "As if it had never been. To end one from a day on, edit it: 0 percent.", "Take away", `discounts/${encodeURI(one.target)}`);
  return [
    h("h1", {}, "Prices"),
    inForce(inUse.found),
    table("Your own prices, USD per million tokens", [
      col("Model", modelName), col("Input", (one) => (one.spec?.free ? "free" : spec("input")(one)), "amount"),
      col("Cached", spec("cached_input"), "amount"), col("Output", spec("output"), "amount"),
      col("Window", (one) => (one.spec?.context_window ? number(one.spec.context_window) : "the list's"), "amount"), col("Version", "version", "id"),
      col("", (one) => row(act("Edit", () => editPrice(one), { about: modelName(one) }), act("Take away", () => remove(one), { kind: "danger", about: modelName(one) }))),
    ], own.prices, "Every model has the price of the list in force."),
    more(own.next_cursor, query),
    row(act("Set a price of your own", () => editPrice(null), { kind: "main" })),
    table("Discounts on the list's prices", [
      col("Of", "target", "id"), col("Now, %", "off_percent", "amount"),
      col("From and percent", (one) => one.spec.terms.map((term) => `${when(term.from)}: ${term.off_percent}`).join("; ")),
      col("", (one) => row(act("Edit", () => editDiscount(one), { about: one.target }), act("Take away", () => end(one), { kind: "danger", about: one.target }))),
    ], discounts.discounts, "Nothing is taken off."),
    more(discounts.next_cursor, query, "after"),
    row(act("Set a discount", () => editDiscount(null), { kind: "main" })),
  ];
}

const priceValues = (one) => ({
  ...Object.fromEntries([...RATES, ...BOUNDS].map((name) => [name, String(one.spec?.[name] ?? "")])), free: one.spec?.free ?? false,
});

async function editPrice(one, model) {
  const path = (name) => `prices/${name.split("/").map(encodeURIComponent).join("/")}`;
  const known = one ? await ask("GET", path(modelName(one))) : { found: {} };
  const now = priceValues(known.found);
  const rate = (name, label, hint = "none") => ({ name, label, value: now[name], hint, inputmode: "decimal", group: "USD per million tokens" });
  const bound = (name, label) => ({ name, label, value: now[name], hint: "the list's", inputmode: "numeric", group: "Limits, in tokens" });
  const fields = [
    one ? null : { name: "model", label: "Model, as provider/model", required: true, value: model, hint: "openai/gpt-x" },
    rate("input", "Prompt", ""), rate("output", "Completion", ""), rate("cached_input", "Read from the cache"),
    rate("cache_write_5m", "Written to the cache, 5 min"), rate("cache_write_1h", "Written to the cache, 1 h"),
    { ...rate("web_search", "One web search, USD"), group: "Else" },
    { name: "free", label: "It costs nothing", type: "checkbox", value: now.free, group: "Else" },
    bound("context_window", "Prompt and completion"), bound("max_output_tokens", "Completion"),
  ].filter(Boolean);
  open(one ? `Your price of ${modelName(one)}` : "Set a price of your own", h("p", { class: "note" }, "It takes the place of the list's prices whole: what is not said here has no price."),
    form(fields, "Save", async (values, version) => {
      const name = one ? modelName(one) : values.model;
      if (!/^[^/]+\/./.test(name)) throw new Refused(0, { field: "model", message: "Write it as provider/model." });
      const body = { ...chosen(values, [...RATES, "free"]), ...Object.fromEntries(BOUNDS.filter((bound) => values[bound]).map((bound) => [bound, whole(values[bound])])) };
      await api("PUT", path(name), body, one || version ? version : '"0"');
      await done(`${name} has your own price, within a minute.`);
    }, { version: known.version, shows: priceValues, place: one ? null : "model" }));
}

/** The terms of a discount, each a row; an empty row is no term. */
async function editDiscount(one) {
  const path = (target) => `discounts/${target.split("/").map(encodeURIComponent).join("/")}`;
  const known = one ? await ask("GET", path(one.target)) : { found: { spec: { terms: [] } } };
  const count = known.found.spec.terms.length + 1;
  const shows = (found) => Object.fromEntries(Array.from({ length: count }, (_, place) => found.spec.terms[place]).flatMap((term, place) => [
    [`terms[${place}].from`, term?.from ?? ""], [`terms[${place}].off_percent`, term?.off_percent ?? ""]]));
  const now = shows(known.found);
  const fields = Array.from({ length: count }, (_, place) => {
    const group = place === count - 1 ? "Another term: empty for none" : `Term ${place + 1}: empty to take it away`;
    return [
      { name: `terms[${place}].from`, label: "From (RFC 3339)", value: now[`terms[${place}].from`], hint: "2027-01-01T00:00:00Z", group },
      { name: `terms[${place}].off_percent`, label: "Percent off", value: now[`terms[${place}].off_percent`], hint: "12.5", inputmode: "decimal", group },
    ];
  }).flat();
  if (!one) fields.unshift({ name: "target", label: "Of what: provider/model, provider/* or *", required: true, hint: "openai/*" });
  open(one ? `Discount of ${one.target}` : "Set a discount", h("p", { class: "note" }, "Each term holds until the next one; 0 ends a discount. The nearest target counts, and no other."),
    form(fields, "Save", async (values, version) => {
      const target = one?.target ?? values.target;
      const rows = Array.from({ length: count }, (_, place) => place).filter((place) => values[`terms[${place}].from`] || values[`terms[${place}].off_percent`]);
      const terms = rows.map((place) => ({ from: values[`terms[${place}].from`], off_percent: values[`terms[${place}].off_percent`] }));
      try {
        await api("PUT", path(target), { terms }, one || version ? version : '"0"');
      } catch (error) {
        // The gateway counts the terms that were sent, and the form its rows.
        const at = /^terms\[(\d+)\](.*)$/.exec(error.field ?? "");
        if (at) error.field = `terms[${rows[at[1]]}]${at[2]}`;
        throw error;
      }
      await done(`The discount of ${target} is set, within a minute.`);
    }, { version: known.version, shows, place: one ? "terms[0].from" : "target" }));
}

// ---- the list in force ---------------------------------------------------------------------------

function inForce(list) {
  const { imported } = list;
  const by = list.source === "imported" ? `imported ${when(imported.imported_at)} by ${imported.imported_by}` : "which the code was built with";
  const again = (one) => act("Look at it", () => lookAt(one.version), { about: one.version });
  const back = () => confirmed("Go back to the list that the code was built with?", `${list.compiled_version} is in force from then on, for every model at once.`, "Go back", "catalogue");
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
  const field = { name: "file", label: "A file as catalog.json of a newer Farebox", type: "file", accept: ".json,application/json", required: true,
    note: "The gateway looks at every row first; nothing changes before you say so." };
  open("Import a price list", form([field], "Look at it", async ({ file }) => {
    if (!file) throw new Refused(0, { field: "file", message: "Choose a file." });
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
