// A headless browser on the console of a stack: what both programs of claims begin with.
//
//     node PROGRAM CONSOLE_URL ADMIN_KEY ISSUER [DIRECTORY FOR SCREENSHOTS]

import AxeBuilder from "@axe-core/playwright";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

export const [url, key, issuer, shots] = process.argv.slice(2);
export const PAGES = ["overview", "budgets", "budget-requests", "people", "keys", "credentials", "models", "prices", "requests", "alerts", "access", "audit"];
export const VIEWS = {
  light: { viewport: { width: 1200, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1200, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light" },
};
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
let failed = 0;

export async function claim(name, act) {
  const began = Date.now();
  try {
    await act();
    console.log(`ok      ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  } catch (why) {
    failed += 1;
    console.log(`FAILED  ${name}: ${why?.message ?? why}`);
  }
}

export const admin = url.replace(/console$/, "v1/");

/** One request to the admin API, beside the page. */
export async function api(method, path, body, headers = {}) {
  const answer = await fetch(admin + path, {
    method, body: body && JSON.stringify(body),
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "if-match": "*", ...headers },
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${text}`);
  return text && JSON.parse(text);
}

/** An address that answers, at the demo provider. */
export async function hook(path = "/hook") {
  const { credentials } = await api("GET", "credentials?user=ada");
  return { url: `${new URL(credentials.find((one) => one.provider === "demo").base_url).origin}${path}` };
}

/** Counts, in the page, the rounds of requests: a round begins when one is asked for after an answer. */
function countRounds() {
  const real = window.fetch;
  window.rounds = { count: 0, answered: true };
  window.fetch = async (...asked) => {
    if (window.rounds.answered) window.rounds = { count: window.rounds.count + 1, answered: false };
    const answer = await real(...asked);
    window.rounds.answered = true;
    return answer;
  };
}

/** A page that is logged in, and what it complained of. */
export async function opened(view, fragment = `#key=${key}`) {
  const context = await browser.newContext(VIEWS[view]);
  const page = await context.newPage();
  const faults = [];
  page.setDefaultTimeout(20_000);
  await page.addInitScript(countRounds);
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(error.message));
  await page.goto(url + fragment);
  return { page, faults, close: () => context.close() };
}

export const submit = (page, label) => page.click(`dialog button[type=submit]:has-text('${label}')`);

/** Clean by axe, in light and in dark where it is not told, and shown as it is. Nothing behind an open dialog is reached. */
export async function clean(page, name, schemes = ["light", "dark"]) {
  const own = await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'");
  const part = await page.evaluate("document.querySelector('dialog[open]') ? 'dialog' : 'html'");
  for (const colorScheme of schemes) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await new AxeBuilder({ page }).include(part).analyze();
    assert.deepEqual(violations.map((one) => [name, colorScheme, one.id, one.nodes[0].html]), []);
  }
  await page.emulateMedia({ colorScheme: own });
  if (shots) await page.screenshot({ path: `${shots}/${name}.png` });
}

export const settled = (page) => page.waitForFunction(
  () => document.getElementById("said").textContent === "" && !document.querySelector("main[aria-busy]"));

/** The page stands; what was done before may still be told. */
export const stands = (page) => page.waitForFunction(
  () => document.getElementById("said").textContent !== "Asking…" && !document.querySelector("main[aria-busy]"));

export async function visit(page, name) {
  await page.click(`nav a[href='#${name}']`);
  await page.waitForSelector(`nav a[href='#${name}'][aria-current='page']`);
  await settled(page);
}

/** A dialog by its keyboard: from the button that opens it, and back to the page. */
export async function dialogOf(page, button) {
  // What lies under a dialog that is still closing takes no focus, and Enter would go to that dialog;
  // what is drawn anew in this moment has lost it.
  const opener = page.locator(button).first();
  for (let tries = 0; ; tries += 1) {
    const before = await page.locator("dialog[open]").count();
    const has = await opener.evaluate((one) => { one.focus(); return document.activeElement === one; });
    if (has) {
      await page.keyboard.press("Enter");
      const opened = (count) => document.querySelectorAll("dialog[open]").length > count;
      const came = await page.waitForFunction(opened, before, { timeout: 3000 }).catch(() => null);
      if (came) return;
    }
    assert.ok(tries < 20, `no dialog of ${button}`);
    await page.waitForTimeout(100);
  }
}

/** Tells how many claims failed, and ends with it. */
export async function finish() {
  await browser.close();
  console.log(failed ? `${failed} failed` : "all passed");
  process.exit(failed ? 1 : 0);
}
