// The console in a real browser: every page in light, dark and on a phone, without a fault of its
// own and clean by axe; and what people do in it, against `cargo local`.
//
//     node console.mjs CONSOLE_URL ADMIN_KEY ISSUER [DIRECTORY FOR SCREENSHOTS]

import AxeBuilder from "@axe-core/playwright";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [url, key, issuer, shots] = process.argv.slice(2);
const PAGES = ["overview", "budgets", "keys", "credentials", "models", "prices", "requests", "alerts", "access", "audit"];
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
  // Who comes second sees what stands there now, field by field, and may take it.
  await other.page.waitForSelector("dialog .conflict tr:has-text('Day limit'):has-text('2'):has-text('3')");
  await clean(other.page, "stale");
  await other.page.click("dialog .conflict button:has-text('Take what is there')");
  assert.equal(await other.page.inputValue("#f-day_limit_usd"), "2");
  await other.page.fill("#f-month_limit_usd", "40");
  await other.page.click("dialog button[type=submit]");
  await other.page.waitForSelector("tr:has-text('user:demo'):has-text('$40.00'):has-text('$2.00')");
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

/** A dialog by its keyboard: from the button that opens it, and back to the page. */
async function dialogOf(page, button) {
  await page.focus(button);
  await page.keyboard.press("Enter");
  await page.waitForSelector("dialog[open]");
}

const submit = (page, label) => page.click(`dialog button[type=submit]:has-text('${label}')`);

await claim("all settings of a key are changed, with faults at their fields and the newer value told", async () => {
  const { page, faults, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "keys");
  await page.click("button:has-text('Make a key')");
  await page.fill("#f-user", "demo");
  await page.fill("#f-name", "settings");
  await submit(page, "Make");
  await page.click("dialog button:has-text('Close')");
  const edit = "tr:has-text('settings') button:has-text('Edit')";
  await page.waitForSelector(edit);
  await dialogOf(page, edit);
  const typed = {
    max_cost_usd: "0.25", expires_at: "2030-01-01T00:00:00Z", labels: "team=search, env=prod", models: "openai/gpt-4o\nanthropic/*",
    room_wait_ms: "700", connect_ms: "900", first_byte_ms: "9000", idle_ms: "8000", total_ms: "60000",
  };
  for (const [name, text] of Object.entries(typed)) await page.fill(`#f-${name}`, text);
  await page.selectOption("#f-clamp", "always");
  await page.check("#f-drop_params");
  await clean(page, "key");
  // Each fault stands at its field, and what is no number is never taken for nothing.
  for (const [name, wrong] of [["max_cost_usd", "-1"], ["models", "gpt-4o"], ["labels", "team"], ["room_wait_ms", "soon"], ["connect_ms", "1"], ["expires_at", "never"]]) {
    await page.fill(`#f-${name}`, wrong);
    await submit(page, "Save");
    await page.waitForSelector(`#f-${name}[aria-invalid='true']:focus`);
    assert.notEqual(await page.textContent(`#e-${name}`), "", name);
    await page.fill(`#f-${name}`, typed[name]);
  }
  await submit(page, "Save");
  await page.waitForSelector("dialog:not([open])", { state: "attached" });
  await page.waitForSelector("#said:has-text('settings is changed')");
  const asked = (path, options = {}) => page.evaluate(async ([path, options, key]) => {
    const answer = await fetch(`v1/${path}`, { ...options, headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "if-match": "*" } });
    return answer.json();
  }, [path, options, key]);
  const { keys } = await asked("keys?user=demo");
  const made = keys.find((one) => one.name === "settings");
  assert.deepEqual([made.max_cost_usd, made.clamp, made.room_wait_ms, made.drop_params, made.models, made.labels, made.timeouts],
    ["0.25", "always", 700, true, ["openai/gpt-4o", "anthropic/*"], { env: "prod", team: "search" },
      { connect_ms: 900, first_byte_ms: 9000, idle_ms: 8000, total_ms: 60000 }]);
  // Its rate limits are another thing with another version.
  await dialogOf(page, edit);
  assert.equal(await page.inputValue("#f-models"), typed.models);
  await page.fill("#f-requests_per_minute", "0");
  await submit(page, "Save the rate limits");
  await page.waitForSelector("#f-requests_per_minute[aria-invalid='true']");
  await page.fill("#f-requests_per_minute", "60");
  await asked(`limits/key:${made.id}`, { method: "PUT", body: JSON.stringify({ requests_per_minute: 7, concurrent: 3 }) });
  await submit(page, "Save the rate limits");
  await page.waitForSelector(".conflict tr:has-text('Calls a minute'):has-text('7'):has-text('60')");
  await page.waitForSelector(".conflict tr:has-text('Calls at once'):has-text('3'):has-text('nothing')");
  await submit(page, "Save the rate limits");
  await page.waitForSelector("#said:has-text('rate limits of settings are changed')");
  assert.deepEqual(await asked(`limits/key:${made.id}`), { scope: `key:${made.id}`, requests_per_minute: 60, tokens_per_minute: null, concurrent: null });
  // What is emptied is taken away.
  await dialogOf(page, edit);
  for (const name of ["max_cost_usd", "labels", "models", "total_ms"]) await page.fill(`#f-${name}`, "");
  await page.uncheck("#f-drop_params");
  await submit(page, "Save");
  await page.waitForSelector("tr:has-text('settings'):has-text('every model')");
  const now = await asked(`keys/${made.id}`);
  assert.deepEqual([now.max_cost_usd, now.drop_params, now.labels, now.timeouts.total_ms, now.clamp], [undefined, undefined, undefined, undefined, "always"]);
  assert.deepEqual(faults.filter((text) => !/status of (400|412)/.test(text)), []);
  await close();
});

