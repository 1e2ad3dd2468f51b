// What every page of the console is made of: tables, buttons and the admin API. A key stays in
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
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
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
    if (main.contains(button)) opener = nameOf(button);
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
  const head = h("tr", { role: "row" }, columns.map((one) => h("th", { scope: "col", role: "columnheader", class: look(one) === "amount" ? "amount" : null }, title(one))));
  const cells = (row) => columns.map((one) => {
    const content = one.of(row);
    return h("td", { class: look(one), role: "cell", "data-name": one.name || null }, content === null || content === undefined || content === "" ? (one.name ? "–" : "") : content);
  });
  const body = rows.map((row) => h("tr", { role: "row", class: row.isTotal ? "total" : null }, cells(row)));
  // A wide table scrolls, and then the keyboard must reach it. On a phone its rows are cards, which
  // without the roles would be no table to a screen reader.
  return h("section", { class: "card scroll", tabindex: "0", "aria-label": caption },
    h("table", { role: "table" }, h("caption", {}, caption), h("thead", { role: "rowgroup" }, head), h("tbody", { role: "rowgroup" }, body)));
}

// ---- what was changed ----------------------------------------------------------------------------

/** What follows from a change, and is nobody's own. */
const FOLLOWING = /^(version|updated_at|last_used_at|periods)\b/;

/** A thing as its fields, `self_service.keys`; a list of texts is one. */
function flat(thing, name = "") {
  if (FOLLOWING.test(name) || thing === null || thing === undefined || thing === "") return [];
  if (Array.isArray(thing) && thing.every((one) => typeof one !== "object")) return thing.length ? [[name, thing.join(", ")]] : [];
  if (typeof thing !== "object") return [[name, thing === true ? "yes" : thing === false ? "no" : /_at$|\b(from|until)$/.test(name) ? when(String(thing)) : String(thing)]];
  return Object.entries(thing).flatMap(([key, value]) => flat(value, [name, Array.isArray(thing) ? Number(key) + 1 : key].filter(Boolean).join(".")));
}

/** The fields in which two states of a thing differ: for people to read. */
function changesOf(before, after) {
  const [old, now] = [before, after].map((thing) => new Map(flat(thing)));
  const names = [...new Set([...old.keys(), ...now.keys()])].filter((name) => old.get(name) !== now.get(name));
  const title = (name) => name.replace(/_usd\b/, ", USD").replace(/_ms\b/, ", ms").replaceAll("_", " ").replaceAll(".", " › ");
  return names.map((name) => ({ name: title(name), before: old.get(name), after: now.get(name) }));
}

const differences = (before, after) => table("What changed", [
  col("Field", "name"), col("Before", (one) => one.before && h("del", { class: "bad" }, one.before)),
  col("After", (one) => one.after && h("ins", { class: "good" }, one.after)),
], changesOf(before, after), "Nothing that is shown.");

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

/** The name of one attempt to make something: asked for again by it, nothing is made twice. */
const attempt = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** What is found, and its version. A file is sent as it stands, anything else as JSON. */
async function ask(method, path, body, version, once) {
  const headers = key ? { authorization: `Bearer ${key}` } : { ...OWN };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (version) headers["if-match"] = version;
  if (once) headers["idempotency-key"] = once;
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
