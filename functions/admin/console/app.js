// The console's frame: which pages there are, who asks, and how a page is shown.
"use strict";

const PAGES = { overview, budgets, "budget-requests": budgetRequests, people, keys, credentials, models, prices, requests, alerts, access, audit };
const OWN_PAGES = { overview: ownOverview, keys: ownKeys, credentials: ownCredentials, requests: ownRequests, alerts: ownAlerts };
const pages = () => (session?.role === "member" ? OWN_PAGES : PAGES);
const pageName = (page) => page[0].toUpperCase() + page.slice(1).replace("-", " ");

/** A form that asks for other rows of a page: its fields are what is asked for. */
function finder(fields, query, error) {
  const inputs = fields.map((field) => {
    const value = query[field.name];
    return { ...field, input: inputOf({ ...field, value: field.kind === "time" ? shownTime(value) : value }, "q") };
  });
  const fault = h("p", { class: "fault", id: "q-fault", role: "alert", hidden: true });
  const told = (error) => {
    fault.textContent = error.message;
    fault.hidden = false;
    const found = inputs.find(({ name }) => name === error.field)?.input;
    found?.setAttribute("aria-invalid", "true");
    found?.setAttribute("aria-describedby", "q-fault");
    return found;
  };
  const onsubmit = (event) => {
    event.preventDefault();
    for (const { input } of inputs) input.removeAttribute("aria-invalid");
    try {
      const wanted = bodyOf(fields, Object.fromEntries(inputs.map(({ name, input }) => [name, read(input)])));
      opener = "Find";
      go(here().page, wanted);
    } catch (wrong) {
      told(wrong)?.focus();
    }
  };
  if (error) told(error);
  return h("form", { class: "row find", role: "search", onsubmit, novalidate: true }, inputs.map(({ label, input }) => h("label", {}, label, input)), h("button", { type: "submit" }, "Find"), fault);
}

function picker(name, options, query, all = "all") {
  const id = `pick-${name}`;
  const onchange = (event) => {
    opener = id;
    go(here().page, { ...query, cursor: null, [name]: event.target.value });
  };
  return h("label", { class: "picker" }, name[0].toUpperCase() + name.slice(1),
    h("select", { id, onchange }, options.map((one) => h("option", { value: one, selected: one === (query[name] ?? "") }, one || all))));
}

function more(cursor, query, name = "cursor", label = "Next page") {
  if (!cursor) return null;
  return h("p", {}, h("a", { href: address(here().page, { ...query, [name]: cursor }) }, label));
}

const address = (page, query) => `#${at(page, query)}`;

function here() {
  const [page, query] = location.hash.slice(1).split("?");
  return { page: page in pages() ? page : "overview", query: Object.fromEntries(new URLSearchParams(query ?? "")) };
}

function go(page, query) {
  const wanted = address(page, query);
  if (location.hash === wanted) show();
  else location.hash = wanted;
}

function login(text) {
  nav.hidden = true;
  leave.hidden = true;
  who.hidden = true;
  document.title = "Farebox";
  const input = h("input", { type: "password", id: "key", required: true, autocomplete: "off", spellcheck: "false" });
  const onsubmit = (event) => {
    event.preventDefault();
    key = input.value.trim();
    enter();
  };
  const back = location.hash.slice(1);
  const signIn = h("a", { id: "sign-in", class: "button main", href: `console/sign-in${back ? `?back=${encodeURIComponent(back)}` : ""}` }, "Sign in");
  const fault = text ? h("p", { class: "fault", role: "alert" }, text) : null;
  main.replaceChildren(h("form", { class: "card login", onsubmit }, h("h1", {}, "Farebox console"), fault,
    hasSignIn ? signIn : null, hasSignIn ? h("p", { class: "note" }, "Or with a key:") : null,
    h("label", {}, "Admin key, or a member's own; it stays in this page", input),
    h("button", { type: "submit", class: hasSignIn ? null : "main" }, "Open")));
  tell("");
  (hasSignIn ? signIn : input).focus();
}

/** Asks who has signed in; null where nobody has. */
async function signedIn() {
  const answer = await fetch("console/session", { headers: OWN, cache: "no-store" });
  const found = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, found?.error);
  hasSignIn = found.single_sign_on;
  return found.session;
}

/** Begins, with a key or with the browser's cookie. */
async function enter() {
  tell("Asking…");
  try {
    session = key ? await get("session") : await signedIn();
  } catch (error) {
    key = null;
    session = null;
    return login(error.message);
  }
  return session ? show() : login();
}

/** The page that stands there. */
let shown = null;

async function show() {
  if (!session) return login();
  const { page, query } = here();
  shown = page;
  turn += 1;
  const mine = turn;
  nav.hidden = false;
  leave.hidden = false;
  leave.textContent = key ? "Forget key" : "Sign out";
  who.hidden = Boolean(key);
  who.textContent = key ? "" : `${session.actor.replace(/^sso:/, "")}, ${session.role}`;
  nav.replaceChildren(...Object.keys(pages()).map((name) => h("a", { href: `#${name}`, "aria-current": name === page ? "page" : null }, pageName(name))));
  document.title = `${pageName(page)} – Farebox`;
  tell("Asking…");
  main.setAttribute("aria-busy", "true");
  try {
    const content = await pages()[page](query);
    if (mine !== turn) return null;
    main.replaceChildren(...content.filter(Boolean));
    tell("");
  } catch (error) {
    if (mine !== turn) return null;
    if (error.status === 403 && await hasEnded()) return login("Your session has ended. Sign in again.");
    main.replaceChildren(h("h1", {}, "This page could not be shown"), h("p", { class: "bad" }, error.message),
      h("button", { type: "button", onclick: show }, "Try again"));
    tell("");
  } finally {
    main.removeAttribute("aria-busy");
  }
  return null;
}

/** Whether who has signed in is not any more; where nobody answers, nothing is known. */
async function hasEnded() {
  if (key) return false;
  const found = await signedIn().catch(() => session);
  if (!found) session = null;
  return !found;
}

leave.addEventListener("click", async () => {
  let next = null;
  if (!key) {
    const answer = await fetch("console/sign-out", { method: "POST", headers: OWN }).catch(() => null);
    if (!answer?.ok) return tell("You are still signed in: the gateway did not answer. Try again.", true);
    ({ next } = await answer.json());
  }
  key = null;
  session = null;
  history.replaceState(null, "", location.pathname);
  // The provider's own sign-in ends there, and its page leads back here.
  return next ? location.assign(next) : login();
});
// Nothing of it stays in the page, a new key's secret least of all. The event comes late: another
// dialog may be open by then.
dialog.addEventListener("close", () => {
  if (dialog.open) return;
  dialog.replaceChildren();
  const act = closed;
  closed = null;
  if (act) act();
  else refocus();
});
window.addEventListener("hashchange", () => {
  if (dialog.open) dialog.close();
  // Who looks for other rows goes on from there; another page is read from its beginning.
  const isOther = shown !== here().page;
  show().then(() => {
    if (!isOther) return refocus();
    // From its beginning, with the way to the other pages in sight.
    main.focus({ preventScroll: true });
    return scrollTo(0, 0);
  });
});

// `cargo local` hands its key over behind the #, which no browser sends; it leaves the address at once.
// Elsewhere such an address is somebody's who would have another person's secrets stored as his own.
const handed = /^#key=([\w-]+)$/.exec(location.hash);
if (handed) {
  if (["127.0.0.1", "localhost", "[::1]"].includes(location.hostname)) key = handed[1];
  history.replaceState(null, "", location.pathname);
}
enter();
