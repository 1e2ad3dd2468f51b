// Every page of the console in light, dark and on a phone, and every dialog: without a fault of its
// own, clean by axe, told where it is empty, slow or failing.

import axe from "axe-core";
import assert from "node:assert/strict";
import { PAGES, VIEWS, admin, api, browser, claim, clean, finish, hook, key, opened, settled, url, visit } from "./browser.mjs";

const WIRE_BYTES_MAX = 75_000;

for (const view of Object.keys(VIEWS)) {
  await claim(`every page, ${view}`, async () => {
    const { page, faults, close } = await opened(view);
    await page.waitForSelector("h1:has-text('Overview')");
    await settled(page);
    await visit(page, PAGES.at(-1));
    for (const name of PAGES) {
      await page.evaluate(() => { window.rounds = { count: 0, answered: true }; });
      await visit(page, name);
      assert.deepEqual([name, await page.evaluate("[window.rounds.count, window.scrollY]")], [name, [1, 0]]);
      await clean(page, `${view}-${name}`, [VIEWS[view].colorScheme]);
    }
    assert.deepEqual(faults, []);
    await close();
  });
}

for (const view of ["light", "phone"]) {
  await claim(`every page of a member, ${view}`, async () => {
    const { secret } = await api("POST", "keys", { user: "lin", name: `looks ${view}` });
    const { page, faults, close } = await opened(view, `#key=${secret}`);
    await page.waitForSelector("h1:has-text('Lin (lin)')");
    await settled(page);
    await visit(page, "keys");
    for (const name of ["overview", "keys", "credentials", "requests", "alerts"]) {
      await page.evaluate(() => { window.rounds = { count: 0, answered: true }; });
      await visit(page, name);
      assert.deepEqual([name, await page.evaluate("[window.rounds.count, window.scrollY]")], [name, [1, 0]]);
      await clean(page, `member-${view}-${name}`, [VIEWS[view].colorScheme]);
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
    if (!answer.url().startsWith("data:")) bodies.push(answer.finished().then(() => answer.request().sizes()));
  });
  await page.goto(url);
  await page.waitForSelector("#key");
  await page.waitForLoadState("networkidle");
  const bytes = (await Promise.all(bodies)).reduce((sum, size) => sum + size.responseBodySize, 0);
  assert.ok(bytes > 40_000 && bytes < WIRE_BYTES_MAX, String(bytes));
  await context.close();
});

