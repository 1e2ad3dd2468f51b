// What every page of the console is made of: tables, forms, dialogs and the admin API. A key stays in
// this page and is forgotten with it; who has signed in has a cookie that no program sees.
"use strict";

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const said = document.getElementById("said");
const dialog = document.getElementById("dialog");
const leave = document.getElementById("leave");
const who = document.getElementById("who");
const PAGE_ROWS = 50;
let key = null;
/** Who asks, once it is known. */
let session = null;
let hasSignIn = false;
/** What follows when the dialog is closed. */
let closed = null;
/** The name of the button that was pressed last: the page is made anew, and the focus belongs there. */
let opener = null;
let turn = 0;

// ---- small things --------------------------------------------------------------------------------

/** An element with attributes, listeners (`on…`) and children. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const PICO = 12;

/** A decimal text of USD as an integer of pico-USD. */
function pico(text) {
  if (text === null || text === undefined) return null;
  const [, sign, whole, part = ""] = /^(-?)(\d*)\.?(\d*)$/.exec(String(text)) ?? [];
  if (whole === undefined) return 0n;
  const amount = BigInt(whole || "0") * 10n ** BigInt(PICO) + BigInt(part.padEnd(PICO, "0").slice(0, PICO) || "0");
  return sign ? -amount : amount;
}

/** An amount for people: cents, and more digits where it is less than a dollar and has them. */
function usd(amount) {
  if (amount === null || amount === undefined) return "–";
  const value = typeof amount === "bigint" ? amount : pico(amount);
  const size = value < 0n ? -value : value;
  const digits = size >= 10n ** 12n || size === 0n ? 2 : size >= 10n ** 10n ? 4 : 8;
  const unit = 10n ** BigInt(PICO - digits);
  const rounded = (size + unit / 2n) / unit;
  const text = rounded.toString().padStart(digits + 1, "0");
  const whole = text.slice(0, -digits).replace(/\B(?=(\d{3})+$)/g, ",");
  const part = text.slice(-digits).replace(/0+$/, "").padEnd(2, "0");
  return `${value < 0n ? "−" : ""}$${whole}.${part}`;
}

