// The console in a real browser: every page in light, dark and on a phone, without a fault of its
// own and clean by axe; and what people do in it, against `cargo local`.
//
//     node console.mjs CONSOLE_URL ADMIN_KEY ISSUER [DIRECTORY FOR SCREENSHOTS]

import AxeBuilder from "@axe-core/playwright";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [url, key, issuer, shots] = process.argv.slice(2);
const PAGES = ["overview", "budgets", "keys", "credentials", "models", "requests", "alerts", "access", "audit"];
const BYTES_MAX = 150_000;
const VIEWS = {
  light: { viewport: { width: 1200, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1200, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light" },
};
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
let failed = 0;

async function claim(name, act) {
  try {
    await act();
    console.log(`ok      ${name}`);
  } catch (why) {
    failed += 1;
    console.log(`FAILED  ${name}: ${why?.message ?? why}`);
  }
}

/** A page that is logged in, and what it complained of. */
async function opened(view, fragment = `#key=${key}`) {
  const context = await browser.newContext(VIEWS[view]);
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(error.message));
  await page.goto(url + fragment);
  return { page, faults, close: () => context.close() };
}

const settled = (page) => page.waitForFunction(
  () => document.getElementById("said").textContent === "" && !document.querySelector("main[aria-busy]"));

async function visit(page, name) {
  await page.click(`nav a[href='#${name}']`);
  await page.waitForSelector(`nav a[href='#${name}'][aria-current='page']`);
  await settled(page);
}

for (const view of Object.keys(VIEWS)) {
  await claim(`every page, ${view}`, async () => {
    const { page, faults, close } = await opened(view);
    await page.waitForSelector("h1:has-text('Overview')");
    for (const name of PAGES) {
      await visit(page, name);
      const { violations } = await new AxeBuilder({ page }).analyze();
      assert.deepEqual(violations.map((one) => [name, one.id, one.nodes[0].html]), []);
      if (shots) await page.screenshot({ path: `${shots}/${view}-${name}.png` });
    }
    assert.deepEqual(faults, []);
    await close();
  });
}

await claim("all its files are small, and come from the gateway", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const bodies = [];
  page.on("response", (answer) => {
    assert.ok(answer.url().startsWith(new URL(url).origin) || answer.url().startsWith("data:"), answer.url());
    if (!answer.url().startsWith("data:")) bodies.push(answer.body());
  });
  await page.goto(url);
  await page.waitForSelector("#key");
  await page.waitForLoadState("networkidle");
  const bytes = (await Promise.all(bodies)).reduce((sum, body) => sum + body.length, 0);
  assert.ok(bytes > 50_000 && bytes < BYTES_MAX, String(bytes));
  await context.close();
});

await claim("a key is typed by keyboard; a wrong one is told; it is forgotten", async () => {
  const { page, close } = await opened("light", "");
  await page.waitForSelector("#sign-in:focus");
  await page.keyboard.press("Tab");
  await page.waitForSelector("#key:focus");
  await page.keyboard.type("sk-fba-wrong");
  await page.keyboard.press("Enter");
  await page.waitForSelector("[role=alert]:not([hidden]), main .bad");
  await page.reload();
  await page.focus("#key");
  await page.keyboard.type(key);
  await page.keyboard.press("Enter");
  await page.waitForSelector("h1:has-text('Overview')");
  assert.equal(page.url().includes(key), false);
  await page.click("#leave");
  await page.waitForSelector("#key");
  await close();
});

await claim("a budget is changed, with a preview, and a stale change is refused", async () => {
  const [one, other] = [await opened("light"), await opened("light")];
  for (const { page } of [one, other]) {
    await page.waitForSelector("h1:has-text('Overview')");
    await visit(page, "budgets");
    await page.click("tr:has-text('user:demo') button:has-text('Edit')");
    await page.waitForSelector("dialog[open] form");
  }
  await one.page.fill("#f-day_limit_usd", "0.0000001");
  await one.page.waitForSelector("dialog .note:has-text('would be refused')");
  if (shots) await one.page.screenshot({ path: `${shots}/edit.png` });
  await one.page.fill("#f-day_limit_usd", "2");
  await one.page.click("dialog button[type=submit]");
  await one.page.waitForSelector("td:has-text('$2.00')");
  await other.page.fill("#f-day_limit_usd", "3");
  await other.page.click("dialog button[type=submit]");
  await other.page.waitForSelector("dialog .fault:has-text('meanwhile')");
  await one.page.click("tr:has-text('user:demo') button:has-text('Edit')");
  await one.page.fill("#f-day_limit_usd", "-1");
  await one.page.click("dialog button[type=submit]");
  await one.page.waitForSelector("#f-day_limit_usd[aria-invalid='true']");
  await one.close();
  await other.close();
});