await claim("an empty page, a slow one and a failing one each say what they are", async () => {
  const { page, close } = await opened("light", `#key=${key}`);
  await page.waitForSelector("h1:has-text('Overview')");
  await settled(page);
  // Slow: the page before stands, and says that it waits; of two that were asked for, the last one comes.
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  await page.route("**/admin/v1/prices*", async (route) => {
    await held;
    await route.continue();
  });
  await page.click("nav a[href='#prices']");
  await page.waitForSelector("main[aria-busy] h1:has-text('Overview')");
  await page.waitForSelector("#said:has-text('Asking…')");
  await clean(page, "slow");
  await page.click("nav a[href='#keys']");
  await page.waitForSelector("h1:has-text('Keys')");
  const late = page.waitForResponse("**/admin/v1/prices*");
  release();
  await late;
  await settled(page);
  assert.equal(await page.textContent("h1"), "Keys");
  await page.unroute("**/admin/v1/prices*");
  // Empty.
  for (const [place, text] of [["budgets?kind=team&cursor=team:zzz", "No budget fits"], ["requests?user=demo", "No call"], ["audit?actor=nobody", "No change"], ["models?search=no-such-model", "no such model"]]) {
    await page.evaluate((place) => { location.hash = place; }, place);
    await page.waitForSelector(`.empty:has-text('${text}')`);
    await settled(page);
    await clean(page, `empty-${place.split("?")[0]}`);
  }
  // Failing, with the gateway's own words.
  const fault = { error: { code: "internal", message: "Something in Farebox failed. Try again." } };
  await page.route("**/admin/v1/budgets*", (route) => route.fulfill({ status: 500, contentType: "application/json", body: JSON.stringify(fault) }));
  await page.click("nav a[href='#overview']");
  await page.waitForSelector(`main .bad:has-text('${fault.error.message}')`);
  await clean(page, "failing");
  await page.unroute("**/admin/v1/budgets*");
  await page.click("button:has-text('Try again')");
  await page.waitForSelector("h1:has-text('Overview')");
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

/** Opens every dialog that the pages' buttons open, by keyboard; each is clean, and gives the focus back. */
async function dialogs(view, names, key, seen) {
  const { page, faults, close } = await opened(view, `#key=${key}`);
  await page.waitForSelector("#leave:not([hidden])");
  await settled(page);
  await page.evaluate(axe.source);
  for (const place of names) {
    await page.evaluate((place) => { location.hash = place; }, place);
    await page.waitForFunction((place) => location.hash.slice(1) === place, place);
    await settled(page);
    // One of each kind: the buttons of other rows open the same.
    const buttons = await page.evaluate(() => {
      const of = new Map([...main.querySelectorAll("button")].map((one) => [`${one.closest("[role=table]")?.textContent.slice(0, 20)} ${one.textContent}`, nameOf(one)]).reverse());
      return [...of.values()].filter((name) => name !== "Find");
    });
    for (const name of buttons) {
      const button = page.locator("main button").and(page.locator(`[aria-label="${name}"], :text-is("${name}")`)).first();
      const further = [null];
      for (const next of further) {
        await button.focus();
        await page.keyboard.press("Enter");
        await page.waitForSelector("dialog[open] h2").catch(() => assert.fail(`${place}: ${name} opens nothing`));
        if (next) {
          await page.click(`dialog button[aria-label="${next}"]`);
          await page.waitForFunction((next) => ![...dialog.querySelectorAll("button")].some((one) => one.getAttribute("aria-label") === next), next);
        } else {
          further.push(...await page.evaluate(() => [...dialog.querySelectorAll(":scope > .row button[aria-label]")].map((one) => one.getAttribute("aria-label"))));
        }
        const title = await page.textContent("dialog h2");
        seen.add(title.replace(/\b(user|team|org|key):\S+|[\w.]+\/\S+/g, "…"));
        // Of the rules only that of contrast looks at colours.
        for (const [colorScheme, runOnly] of [["dark", ["color-contrast"]], ["light", null]]) {
          await page.emulateMedia({ colorScheme });
          const found = await page.evaluate(async (runOnly) => {
            const { violations } = await axe.run("dialog", { resultTypes: ["violations"], ...(runOnly ? { runOnly } : {}) });
            return violations.map((one) => [one.id, one.nodes[0].html]);
          }, runOnly);
          assert.deepEqual([view, place, title, colorScheme, found], [view, place, title, colorScheme, []]);
        }
        const [wide, shown] = await page.evaluate("[dialog.scrollWidth, dialog.clientWidth]");
        assert.ok(wide <= shown, `${view} ${title}: ${wide} in ${shown}`);
        await page.keyboard.press("Escape");
        await page.waitForFunction((name) => !dialog.open && document.activeElement !== document.body && nameOf(document.activeElement) === name, name)
          .catch(async () => assert.fail(`${place}: ${title} leaves the focus at ${await page.evaluate("document.activeElement.outerHTML.slice(0, 80)")}, not at ${name}`));
      }
    }
  }
  assert.deepEqual(faults, []);
  await close();
}

await claim("every form and dialog is clean in light and dark, on a desk and on a phone, and gives the focus back", async () => {
  await api("PUT", "webhook", await hook());
  await api("PUT", "prices/openai/gpt-dialog", { free: true });
  await api("PUT", "discounts/openai/*", { terms: [{ from: "2026-01-01T00:00:00Z", off_percent: "1" }] });
  await api("PUT", "routes/dialog", { targets: [{ model: "demo/chat" }] });
  await api("PUT", "sso/email:dialog@example.com", { role: "auditor" });
  await api("PUT", "iam/arn:aws:iam::111122223333:role/Dialog", { role: "auditor" });
  await api("POST", "admin-keys", { name: "dialog", role: "auditor" });
  await api("PUT", "users/ada", { name: "Ada", org: "demo", team: "search", self_service: { keys: 5, credentials: true } });
  const { secret: ada } = await api("POST", "keys", { user: "ada", name: "dialog" });
  await fetch(`${admin}me/budget-requests`, {
    method: "POST", headers: { authorization: `Bearer ${ada}`, "content-type": "application/json" }, body: JSON.stringify({ day_limit_usd: "9", reason: "Dialog" }),
  });
  await fetch(`${admin}me/credentials/groq`, {
    method: "PUT", headers: { authorization: `Bearer ${ada}`, "content-type": "application/json", "if-match": "*" }, body: JSON.stringify({ secret: "gsk-dialog" }),
  });
  const [seen, own] = [new Set(), new Set()];
  for (const view of ["light", "phone"]) {
    await dialogs(view, [...PAGES.slice(1), "credentials?user=ada"], key, seen);
    await dialogs(view, ["overview", "keys", "credentials"], ada, own);
  }
  assert.ok(seen.size >= 35 && own.size >= 8, `${[...seen].join("\n")}\nown: ${[...own].join(", ")}`);
  await api("DELETE", "webhook");
  await api("DELETE", "discounts/openai/*");
});

await claim("sums and limits are right beyond a hundred budgets", async () => {
  const ids = Array.from({ length: 120 }, (_, place) => `z${String(place).padStart(3, "0")}`);
  for (let from = 0; from < ids.length; from += 10) {
    await Promise.all(ids.slice(from, from + 10).map((id) => api("PUT", `users/${id}`, { name: id })));
  }
  await api("PUT", "budgets/user:z119", { day_limit_usd: "1" });
  await api("POST", "corrections", { scope: "user:z119", amount_usd: "0.99", reason: "Carried over" });
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await page.waitForSelector("section[aria-label^='Limits'] tbody tr:first-child:has-text('user:z119'):has-text('$0.99 of $1.00')");
  // However many there are, it is one round.
  await page.evaluate(() => { window.rounds = { count: 0, answered: true }; });
  await visit(page, "keys");
  await page.evaluate(() => { window.rounds = { count: 0, answered: true }; });
  await visit(page, "overview");
  await page.waitForSelector("section[aria-label^='Limits'] tbody tr:first-child:has-text('user:z119')");
  assert.equal(await page.evaluate("window.rounds.count"), 1);
  await page.waitForSelector(".card:has-text('Spent today'):has-text(\"most used limit: 99 % of user:z119's $1.00\")");
  await page.waitForSelector(".card:has-text('Spent this month'):has-text('most used limit: ')");
  await clean(page, "many");
  await visit(page, "budgets");
  await page.click("a:has-text('More budgets of kind user')");
  await page.waitForSelector("tr:has-text('user:z050')");
  await close();
});

await claim("an address hands a key over on this machine alone", async () => {
  const context = await browser.newContext(VIEWS.light);
  const page = await context.newPage();
  const { origin, pathname } = new URL(url);
  await page.route("http://farebox.example/**", async (route) => {
    const asked = new URL(route.request().url());
    await route.fulfill({ response: await route.fetch({ url: origin + asked.pathname + asked.search }) });
  });
  await page.goto(`http://farebox.example${pathname}#key=${key}`);
  await page.waitForSelector("form.login #key");
  assert.equal(await page.evaluate("location.hash"), "");
  await context.close();
});

await finish();