await claim("a price of one's own is set, changed and taken away", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "prices");
  await dialogOf(page, "button:has-text('Set a price of your own')");
  await page.fill("#f-model", "openai");
  await submit(page, "Save");
  await page.waitForSelector("#f-model[aria-invalid='true']:focus");
  await page.fill("#f-model", "openai/gpt-console");
  await page.fill("#f-input", "2.5");
  await submit(page, "Save");
  await page.waitForSelector("#f-output[aria-invalid='true']:focus");
  await page.fill("#f-output", "10");
  await page.fill("#f-context_window", "64000");
  await clean(page, "price");
  await submit(page, "Save");
  await page.waitForSelector("tr:has-text('openai/gpt-console'):has-text('2.5'):has-text('64,000')");
  // A new price that somebody else has set meanwhile is not written over unseen.
  await dialogOf(page, "button:has-text('Set a price of your own')");
  await page.fill("#f-model", "openai/gpt-console");
  await page.fill("#f-input", "1");
  await page.fill("#f-output", "1");
  await submit(page, "Save");
  await page.waitForSelector(".conflict tr:has-text('Completion'):has-text('10')");
  await page.click("dialog button:has-text('Cancel')");
  await dialogOf(page, "tr:has-text('openai/gpt-console') button:has-text('Edit')");
  assert.equal(await page.inputValue("#f-output"), "10");
  for (const name of ["input", "output"]) await page.fill(`#f-${name}`, "");
  await page.check("#f-free");
  await submit(page, "Save");
  await page.waitForSelector("tr:has-text('openai/gpt-console'):has-text('free')");
  await dialogOf(page, "tr:has-text('openai/gpt-console') button:has-text('Take away')");
  await page.click("dialog button.danger");
  await page.waitForSelector("tr:has-text('openai/gpt-console')", { state: "detached" });
  await close();
});

await claim("a discount gets terms, a fault at the very term, and ends", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "prices");
  await dialogOf(page, "button:has-text('Set a discount')");
  await page.fill("#f-target", "nobody/*");
  const field = (place, name) => `[id='f-terms[${place}].${name}']`;
  await page.fill(field(0, "from"), "2026-01-01T00:00:00Z");
  await page.fill(field(0, "off_percent"), "12.5");
  await submit(page, "Save");
  await page.waitForSelector("#f-target[aria-invalid='true']:focus");
  await page.fill("#f-target", "openai/*");
  await submit(page, "Save");
  await page.waitForSelector("tr:has-text('openai/*'):has-text('12.5')");
  await dialogOf(page, "tr:has-text('openai/*') button:has-text('Edit')");
  await page.fill(field(1, "from"), "2031-01-01T00:00:00Z");
  await page.fill(field(1, "off_percent"), "100");
  await submit(page, "Save");
  await page.waitForSelector(`${field(1, "off_percent")}[aria-invalid='true']:focus`);
  await page.fill(field(1, "off_percent"), "20");
  await clean(page, "discount");
  await submit(page, "Save");
  await page.waitForSelector("tr:has-text('openai/*'):has-text('2031-01-01 00:00:00 UTC: 20')");
  await dialogOf(page, "tr:has-text('openai/*') button:has-text('Take away')");
  await page.click("dialog button.danger");
  await page.waitForSelector("p.empty:has-text('Nothing is taken off')");
  await close();
});