await claim("a key is made, shown once, rotated, and revoked", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "keys");
  await page.click("button:has-text('Make a key')");
  await page.fill("#f-user", "demo");
  await page.fill("#f-name", "made in the console");
  await page.click("dialog button[type=submit]");
  const secret = await page.textContent("dialog .secret");
  assert.match(secret, /^sk-fb-/);
  await page.click("dialog button:has-text('Close')");
  await page.waitForSelector("tr:has-text('made in the console')");
  assert.equal((await page.content()).includes(secret), false);
  await page.click("tr:has-text('made in the console') button:has-text('Rotate')");
  await page.selectOption("#f-grace_s", "in an hour");
  await page.click("dialog button[type=submit]");
  const next = await page.textContent("dialog .secret");
  assert.equal(next.startsWith(secret.split("-").slice(0, 4).join("-")) && next !== secret, true);
  await page.click("dialog button:has-text('Close')");
  await page.waitForSelector("tr:has-text('made in the console')");
  await page.click("tr:has-text('made in the console') button:has-text('Revoke')");
  await page.click("dialog button.danger");
  await page.waitForSelector("tr:has-text('made in the console'):has-text('revoked')");
  await close();
});

await claim("a request is explained line by line", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "requests");
  await page.click("tr:has-text('settled') a:has-text('Explain') >> nth=0");
  await page.waitForSelector("h1:has-text('One request')");
  const text = await page.textContent("main");
  assert.ok(text.includes("How its cost adds up") && text.includes("completion") && text.includes("Rounded up once"), text);
  if (shots) await page.screenshot({ path: `${shots}/explain.png` });
  await close();
});

/** Who signs in at the provider next. */
const person = (email) => fetch(`${issuer}/person`, { method: "POST", body: JSON.stringify({ sub: email, email, email_verified: true }) });

async function clean(page, name) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  assert.deepEqual(violations.map((one) => [name, one.id, one.nodes[0].html]), []);
  if (shots) await page.screenshot({ path: `${shots}/${name}.png` });
}

/** Gives an address a role, in the console. */
async function bind(subject, role, user) {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "access");
  await page.click("button:has-text('Give a role')");
  await page.fill("#f-subject", subject);
  await page.selectOption("#f-role", role);
  await page.fill("#f-user", user ?? "");
  await page.click("dialog button[type=submit]");
  await page.waitForSelector(`td:has-text('${subject}')`);
  await close();
}

await claim("nobody signs in without a role, and is told what to do", async () => {
  const { page, faults, close } = await opened("light", "");
  await person("eve@example.com");
  await page.click("#sign-in");
  await page.waitForSelector("h1:has-text('Not signed in')");
  assert.match(await page.textContent("#why"), /eve@example.com has no role here/);
  await clean(page, "not-signed-in");
  assert.deepEqual(faults.filter((text) => !text.includes("403")), []);
  await page.click("a:has-text('Back to the console')");
  await page.waitForSelector("#sign-in:focus");
  await close();
});

await claim("a person signs in by keyboard, comes back to its page, and signs out", async () => {
  await bind("email:ann@example.com", "owner");
  const { page, faults, close } = await opened("dark", "#budgets?kind=user");
  await person("ann@example.com");
  await page.waitForSelector("#sign-in:focus");
  await clean(page, "sign-in");
  await page.keyboard.press("Enter");
  await page.waitForSelector("h1:has-text('Budgets')");
  await settled(page);
  assert.equal(await page.textContent("#who"), "ann@example.com, owner");
  const [cookie] = (await page.context().cookies()).filter((one) => one.name === "farebox-session");
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Strict", "/"]);
  assert.equal(await page.evaluate("document.cookie"), "");
  await visit(page, "access");
  await clean(page, "access");
  await page.reload();
  await page.waitForSelector("h1:has-text('Access')");
  await page.click("#leave");
  await page.waitForSelector("#sign-in");
  await page.context().addCookies([cookie]);
  await page.reload();
  await page.waitForSelector("#sign-in:focus");
  assert.deepEqual(faults, []);
  await close();
});

await claim("a member sees its own, makes a key, asks for more, and is out when its role is", async () => {
  await bind("email:lin@example.com", "member", "lin");
  const { page, faults, close } = await opened("light", "");
  await person("lin@example.com");
  await page.click("#sign-in");
  await page.waitForSelector("h1:has-text('lin')");
  await settled(page);
  assert.deepEqual(await page.locator("nav a").allTextContents(), ["Overview", "Keys", "Requests"]);
  await page.click("button:has-text('Ask for more budget')");
  await page.fill("#f-month_limit_usd", "100");
  await page.fill("#f-reason", "The evaluation of the new model");
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("td:has-text('The evaluation of the new model')");
  await clean(page, "member");
  for (const name of ["keys", "requests"]) {
    await visit(page, name);
    await clean(page, `member-${name}`);
  }
  await page.click("a:has-text('Explain') >> nth=0");
  await page.waitForSelector("h1:has-text('One request')");
  assert.deepEqual(faults, []);
  await bind("email:lin@example.com", "auditor");
  await page.click("nav a[href='#keys']");
  await page.waitForSelector("[role=alert]:has-text('Your session has ended')");
  await close();
});

await browser.close();
console.log(`console: ${failed ? `${failed} failed` : "all passed"}`);
process.exit(failed ? 1 : 0);