const number = (value) => (value ?? 0).toLocaleString("en");
const when = (text) => (text ? text.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC") : "–");
const day = (date) => date.toISOString().slice(0, 10);

/** Whether who asks may change things, or rule over who may; the gateway decides again, each time. */
const may = (isRule) => (isRule ? session?.role === "owner" : session?.role !== "auditor");

const nameOf = (button) => button.getAttribute("aria-label") ?? (button.id || button.textContent);

/** The focus, where it is nowhere, goes back to the button that was pressed, or its like in the page as it is now. */
function refocus() {
  if (document.activeElement !== document.body) return;
  const found = [...main.querySelectorAll("button, select")].find((button) => nameOf(button) === opener);
  if (found) found.focus();
  else main.focus({ preventScroll: true });
}

/**
 * A button that asks the gateway: it waits for the answer, and tells where there is none. Whoever
 * may not do what it does sees none.
 */
function act(label, what, { kind, about, isRule } = {}) {
  if (!may(isRule)) return null;
  const button = h("button", { type: "button", class: kind, "aria-label": about ? `${label} ${about}` : null }, label);
  button.addEventListener("click", async () => {
    // A disabled button would lose the focus.
    if (button.hasAttribute("aria-disabled")) return;
    button.setAttribute("aria-disabled", "true");
    opener = nameOf(button);
    tell("Asking…");
    try {
      tell((await what()) ?? "");
    } catch (error) {
      tell(error.message, true);
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });
  return button;
}

const row = (...children) => h("div", { class: "row" }, children);

/** What a value of a column looks like. */
const LOOKS = { usd: (value) => usd(value), when: (value) => when(value), count: (value) => number(value) };

/** A column: its name, the field of a row or what makes its content, and the kind of that: amount, usd, count, when or id. */
const col = (name, of, kind) => ({ name, kind, of: typeof of === "function" ? of : (one) => (one[of] === null || one[of] === undefined ? null : (LOOKS[kind] ?? String)(one[of])) });

/** A table from rows. */
function table(caption, columns, rows, empty) {
  if (!rows.length) return h("section", { class: "card" }, h("h2", {}, caption), h("p", { class: "empty" }, empty));
  const look = ({ kind }) => (kind === "usd" || kind === "count" ? "amount" : kind);
  const title = (one) => one.name || h("span", { class: "unseen" }, "Actions");
  const head = h("tr", {}, columns.map((one) => h("th", { scope: "col", class: look(one) === "amount" ? "amount" : null }, title(one))));
  const cells = (row) => columns.map((one) => {
    const content = one.of(row);
    return h("td", { class: look(one) }, content === null || content === undefined || content === "" ? (one.name ? "–" : "") : content);
  });
  const body = rows.map((row) => h("tr", { class: row.isTotal ? "total" : null }, cells(row)));
  // A wide table scrolls, and then the keyboard must reach it.
  return h("section", { class: "card scroll", tabindex: "0", "aria-label": caption },
    h("table", {}, h("caption", {}, caption), h("thead", {}, head), h("tbody", {}, body)));
}

function tell(text, isBad) {
  said.textContent = text;
  said.className = isBad ? "bad" : "";
}

// ---- the API -------------------------------------------------------------------------------------

class Refused extends Error {
  constructor(status, error, version) {
    super(error?.message ?? `The gateway answered ${status}.`);
    Object.assign(this, { status, field: error?.field, current: error?.current, version });
  }
}

/** What no other site's page can send: a browser would ask first whether it may. */
const OWN = { "x-farebox-console": "1" };

/** What is found, and its version. A file is sent as it stands, anything else as JSON. */
async function ask(method, path, body, version) {
  const headers = key ? { authorization: `Bearer ${key}` } : { ...OWN };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (version) headers["if-match"] = version;
  const text = body === undefined || body instanceof Blob ? body : JSON.stringify(body);
  const answer = await fetch(`v1/${path}`, { method, headers, cache: "no-store", body: text }).catch(() => null);
  if (!answer) throw new Refused(0, { message: "The gateway did not answer. Try again." });
  const tag = answer.headers.get("etag");
  const found = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, found?.error, tag);
  return { found, version: tag };
}

const api = async (...asked) => (await ask(...asked)).found;

const get = (path) => api("GET", path);

/** A path with what of a query is set. */
function at(path, query) {
  const set = Object.entries(query).filter(([, value]) => value);
  return set.length ? `${path}?${set.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")}` : path;
}

/** A page of a list. */
const list = (path, cursor, filter) => get(at(path, { limit: PAGE_ROWS, ...filter, cursor }));

/** A page of what was looked for, or why that is refused: it is told where it was typed. */
const sought = (items, ...asked) => list(...asked).catch((error) => {
  if (error.status === 404) error.message = "There is nobody of that name.";
  else if (error.status !== 400) throw error;
  return { [items]: [], error };
});

/** A thing with the version that a change of it is based on, also where nobody has made it yet. */
const seen = (path) => ask("GET", path).catch((error) => {
  if (error.status === 404) return { found: null, version: '"0"' };
  throw error;
});

/** What a role may not see, or an older gateway has not, is an empty list and not the page's end. */
const ifAllowed = (path, instead) => get(path).catch((error) => {
  if (error.status === 403 || error.status === 404) return instead;
  throw error;
});

// ---- dialogs and forms ---------------------------------------------------------------------------

function open(title, ...content) {
  dialog.replaceChildren(h("h2", { id: "dialog-title" }, title), ...content);
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("input, select, textarea, button")?.focus();
}

const closing = (text = "Close") => h("button", { type: "button", onclick: () => dialog.close() }, text);

/** A whole number as one; anything else as it is typed, so that the gateway says what is wrong. */
const whole = (text) => (/^\d{1,15}$/.test(text) ? Number(text) : text);
const listed = (text) => text.split(/[\s,]+/).filter(Boolean);

function inputOf(field, prefix = "f") {
  const attributes = { id: `${prefix}-${field.name}`, name: field.name, autocomplete: "off", required: field.required };
  if (field.options) {
    return h("select", attributes, field.options.map((one) => h("option", { value: one, selected: one === field.value }, one || "all")));
  }
  if (field.type === "checkbox") return h("input", { ...attributes, type: "checkbox", checked: Boolean(field.value) });
  if (field.type === "lines") {
    const area = h("textarea", { ...attributes, rows: 3, placeholder: field.hint, spellcheck: "false" });
    area.value = field.value ?? "";
    return area;
  }
  return h("input", {
    ...attributes, type: field.type ?? "text", value: field.value ?? "", placeholder: field.hint, spellcheck: "false",
    inputmode: field.inputmode, accept: field.accept, list: field.list,
  });
}

/** What somebody else has changed meanwhile: what stands there now, beside what is typed here. */
function conflict(fields, inputs, now) {
  const text = (value) => (value === true ? "yes" : value === false ? "no" : value === "" ? "nothing" : value);
  const differing = fields.filter((field) => now && now[field.name] !== undefined && String(now[field.name]) !== String(read(inputs.get(field.name).input)));
  const take = () => {
    for (const { name } of differing) write(inputs.get(name).input, now[name]);
    inputs.get(differing[0].name).input.focus();
    box.remove();
  };
  const what = !now ? "Somebody took it away meanwhile: to save makes it again."
    : differing.length ? "Somebody changed it meanwhile. To save now puts what is typed here in its place."
      : "Somebody changed it meanwhile to what is typed here.";
  const box = h("div", { class: "conflict", role: "alert" }, h("p", {}, what),
    differing.length ? h("table", {}, h("thead", {}, h("tr", {}, ["Field", "Now there", "Typed here"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, differing.map((field) => h("tr", {}, h("th", { scope: "row" }, field.label), h("td", {}, text(now[field.name])),
        h("td", {}, text(read(inputs.get(field.name).input))))))) : null,
    differing.length ? h("button", { type: "button", onclick: take }, "Take what is there") : null);
  return box;
}

const read = (input) => (input.type === "checkbox" ? input.checked : input.type === "file" ? input.files[0] ?? "" : input.value.trim());
function write(input, value) {
  if (input.type === "checkbox") input.checked = Boolean(value);
  else input.value = value ?? "";
}

/**
 * A form of fields {name, label, value?, type?, options?, hint?, group?}; `send` gets their values
 * and the version that the change is based on. A fault is told at its field, else at `place`.
 * `shows` makes the fields' values of the thing as it is now, for who comes second.
 */
function form(fields, submit, send, { version, shows, place } = {}) {
  const inputs = new Map();
  const line = (field) => {
    const input = inputOf(field);
    const fault = h("p", { class: "fault", id: `e-${field.name}`, hidden: true });
    const note = field.note ? h("p", { class: "note", id: `n-${field.name}` }, field.note) : null;
    input.setAttribute("aria-describedby", [note?.id, fault.id].filter(Boolean).join(" "));
    inputs.set(field.name, { input, fault });
    if (field.oninput) input.addEventListener("input", () => field.oninput(values()));
    if (field.type === "checkbox") return h("div", { class: "check" }, h("label", {}, input, field.label), note, fault);
    return h("div", { class: field.type === "lines" ? "wide" : null }, h("label", {}, field.label, input), note, fault);
  };
  const groups = [...new Set(fields.map((field) => field.group))].map((group) => {
    const rows = h("div", { class: "row" }, fields.filter((field) => field.group === group).map(line));
    return group ? h("fieldset", {}, h("legend", {}, group), rows) : rows;
  });
  const values = () => Object.fromEntries([...inputs].map(([name, { input }]) => [name, read(input)]));
  const general = h("p", { class: "fault", role: "alert", hidden: true });
  const wait = h("p", { class: "note", role: "status" });
  const button = h("button", { type: "submit", class: "main" }, submit);
  /** `models[0]` and `labels.team` are told at `models` and `labels`. */
  const at = (name = "") => inputs.get(name) ?? inputs.get(name.split(/[.[]/)[0]) ?? inputs.get(name.split(".").at(-1)) ?? inputs.get(place);
  const tellFault = (error) => {
    const found = at(error.field);
    const shown = found ? found.fault : general;
    shown.textContent = error.message;
    shown.hidden = false;
    if (!found) return;
    found.input.setAttribute("aria-invalid", "true");
    found.input.focus();
  };
  const onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    general.hidden = true;
    made.querySelector(".conflict")?.remove();
    for (const { input, fault } of inputs.values()) {
      fault.hidden = true;
      input.removeAttribute("aria-invalid");
    }
    wait.textContent = "Asking…";
    try {
      await send(values(), version);
    } catch (error) {
      if (error.status === 412 && shows) {
        version = error.version;
        general.before(conflict(fields, inputs, error.current ? shows(error.current) : null));
      } else {
        tellFault(error);
      }
    } finally {
      wait.textContent = "";
      button.disabled = false;
    }
  };
  const made = h("form", { onsubmit, novalidate: true }, groups, general, wait, h("div", { class: "row" }, button, closing("Cancel")));
  return made;
}

/** What is saved: the dialog is closed, the page shown anew and read out. */
async function done(text) {
  dialog.close();
  await show();
  tell(text);
  refocus();
}

/** Asks before something is taken away for good, as it is when it is asked. */
async function confirmed(title, text, label, path) {
  const { version } = await seen(path);
  const fault = h("p", { class: "fault", role: "alert", hidden: true });
  const onclick = async (event) => {
    event.target.disabled = true;
    try {
      await api("DELETE", path, undefined, version);
      await done("Done.");
    } catch (error) {
      fault.textContent = error.status === 412 ? "Somebody changed it meanwhile. Close this, and look at it again." : error.message;
      fault.hidden = false;
      event.target.disabled = false;
    }
  };
  const buttons = row(h("button", { type: "button", class: "danger", onclick }, label), closing("Cancel"));
  open(title, h("p", {}, text), fault, buttons);
}

function secret(title, text) {
  open(title, h("p", {}, "It is shown this once. Copy it now."), h("p", { class: "secret", tabindex: "0" }, text), closing());
  closed = () => show().then(refocus);
}