await claim("a price list is looked at, imported, and switched back", async () => {
  const [one, other] = [await opened("light"), await opened("phone")];
  for (const { page } of [one, other]) {
    await page.waitForSelector("h1:has-text('Overview')");
    await visit(page, "prices");
  }
  const { page } = one;
  const built = await page.textContent("#in-force");
  const file = (day, input, model = "gpt-9") => ({
    name: "catalog.json", mimeType: "application/json",
    buffer: Buffer.from(JSON.stringify({
      built_for: day, unit: "USD per 1000000 tokens; per_request and web_search in USD",
      rows: [{ provider: "openai", model, input, output: "9" }],
    })),
  });
  const choose = async (page, chosen) => {
    await dialogOf(page, "button:has-text('Import a price list')");
    if (chosen) await page.setInputFiles("#f-file", chosen);
    await submit(page, "Look at it");
  };
  await choose(page, null);
  await page.waitForSelector("#e-file:has-text('Choose a file')");
  await page.setInputFiles("#f-file", file("2030-01-01", "three"));
  await submit(page, "Look at it");
  await page.waitForSelector("#f-file[aria-invalid='true']");
  assert.match(await page.textContent("#e-file"), /openai\/gpt-9/);
  await page.setInputFiles("#f-file", file("2030-01-01", "3"));
  await submit(page, "Look at it");
  await page.waitForSelector("dialog h2:has-text('Price list 2030-01-01.')");
  await page.waitForSelector("dialog .warn:has-text('would be refused')");
  await page.waitForSelector("dialog p:has-text('of its models 1 are added')");
  await page.waitForSelector("dialog tr:has-text('removed')");
  await clean(page, "price-list");
  // Another person looks at another list, and is second.
  await choose(other.page, file("2030-02-01", "5"));
  await other.page.waitForSelector("dialog h2:has-text('Price list 2030-02-01.')");
  await clean(other.page, "price-list-phone");
  assert.equal(await page.textContent("#in-force"), built);
  await page.click("dialog button:has-text('Put it in force')");
  await page.waitForSelector("#in-force:has-text('2030-01-01.')");
  await other.page.click("dialog button:has-text('Put it in force')");
  await other.page.waitForSelector("dialog .fault:has-text('Meanwhile 2030-01-01.')");
  await other.page.click("dialog button:has-text('Look again')");
  await other.page.waitForSelector("dialog tr:has-text('openai/gpt-9'):has-text('3 → 5')");
  await other.page.click("dialog button:has-text('Put it in force')");
  await other.page.waitForSelector("#in-force:has-text('2030-02-01.')");
  // Back to the first one, and to what the code was built with.
  await page.reload();
  await page.fill("#key", key);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#in-force:has-text('2030-02-01.')");
  await dialogOf(page, "tr:has-text('2030-01-01.') button:has-text('Look at it')");
  await page.waitForSelector("dialog tr:has-text('openai/gpt-9'):has-text('5 → 3')");
  await page.click("dialog button:has-text('Put it in force')");
  await page.waitForSelector("#in-force:has-text('2030-01-01.')");
  await clean(page, "prices-imported");
  await page.click("button:has-text('Go back to the built-in list')");
  await page.click("dialog button.danger");
  await page.waitForFunction((built) => document.getElementById("in-force")?.textContent === built, built);
  await one.close();
  await other.close();
});

await claim("an auditor sees everything and is offered no change", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  const secret = await page.evaluate(async (key) => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const made = await fetch("v1/admin-keys", { method: "POST", headers, body: JSON.stringify({ name: "reader", role: "auditor" }) });
    return (await made.json()).secret;
  }, key);
  await page.click("#leave");
  await page.fill("#key", secret);
  await page.keyboard.press("Enter");
  await page.waitForSelector("h1:has-text('Overview')");
  for (const name of PAGES) {
    await visit(page, name);
    const offered = (await page.locator("main button").allTextContents()).filter((text) => !["Look", "Find"].includes(text));
    assert.deepEqual([name, offered], [name, []]);
  }
  await close();
});

await claim("a page that cannot be read says so, and is tried again", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await page.route("**/admin/v1/catalogue", (route) => route.abort());
  await page.click("nav a[href='#prices']");
  await page.waitForSelector("h1:has-text('This page could not be shown')");
  await page.waitForSelector("main .bad:has-text('The gateway did not answer')");
  await clean(page, "error");
  await page.unroute("**/admin/v1/catalogue");
  await page.click("button:has-text('Try again')");
  await page.waitForSelector("h1:has-text('Prices')");
  // A dialog that cannot be opened says so too.
  await page.route("**/admin/v1/keys/*", (route) => route.abort());
  await visit(page, "keys");
  await page.click("button:has-text('Edit') >> nth=0");
  await page.waitForSelector("#said.bad:has-text('The gateway did not answer')");
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
  await page.waitForSelector(`#said:has-text('${subject} has the role ${role}')`);
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
  // Signed out here and at the provider, whose page leads back.
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.click("#leave");
  await page.waitForSelector("#sign-in:focus");
  assert.ok(asked.some((place) => place.startsWith(`${issuer}/end-session?client_id=`)), asked.join(" "));
  assert.equal(new URL(page.url()).pathname, new URL(url).pathname);
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
