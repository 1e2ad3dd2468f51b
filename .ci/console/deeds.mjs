// What people do in the console, from the button to what the gateway keeps.

import assert from "node:assert/strict";
import { PAGES, admin, api, claim, clean, dialogOf, finish, hook, issuer, key, opened, settled, stands, submit, url, visit } from "./browser.mjs";

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

await claim("a forecast is made by the budget's own clock, and never out of a first hour", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  const told = await page.evaluate(() => {
    const hours = (name, end, zone) => (Date.parse(end) - beginOf(name, Date.parse(end), zone)) / 3_600_000;
    const hour = 3_600_000;
    return {
      // Clocks go back in New York on 1 November 2026, forward in Berlin on 29 March; Kolkata is 5:30 ahead.
      hours: [hours("day", "2026-11-02T05:00:00Z", "America/New_York"), hours("day", "2026-03-29T22:00:00Z", "Europe/Berlin"),
        hours("day", "2026-11-30T18:30:00Z", "Asia/Kolkata"), hours("month", "2026-12-01T05:00:00Z", "America/New_York"), hours("month", "2026-03-01T00:00:00Z", "UTC")],
      early: [forecast(5n, 0, 24 * hour, hour - 1), forecast(5n, 0, 24 * hour, hour), forecast(3n, 0, 720 * hour, 29 * hour), forecast(3n, 0, 720 * hour, 30 * hour)].map(String),
      late: String(forecast(7n, 0, 24 * hour, 48 * hour)), about: [about(2_909_970_000n), about(123_456n * 10n ** 12n), about(0n)],
    };
  });
  assert.deepEqual(told, {
    hours: [25, 23, 24, 721, 672], early: ["null", "120", "null", "72"], late: "7", about: ["$0.00291", "$123,000.00", "$0.00"],
  });
  await close();
});

await claim("a preview makes a scope's calls again, one after another, by its mode and its days", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  const refused = await page.evaluate(() => {
    // Two days with three calls each; the newest first, as the log has them.
    const days = { now: "2026-11-30T12:00:00Z", before: "2026-11-28T23:59:59Z" };
    const rows = Object.entries(days).flatMap(([name, started_at]) => [3, 2, 1].map((number) => ({ name: `${name} ${number}`, started_at, hold_usd: "0.4", cost_usd: "0.3" })));
    const period = (name, settled) => ({ period: name, settled_usd: settled, held_usd: "0", limit_usd: null });
    const budget = { time_zone: "UTC", periods: [period("day", "1"), period("month", "1.9"), period("total", "1.9")] };
    const told = (limits, mode) => replayed(budget, rows, { day: null, month: null, total: null, ...limits }, mode, new Date(days.now)).map((row) => row.name);
    const usd = (cents) => BigInt(cents) * 10n ** 10n;
    return {
      // 0.1 was spent of today before: 0.1 + 0.3 + 0.4 fit into 0.8, and then 0.7 + 0.4 do not.
      hard: told({ day: usd(80) }, "hard"), balanced: told({ day: usd(80) }, "balanced"),
      // Only where nothing is left: 0.6 of two calls reach 0.6, and today 0.1 + 0.6 pass it.
      soft: told({ day: usd(60) }, "soft"), total: told({ total: usd(90) }, "hard"),
      none: [told({ day: usd(1) }, "observe"), told({}, "hard")], closed: told({}, "closed").length,
    };
  });
  assert.deepEqual(refused, {
    hard: ["before 3", "now 3"], balanced: ["before 3", "now 3"], soft: ["before 3", "now 3"], total: ["before 3", "now 1", "now 2", "now 3"],
    none: [[], []], closed: 6,
  });
  // Nobody's log is in order by team: only its own calls are asked for, and how far back they were is told.
  const [cut, told, paths] = await page.evaluate(async () => {
    const asked = window.fetch;
    const paths = [];
    window.fetch = async (path) => {
      paths.push(path);
      return Response.json({ requests: [{ scopes: ["team:search"], hold_usd: null }], next_cursor: "more", looked_back_to: `2026-11-30T${20 - paths.length}:00:00Z` });
    };
    const found = await callsOf({ kind: "team", id: "search" });
    window.fetch = asked;
    return [found, preview({ time_zone: "UTC", periods: [] }, found, { mode: "hard", time_zone: "UTC", day_limit_usd: "1" }), paths];
  });
  assert.deepEqual([paths.length, paths[0]], [4, "v1/requests?limit=100&team=search"]);
  assert.deepEqual(cut, { rows: [], since: "2026-11-30T16:00:00Z" });
  assert.match(told, /Calls were looked at back to .*2026.* It has made no call among them\./);
  await close();
});

await claim("a budget is made, changed with a preview of its own calls, and a stale change is refused", async () => {
  await api("PUT", "teams/search", { name: "Search" });
  const [one, other] = [await opened("light"), await opened("light")];
  for (const { page } of [one, other]) {
    await page.waitForSelector("h1:has-text('Overview')");
    await visit(page, "budgets");
    await page.click("tr:has-text('user:ada') button:has-text('Edit')");
    await page.waitForSelector("dialog[open] form");
  }
  await one.page.fill("#f-day_limit_usd", "0.0000001");
  await one.page.waitForSelector("#preview:has-text('below what is spent')");
  const { requests } = await api("GET", "requests?user=ada&limit=100");
  const held = requests.filter((row) => row.hold_usd).length;
  assert.match(await one.page.textContent("#preview"), new RegExp(`Of its last ${held} calls ${held} would have been refused`));
  await one.page.selectOption("#f-mode", "observe");
  await one.page.waitForSelector("#preview:has-text('nothing is refused')");
  await one.page.selectOption("#f-mode", "hard");
  await clean(one.page, "edit");
  await one.page.fill("#f-day_limit_usd", "2");
  await one.page.waitForSelector(`#preview:has-text('Of its last ${held} calls 0 would have been refused')`);
  await one.page.click("dialog button[type=submit]");
  await one.page.waitForSelector("td:has-text('$2.00')");
  // The focus is where it was, in the page as it is now.
  await one.page.waitForSelector("button[aria-label='Edit user:ada']:focus");
  await other.page.fill("#f-day_limit_usd", "3");
  await other.page.click("dialog button[type=submit]");
  // Who comes second sees what stands there now, field by field, and may take it.
  await other.page.waitForSelector("dialog .conflict tr:has-text('Day limit'):has-text('2'):has-text('3')");
  await clean(other.page, "stale");
  await other.page.click("dialog .conflict button:has-text('Take what is there')");
  assert.equal(await other.page.inputValue("#f-day_limit_usd"), "2");
  await other.page.fill("#f-month_limit_usd", "40");
  await other.page.click("dialog button[type=submit]");
  await other.page.waitForSelector("tr:has-text('user:ada'):has-text('$40.00'):has-text('$2.00')");
  await one.page.click("tr:has-text('user:ada') button:has-text('Edit')");
  await one.page.fill("#f-day_limit_usd", "-1");
  await one.page.click("dialog button[type=submit]");
  await one.page.waitForSelector("#f-day_limit_usd[aria-invalid='true']");
  await one.page.click("dialog button:has-text('Cancel')");
  // A budget of a team that has none.
  await dialogOf(one.page, "button:has-text('Set a budget')");
  await one.page.fill("#f-scope", "team:nobody");
  await submit(one.page, "Go on");
  await one.page.waitForSelector("#e-scope:has-text('There is nobody of that name')");
  await one.page.fill("#f-scope", "team:search");
  await submit(one.page, "Go on");
  await one.page.waitForSelector("dialog h2:has-text('Budget of team:search')");
  assert.equal(await one.page.inputValue("#f-mode"), "hard");
  await one.page.fill("#f-month_limit_usd", "70");
  await submit(one.page, "Save");
  await one.page.waitForSelector("tr:has-text('team:search'):has-text('$70.00')");
  await one.page.selectOption("main select", "team");
  await one.page.waitForSelector("tr:has-text('user:ada')", { state: "detached" });
  await one.page.waitForSelector("tr:has-text('team:search')");
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

await claim("what was made and never answered is not made twice", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "keys");
  const name = `once ${Date.now()}`;
  let lost = 0;
  await page.route("**/admin/v1/keys", async (route) => {
    if (route.request().method() !== "POST" || lost === 2) return route.continue();
    await route.fetch();
    lost += 1;
    return lost === 1 ? route.fulfill({ status: 504, contentType: "application/json", body: '{"error":{"code":"gateway","message":"Too late."}}' }) : route.abort();
  });
  await page.click("button:has-text('Make a key')");
  await page.fill("#f-user", "demo");
  await page.fill("#f-name", name);
  await submit(page, "Make");
  await page.waitForSelector("dialog .fault:has-text('Too late.')");
  await submit(page, "Make");
  await page.waitForSelector("dialog .fault:has-text('The gateway did not answer')");
  await submit(page, "Make");
  assert.match(await page.textContent("dialog .secret"), /^sk-fb-/);
  const { keys } = await api("GET", "keys?user=demo&limit=100");
  assert.deepEqual([lost, keys.filter((one) => one.name === name).length], [2, 1]);
  await close();
});

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
  await page.click("dialog button:has-text('Rate limits')");
  for (const wrong of ["0", "many", "1.5"]) {
    await page.fill("#f-requests_per_minute", wrong);
    await submit(page, "Save");
    await page.waitForSelector("#f-requests_per_minute[aria-invalid='true']:focus");
  }
  await page.fill("#f-requests_per_minute", "60");
  await asked(`limits/key:${made.id}`, { method: "PUT", body: JSON.stringify({ requests_per_minute: 7, concurrent: 3 }) });
  await submit(page, "Save");
  await page.waitForSelector(".conflict tr:has-text('Calls a minute'):has-text('7'):has-text('60')");
  await page.waitForSelector(".conflict tr:has-text('Calls at once'):has-text('3'):has-text('nothing')");
  await submit(page, "Save");
  await page.waitForSelector(`#said:has-text('rate limits of key:${made.id} are changed')`);
  const { version: _, ...limits } = await asked(`limits/key:${made.id}`);
  assert.deepEqual(limits, { scope: `key:${made.id}`, requests_per_minute: 60, tokens_per_minute: null, concurrent: null });
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
  await page.fill("#f-terms", "2026-01-01 12.5");
  await submit(page, "Save");
  await page.waitForSelector("#f-target[aria-invalid='true']:focus");
  await page.fill("#f-target", "openai/*");
  await submit(page, "Save");
  await page.waitForSelector("tr:has-text('openai/*'):has-text('12.5')");
  await dialogOf(page, "tr:has-text('openai/*') button:has-text('Edit')");
  assert.equal(await page.inputValue("#f-terms"), "2026-01-01 12.5");
  // What the page can tell and what only the gateway can are told alike: at the field, with the line.
  for (const [line, told] of [["2031-01-01", "Line 2"], ["soon 20", "Line 2"], ["2031-02-30 20", "Line 2"], ["2031-01-01 200", "Number 2"]]) {
    await page.fill("#f-terms", `2026-01-01 12.5\n${line}`);
    await submit(page, "Save");
    await page.waitForSelector(`#e-terms:has-text('${told}')`);
    await page.waitForSelector("#f-terms[aria-invalid='true']:focus");
  }
  await page.fill("#f-terms", "2026-01-01 12.5\n2031-01-01 20");
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
  await clean(page, "price-list", ["light"]);
  // Another person looks at another list, and is second.
  await choose(other.page, file("2030-02-01", "5"));
  await other.page.waitForSelector("dialog h2:has-text('Price list 2030-02-01.')");
  await clean(other.page, "price-list-phone", ["dark"]);
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

await claim("organisations, teams and users are made and changed, with all that a user may do for itself", async () => {
  const mark = Date.now().toString(36);
  const [acme, blue, zoe] = ["acme", "blue", "abe"].map((name) => `${name}-${mark}`);
  const { page, faults, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "people");
  for (const [what, id] of [["an organisation", acme], ["a team", blue]]) {
    await dialogOf(page, `button:has-text('Make ${what}')`);
    await submit(page, "Save");
    await page.waitForSelector("#e-id:has-text('Id is needed')");
    await page.fill("#f-id", id);
    await page.fill("#f-name", `The ${id}`);
    await submit(page, "Save");
    await page.waitForSelector(`#said:has-text('${id} is saved')`);
    await page.waitForSelector(`button:has-text('Make ${what}'):focus`);
  }
  await dialogOf(page, "button:has-text('Make a user')");
  const typed = { id: zoe, name: "Zoe", org: acme, team: blue, keys: "3", key_days: "30", key_max_cost_usd: "0.5", key_models: "demo/*" };
  for (const [name, text] of Object.entries(typed)) await page.fill(`#f-${name}`, text);
  await page.check("#f-credentials");
  // What is in a part of the thing is told at its field all the same.
  for (const [name, wrong, told] of [["keys", "99", "is at most 50"], ["keys", "some", "whole number"], ["key_days", "0", "is 1 to"], ["key_max_cost_usd", "1 USD", "Write an amount"], ["key_models", "demo/*\nchat", "Number 2"], ["org", "a b", ""]]) {
    await page.fill(`#f-${name}`, wrong);
    await submit(page, "Save");
    await page.waitForSelector(`#f-${name}[aria-invalid='true']:focus`);
    assert.ok((await page.textContent(`#e-${name}`)).includes(told), await page.textContent(`#e-${name}`));
    await page.fill(`#f-${name}`, typed[name]);
  }
  await clean(page, "user");
  await submit(page, "Save");
  await page.waitForSelector(`tr:has-text('${zoe}'):has-text('${acme}'):has-text('3 keys, credentials')`);
  const made = await api("GET", `users/${zoe}`);
  assert.deepEqual([made.name, made.org, made.team, made.self_service], ["Zoe", acme, blue,
    { keys: 3, key_days: 30, key_max_cost_usd: "0.5", key_models: ["demo/*"], credentials: true }]);
  // Who is made a second time is not written over unseen.
  await dialogOf(page, "button:has-text('Make a user')");
  await page.fill("#f-id", zoe);
  await submit(page, "Save");
  await page.waitForSelector(`.conflict tr:has-text('Organisation'):has-text('${acme}')`);
  await page.click("dialog button:has-text('Cancel')");
  await page.fill("#q-org", acme);
  await page.click("button:has-text('Find')");
  await page.waitForSelector("tr:has-text('ada')", { state: "detached" });
  // Its rate limits and its content log are forms of their own.
  await dialogOf(page, `button[aria-label='Edit user ${zoe}']`);
  await page.click("dialog button:has-text('Rate limits')");
  await page.fill("#f-concurrent", "4");
  await submit(page, "Save");
  await page.waitForSelector(`#said:has-text('rate limits of user:${zoe} are changed')`);
  await page.waitForSelector(`button[aria-label='Edit user ${zoe}']:focus`);
  assert.equal((await api("GET", `limits/user:${zoe}`)).concurrent, 4);
  for (const [days, kept] of [["30", 30], ["", 0]]) {
    await dialogOf(page, `button[aria-label='Edit user ${zoe}']`);
    await page.click("dialog button:has-text('Content log')");
    if (days) {
      await page.fill("#f-days", "366");
      await submit(page, "Save");
      await page.waitForSelector("#f-days[aria-invalid='true']:focus");
    }
    await page.fill("#f-days", days);
    await submit(page, "Save");
    await page.waitForSelector(`#said:has-text('${days ? "kept for 30 days" : "kept from now on"}')`);
    assert.equal((await api("GET", `content-log/user:${zoe}`)).days, kept);
  }
  // What is emptied is taken away.
  await dialogOf(page, `button[aria-label='Edit user ${zoe}']`);
  for (const name of ["team", "keys", "key_days", "key_max_cost_usd", "key_models"]) await page.fill(`#f-${name}`, "");
  await page.uncheck("#f-credentials");
  await submit(page, "Save");
  await page.waitForSelector(`#said:has-text('${zoe} is saved')`);
  const bare = await api("GET", `users/${zoe}`);
  assert.deepEqual([bare.name, bare.org, bare.team, bare.self_service], ["Zoe", acme, undefined, undefined]);
  assert.deepEqual(faults.filter((text) => !/status of (400|412)/.test(text)), []);
  await close();
});

await claim("a route is made, changed and taken away, with a fault at the line that is wrong", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "models");
  await dialogOf(page, "button:has-text('Make a route')");
  await page.fill("#f-name", "console");
  for (const [text, told] of [["", "needed"], ["demo/chat\nnobody/chat", "Number 2"], ["demo/chat\ndemo/claude many", "Line 2: Write a whole number"], ["demo/chat 2 3", "Line 1"]]) {
    await page.fill("#f-targets", text);
    await submit(page, "Save");
    await page.waitForSelector(`#e-targets:has-text('${told}')`);
    await page.waitForSelector("#f-targets[aria-invalid='true']:focus");
  }
  await page.fill("#f-targets", "demo/chat 3\ndemo/claude 1");
  await page.selectOption("#f-on_budget_refusal", "next");
  await page.fill("#f-retries", "1");
  await page.check("#f-after_charge");
  await page.fill("#f-connect_ms", "5");
  await submit(page, "Save");
  await page.waitForSelector("#f-connect_ms[aria-invalid='true']:focus");
  await page.fill("#f-connect_ms", "500");
  await clean(page, "route");
  await submit(page, "Save");
  await page.waitForSelector("tr:has-text('console'):has-text('demo/chat ×3')");
  assert.deepEqual((await api("GET", "routes/console")).spec, {
    targets: [{ model: "demo/chat", weight: 3 }, { model: "demo/claude", weight: 1 }], after_charge: true, on_budget_refusal: "next", retries: 1, timeouts: { connect_ms: 500 },
  });
  await dialogOf(page, "button[aria-label='Edit route console']");
  assert.equal(await page.inputValue("#f-targets"), "demo/chat 3\ndemo/claude 1");
  await page.fill("#f-targets", "demo/claude");
  await submit(page, "Save");
  await page.waitForSelector("tr:has-text('console'):has-text('demo/chat')", { state: "detached" });
  await page.waitForSelector("button[aria-label='Edit route console']:focus");
  await dialogOf(page, "button[aria-label='Take away route console']");
  await page.click("dialog button.danger");
  await page.waitForSelector("tr:has-text('console')", { state: "detached" });
  await close();
});

await claim("a webhook is set, shows its secret once, is tried, and taken away", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "alerts");
  assert.equal(await page.locator("button:has-text('Send a test alert')").count(), 0);
  await dialogOf(page, "button:has-text('Set a webhook')");
  await page.fill("#f-url", "nowhere");
  await submit(page, "Save");
  await page.waitForSelector("#f-url[aria-invalid='true']:focus");
  await page.fill("#f-url", (await hook()).url);
  await clean(page, "webhook");
  await submit(page, "Save");
  const secret = await page.textContent("dialog .secret");
  assert.ok(secret.length > 20, secret);
  await page.click("dialog button:has-text('Close')");
  await page.waitForSelector("tr:has-text('webhook'):has-text('/hook')");
  assert.equal((await page.content()).includes(secret), false);
  await dialogOf(page, "button:has-text('Send a test alert')");
  await page.fill("#f-scope", "user:lin");
  await submit(page, "Send");
  await page.waitForSelector("#said:has-text('A test alert is on its way')");
  await page.waitForSelector("tr:has-text('a test'):has-text('user:lin')");
  await dialogOf(page, "button:has-text('Take the webhook away')");
  await page.click("dialog button.danger");
  await page.waitForSelector("button:has-text('Set a webhook')");
  await close();
});

await claim("credentials of a user are stored, and a fault of a secret's part stands at the secret", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "credentials");
  // An organisation is chosen as a user is, and what is stored then is its own.
  await page.click("a:has-text('org:demo')");
  await page.waitForSelector("section[aria-label^='What org:demo']");
  await dialogOf(page, "button:has-text('Store a credential')");
  assert.equal(await page.inputValue("#f-owner"), "org:demo");
  await page.fill("#f-provider", "cohere");
  await page.fill("#f-secret", "co-canary");
  await submit(page, "Store");
  await page.waitForSelector("tr:has-text('cohere'):has-text('org:demo'):has-text('active')");
  await dialogOf(page, "button[aria-label='Disable credentials/org:demo/cohere']");
  await page.click("dialog button.danger");
  await page.waitForSelector("tr:has-text('cohere'):has-text('disabled')");
  await visit(page, "credentials");
  await page.waitForSelector("section[aria-label^='Of an organisation']");
  await page.fill("#q-user", "max");
  await page.click("button:has-text('Find')");
  await page.waitForSelector("section[aria-label^='What max']");
  await dialogOf(page, "button:has-text('Store a credential')");
  assert.equal(await page.inputValue("#f-owner"), "max");
  await page.fill("#f-provider", "bedrock");
  await page.fill("#f-secret", JSON.stringify({ access_key_id: "AKIA-CANARY", secret_access_key: "canary", region: "no region!" }));
  await submit(page, "Store");
  await page.waitForSelector("#e-secret:has-text('region')");
  await page.waitForSelector("#f-secret[aria-invalid='true']:focus");
  await page.fill("#f-provider", "groq");
  await page.fill("#f-secret", "gsk-canary");
  await page.fill("#f-weight", "much");
  await submit(page, "Store");
  await page.waitForSelector("#f-weight[aria-invalid='true']:focus");
  await page.fill("#f-weight", "2");
  await clean(page, "credential");
  await submit(page, "Store");
  await page.waitForSelector("tr:has-text('groq'):has-text('active')");
  await dialogOf(page, "button[aria-label='Disable credentials/max/groq']");
  await page.click("dialog button.danger");
  await page.waitForSelector("tr:has-text('groq'):has-text('disabled')");
  await close();
});

await claim("thresholds and labels that are none are told at their field, and never dropped", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  const was = await api("GET", "budgets/user:eva");
  await visit(page, "budgets");
  await dialogOf(page, "button[aria-label='Edit user:eva']");
  for (const [text, told] of [["50, most", "most is no percentage"], ["50, 80.5", "80.5 is no percentage"], ["50, 300", "300 is no percentage"], ["50, 0", "each above the one before"]]) {
    await page.fill("#f-alert_thresholds", text);
    await submit(page, "Save");
    await page.waitForSelector(`#e-alert_thresholds:has-text('${told}')`);
    await page.waitForSelector("#f-alert_thresholds[aria-invalid='true']:focus");
  }
  for (const [name, text] of [["until", "next week"], ["until", "2031-02-30"], ["month_limit_usd", "a lot"], ["shares", "two"], ["time_zone", "Mars/North"]]) {
    const before = await page.inputValue(`#f-${name}`);
    await page.fill(`#f-${name}`, text);
    await page.fill("#f-alert_thresholds", "60, 90");
    await submit(page, "Save");
    await page.waitForSelector(`#f-${name}[aria-invalid='true']:focus`);
    assert.notEqual(await page.textContent(`#e-${name}`), "", name);
    await page.fill(`#f-${name}`, before);
  }
  assert.deepEqual(await api("GET", "budgets/user:eva"), was);
  await submit(page, "Save");
  await page.waitForSelector("#said:has-text('The budget of user:eva is set')");
  assert.deepEqual((await api("GET", "budgets/user:eva")).alert_thresholds, [60, 90]);
  await visit(page, "keys");
  await dialogOf(page, "button:has-text('Make a key')");
  await page.fill("#f-user", "demo");
  await page.fill("#f-name", "labelled");
  for (const [text, told] of [["team", "name=value"], ["team=", "name=value"], ["a=1, b", "name=value"], ["a=1,", "name=value"], ["a=1, a=2", "twice"], ["a b=1", ""]]) {
    await page.fill("#f-labels", text);
    await submit(page, "Make");
    await page.waitForSelector("#f-labels[aria-invalid='true']:focus");
    assert.ok((await page.textContent("#e-labels")).includes(told) && await page.textContent("#e-labels"), text);
  }
  await page.click("dialog button:has-text('Cancel')");
  await close();
});

await claim("audit is found by who, where and when, and tells what a change changed", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await api("PUT", "users/walter", { name: "Walter", org: "demo" });
  const since = new Date(Date.now() - 60_000).toISOString();
  await api("PUT", "users/walter", { name: "Walter W", self_service: { keys: 4, key_models: ["demo/chat", "demo/claude"] } });
  await visit(page, "audit");
  await page.fill("#q-actor", "admin-key:root");
  await page.selectOption("#q-action", "PUT");
  await page.fill("#q-target", "users/walter");
  await page.fill("#q-from", since.slice(0, 16).replace("T", " "));
  await page.click("button:has-text('Find')");
  await page.waitForURL(/target=users/);
  await settled(page);
  const rows = await page.locator("main tbody tr").allTextContents();
  assert.equal(rows.length, 2, rows.join("\n"));
  assert.ok(rows[0].includes("name: Walter → Walter W") && rows[0].includes("org: demo → nothing") && rows[0].includes("self service › keys: nothing → 4"), rows[0]);
  assert.ok(rows[1].includes("name: Walter; org: demo"), rows[1]);
  await dialogOf(page, "button:has-text('Look') >> nth=0");
  await page.waitForSelector("dialog tr:has-text('self service › key models') ins:has-text('demo/chat, demo/claude')");
  await page.waitForSelector("dialog tr:has-text('org') del:has-text('demo')");
  assert.equal(await page.locator("dialog tr:has-text('version')").count(), 0);
  await clean(page, "audit-change");
  await page.keyboard.press("Escape");
  await page.fill("#q-from", "soon");
  await page.click("button:has-text('Find')");
  await page.waitForSelector("#q-from[aria-invalid='true']:focus");
  await page.fill("#q-from", "2031-01-01");
  await page.click("button:has-text('Find')");
  await page.waitForSelector("p.empty:has-text('No change fits')");
  await close();
});

await claim("an auditor is offered no change, and an admin none of who may do what", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await api("POST", "admin-keys", { name: "kept", role: "auditor" });
  await api("PUT", "iam/arn:aws:iam::111122223333:role/Kept", { role: "auditor" });
  await api("PUT", "sso/email:kept@example.com", { role: "auditor" });
  for (const role of ["auditor", "admin"]) {
    const { secret } = await api("POST", "admin-keys", { name: role, role });
    await page.click("#leave");
    await page.fill("#key", secret);
    await page.keyboard.press("Enter");
    await page.waitForSelector("h1:has-text('Overview')");
    for (const name of role === "auditor" ? PAGES : ["access"]) {
      await visit(page, name);
      const offered = (await page.locator("main button").allTextContents()).filter((text) => !["Look", "Find"].includes(text));
      assert.deepEqual([role, name, offered], [role, name, []]);
      if (name === "access") assert.equal(await page.locator("tr:has-text('kept')").count(), 3);
    }
    if (role === "admin") {
      await visit(page, "budgets");
      await page.waitForSelector("button:has-text('Set a budget')");
    }
  }
  await close();
});

await claim("a dialog is gone through by keyboard alone, and gives the focus back", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "keys");
  await dialogOf(page, "button:has-text('Make a key')");
  await page.waitForSelector("#f-user:focus");
  await page.keyboard.type("demo");
  await page.keyboard.press("Tab");
  await page.waitForSelector("#f-name:focus");
  await page.keyboard.type("by keyboard");
  // Nothing behind the dialog is reached, however far one goes.
  for (let step = 0; step < 30; step += 1) {
    await page.keyboard.press("Tab");
    assert.ok(await page.evaluate("document.activeElement === document.body || dialog.contains(document.activeElement)"), String(step));
  }
  await page.keyboard.press("Escape");
  await page.waitForSelector("button:has-text('Make a key'):focus");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#f-user:focus");
  await page.keyboard.type("demo");
  await page.keyboard.press("Tab");
  await page.keyboard.type("by keyboard");
  await page.keyboard.press("Enter");
  await page.waitForSelector("dialog .secret");
  await page.keyboard.press("Escape");
  await page.waitForSelector("tr:has-text('by keyboard')");
  await page.waitForSelector("button:has-text('Make a key'):focus");
  await close();
});

await claim("requests are found by what the gateway knows of them, page by page", async () => {
  const { page, faults, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "requests");
  await page.fill("#q-user", "lin");
  await page.selectOption("#q-outcome", "settled");
  await page.keyboard.press("Enter");
  await page.click("button:has-text('Find')");
  await page.waitForURL(/user=lin&outcome=settled/);
  await settled(page);
  const rows = await page.locator("main tbody tr").allTextContents();
  assert.ok(rows.length > 2 && rows.every((text) => text.includes("lin") && text.includes("settled")), rows.join("\n"));
  const { requests } = await api("GET", "requests?user=lin&limit=1");
  await page.fill("#q-user", "");
  await page.selectOption("#q-outcome", "");
  await page.fill("#q-key", requests[0].key_id);
  await page.fill("#q-model", "refuse");
  await page.click("button:has-text('Find')");
  await page.waitForSelector("tr:has-text('demo/refuse')");
  await page.waitForSelector("tr:has-text('demo/chat')", { state: "detached" });
  await page.waitForSelector("button:has-text('Find'):focus");
  await page.fill("#q-id", requests[0].request_id);
  await page.click("button:has-text('Find')");
  await page.waitForSelector(`h1:has-text('One request') ~ div td:has-text('${requests[0].request_id}')`);
  assert.deepEqual(faults, []);
  await close();
});

await claim("requests are found by time and label, and a wrong time is told where it was typed", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "requests");
  const day = (days) => `${new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10)}T00:00:00Z`;
  await page.fill("#q-from", "yesterday");
  await page.click("button:has-text('Find')");
  await page.waitForSelector("#q-from[aria-invalid='true'][aria-describedby='q-fault']");
  await clean(page, "wrong-time");
  await page.fill("#q-from", day(5));
  await page.fill("#q-to", day(3));
  await page.fill("#q-label", "team:support");
  await page.click("button:has-text('Find')");
  await page.waitForURL(/label=/);
  await settled(page);
  const { requests } = await api("GET", `requests?from=${day(5)}&to=${day(3)}&limit=100`);
  const wanted = requests.filter((row) => row.labels.team === "support");
  const rows = await page.locator("main tbody tr").allTextContents();
  assert.ok(wanted.length > 5 && wanted.length < requests.length && wanted.length < 50, String(wanted.length));
  assert.equal(rows.length, wanted.length);
  await close();
});

await claim("an alert tells what was reached, of what, when, and what became of it", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  // A call that costs more than its hold is told to the operator, and its model is in quarantine.
  const { secret } = await api("POST", "keys", { user: "demo", name: "overrun" });
  await fetch(admin.replace("admin/v1/", "v1/chat/completions"), {
    method: "POST", headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "demo/overrun", max_tokens: 50, messages: [{ role: "user", content: "Hello" }] }),
  });
  await api("PUT", "webhook", await hook());
  let operator = [];
  while (!operator.length) ({ alerts: operator } = await api("GET", "alerts/operator"));
  await visit(page, "alerts");
  await page.waitForSelector("tr:has-text('webhook'):has-text('/hook')");
  const today = new Date().toISOString().slice(0, 10);
  await page.waitForSelector(`tr:has-text('cost more than its hold'):has-text('demo/overrun'):has-text('${today}')`);
  await dialogOf(page, "button:has-text('Send a test alert')");
  await page.fill("#f-scope", "user:nobody");
  await submit(page, "Send");
  await page.waitForSelector("#f-scope[aria-invalid='true']");
  await page.fill("#f-scope", "user:lin");
  await submit(page, "Send");
  await page.waitForSelector("#said:has-text('A test alert is on its way')");
  await page.waitForSelector("tr:has-text('a test'):has-text('user:lin'):has-text('not yet')");
  await page.fill("#q-scope", "user:lin");
  await page.click("button:has-text('Find')");
  await page.waitForURL(/scope=user/);
  await settled(page);
  const { alerts } = await api("GET", "alerts?scope=user:lin&limit=50");
  const rows = await page.locator("section[aria-label='Of budgets'] tbody tr").allTextContents();
  assert.equal(rows.length, alerts.length);
  assert.ok(alerts.some((one) => one.threshold === 80) && alerts.some((one) => one.type === "budget.refused"));
  for (const [place, one] of alerts.entries()) {
    const [spent, limit] = await page.evaluate((amounts) => amounts.map(usd), [one.spent_usd, one.limit_usd]);
    const what = one.threshold ? `${one.threshold} % reached` : one.type === "test" ? "a test" : "a call was refused";
    for (const text of [what, "user:lin", spent, limit, one.created_at.slice(0, 10)]) assert.ok(rows[place].includes(text), `${text}: ${rows[place]}`);
  }
  await clean(page, "alerts");
  // Looked at, and open no more.
  await visit(page, "alerts");
  await dialogOf(page, `button[aria-label='Acknowledge ${operator[0].id}']`);
  await page.click("dialog button.danger");
  await page.waitForSelector(`button[aria-label='Acknowledge ${operator[0].id}']`, { state: "detached" });
  const { alerts: open } = await api("GET", "alerts/operator?state=open");
  assert.ok(!open.some((one) => one.id === operator[0].id));
  // Told on one channel and not on the other.
  const told = await page.evaluate(() => table("Told", delivery, [{ sent_at: "2026-11-30T12:00:00Z", channels: [{ channel: "sns", told_at: "2026-11-30T12:00:00Z", error: null }, { channel: "webhook", told_at: null, error: "HTTP 404" }] }], "").textContent);
  assert.ok(told.includes("2026-11-30 12:00:00 UTC") && told.includes("sns: told") && told.includes("webhook: HTTP 404"), told);
  await visit(page, "models");
  await dialogOf(page, "button[aria-label='Acknowledge demo/overrun']");
  await page.click("dialog button.danger");
  await page.waitForSelector("button[aria-label='Acknowledge demo/overrun']", { state: "detached" });
  await close();
});

await claim("a model is found in the catalogue, with its prices", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "models");
  await page.fill("#q-provider", "anthropic");
  await page.fill("#q-search", "HAIKU-4");
  await page.click("button:has-text('Find')");
  await page.waitForSelector("caption:has-text('Models of anthropic')");
  const { models } = await api("GET", "models?provider=anthropic&search=haiku-4");
  const rows = await page.locator("section[aria-label^='Models of'] tbody tr").allTextContents();
  assert.ok(models.length > 0 && rows.length === models.length, rows.join("\n"));
  for (const [place, one] of models.entries()) assert.ok(rows[place].includes(one.model) && rows[place].includes(one.prices.output), rows[place]);
  await clean(page, "models-found");
  await dialogOf(page, `button[aria-label='Set own price anthropic/${models[0].model}']`);
  assert.equal(await page.inputValue("#f-model"), `anthropic/${models[0].model}`);
  await page.keyboard.press("Escape");
  await page.waitForSelector(`button[aria-label='Set own price anthropic/${models[0].model}']:focus`);
  await close();
});

await claim("admin keys and IAM roles are made, changed and taken away", async () => {
  const { page, close } = await opened("dark");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "access");
  await dialogOf(page, "button:has-text('Make an admin key')");
  await submit(page, "Make");
  await page.waitForSelector("#f-name[aria-invalid='true']:focus");
  await page.fill("#f-name", "ci");
  await page.selectOption("#f-role", "admin");
  await clean(page, "admin-key");
  await submit(page, "Make");
  const secret = await page.textContent("dialog .secret");
  assert.match(secret, /^sk-fba-/);
  await page.click("dialog button:has-text('Close')");
  await page.waitForSelector("tr:has-text('ci'):has-text('admin'):has-text('active')");
  assert.equal((await page.content()).includes(secret), false);
  await dialogOf(page, "button[aria-label='Rotate admin key ci']");
  await submit(page, "Rotate");
  const next = await page.textContent("dialog .secret");
  assert.ok(next !== secret && next.startsWith("sk-fba-"));
  await page.click("dialog button:has-text('Close')");
  // The rows of before the rotation stand for a moment more.
  await page.waitForSelector("tr:has-text('ci'):has-text('expired')");
  await page.waitForSelector("button[aria-label='Rotate admin key ci']:focus");
  await dialogOf(page, "button[aria-label='Revoke admin key ci']");
  await page.click("dialog button.danger");
  await page.waitForSelector("tr:has-text('ci'):has-text('revoked')");
  const arn = "arn:aws:iam::111122223333:role/Ops";
  await dialogOf(page, "button:has-text('Give an IAM role or user a role')");
  await page.fill("#f-arn", "Ops");
  await submit(page, "Give");
  await page.waitForSelector("#f-arn[aria-invalid='true']:focus");
  await page.fill("#f-arn", arn);
  await submit(page, "Give");
  await page.waitForSelector(`tr:has-text('${arn}'):has-text('auditor')`);
  await dialogOf(page, `button[aria-label='Change ${arn}']`);
  await page.selectOption("#f-role", "owner");
  await submit(page, "Give");
  await page.waitForSelector(`tr:has-text('${arn}'):has-text('owner')`);
  await dialogOf(page, `button[aria-label='Take away ${arn}']`);
  await page.click("dialog button.danger");
  await page.waitForSelector(`tr:has-text('${arn}')`, { state: "detached" });
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
  await clean(page, "explain");
  await close();
});

/** Who signs in at the provider next. */
const person = (email) => fetch(`${issuer}/person`, { method: "POST", body: JSON.stringify({ sub: email, email, email_verified: true }) });

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
  // Whoever has a role already is not given another unseen.
  await page.waitForSelector(`dialog .conflict tr:has-text('Role'), #said:has-text('${subject} has the role ${role}')`);
  if (await page.locator("dialog .conflict").count()) await submit(page, "Give");
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

await claim("a member sees its room, asks for more, withdraws it, and what is granted has an end", async () => {
  await bind("email:lin@example.com", "member", "lin");
  await api("PUT", "users/lin", { name: "Lin", org: "demo", team: "support", self_service: { keys: 2, credentials: false } });
  const { page, faults, close } = await opened("light", "");
  await person("lin@example.com");
  await page.click("#sign-in");
  await page.waitForSelector("h1:has-text('Lin (lin)')");
  await settled(page);
  assert.deepEqual(await page.locator("nav a").allTextContents(), ["Overview", "Keys", "Credentials", "Requests", "Alerts"]);
  const budget = await api("GET", "budgets/user:lin");
  const today = budget.periods.find((period) => period.period === "day");
  const line = page.locator("tr:has-text('user:lin')").filter({ has: page.locator("td:text-is('day')") });
  assert.match(await line.textContent(), new RegExp(today.resets_at.slice(0, 10)));
  const room = await page.evaluate((amount) => usd(amount), today.room_usd);
  assert.ok((await line.textContent()).includes(room), await line.textContent());
  const wish = async (limit, reason) => {
    await dialogOf(page, "button:has-text('Ask for more budget')");
    await page.fill("#f-month_limit_usd", limit);
    await page.fill("#f-reason", reason);
    await clean(page, "member-asks");
    await submit(page, "Ask");
    await page.waitForSelector(`tr:has-text('${reason}'):has-text('open')`);
    await page.waitForSelector("button:has-text('Ask for more budget'):focus");
  };
  await wish("100", "The evaluation of the new model");
  await wish("900", "Just so");
  await wish("50", "A mistake");
  await dialogOf(page, "button[aria-label='Withdraw A mistake']");
  await page.click("dialog button.danger");
  await page.waitForSelector("tr:has-text('A mistake'):has-text('withdrawn')");
  // The owner decides: one is granted with an end, one is not.
  const owner = await opened("dark");
  await owner.page.waitForSelector("h1:has-text('Overview')");
  await visit(owner.page, "budget-requests");
  await dialogOf(owner.page, "tr:has-text('The evaluation of the new model') button:has-text('Approve')");
  await owner.page.fill("#f-until", "");
  await submit(owner.page, "Approve");
  await owner.page.waitForSelector("#f-until[aria-invalid='true']:focus");
  await owner.page.fill("#f-until", "2031-01-01T00:00:00Z");
  await owner.page.fill("#f-month_limit_usd", "80");
  await owner.page.fill("#f-note", "Until the new year");
  await clean(owner.page, "approve");
  await submit(owner.page, "Approve");
  await owner.page.waitForSelector("tr:has-text('The evaluation of the new model'):has-text('approved'):has-text('2031-01-01')");
  await dialogOf(owner.page, "tr:has-text('Just so') button:has-text('Deny')");
  await submit(owner.page, "Deny");
  await owner.page.waitForSelector("tr:has-text('Just so'):has-text('denied')");
  await owner.page.selectOption("#pick-state", "approved");
  await owner.page.waitForSelector("tr:has-text('Just so')", { state: "detached" });
  await owner.page.waitForSelector("#pick-state:focus");
  await clean(owner.page, "budget-requests");
  await owner.close();
  const granted = await api("GET", "budgets/user:lin");
  assert.deepEqual([granted.month_limit_usd, granted.until, granted.then.month_limit_usd], ["80", "2031-01-01T00:00:00Z", budget.month_limit_usd]);
  await page.reload();
  await page.waitForSelector("tr:has-text('The evaluation of the new model'):has-text('approved'):has-text('Until the new year')");
  assert.equal(await page.locator("tr:has-text('Just so') button").count(), 0);
  await clean(page, "member");
  assert.deepEqual(faults, []);
  await close();
});

await claim("a member stores its own credential once that is allowed, makes a key, and is out when its role is", async () => {
  const { page, faults, close } = await opened("light", "");
  await person("lin@example.com");
  await page.click("#sign-in");
  await page.waitForSelector("h1:has-text('Lin (lin)')");
  await visit(page, "credentials");
  await page.waitForSelector("p:has-text('Credentials of your own are not allowed')");
  assert.equal(await page.locator("main button").count(), 0);
  await api("PUT", "users/lin", { name: "Lin", org: "demo", team: "support", self_service: { keys: 9, credentials: true } });
  await visit(page, "keys");
  await visit(page, "credentials");
  await dialogOf(page, "button:has-text('Store a credential')");
  await submit(page, "Store");
  await page.waitForSelector("#f-provider[aria-invalid='true']:focus");
  await page.fill("#f-provider", "groq");
  await page.fill("#f-secret", "gsk-canary-of-lin");
  await clean(page, "member-credential");
  await submit(page, "Store");
  await page.waitForSelector("tr:has-text('groq'):has-text('active')");
  await dialogOf(page, "button[aria-label='Replace me/credentials/groq']");
  await page.fill("#f-secret", "gsk-canary-of-lin-2");
  await page.fill("#f-weight", "7");
  await submit(page, "Store");
  await page.waitForSelector("#said:has-text('The credential is stored')");
  await page.waitForSelector("button[aria-label='Replace me/credentials/groq']:focus");
  assert.equal((await page.content()).includes("canary"), false);
  await dialogOf(page, "button[aria-label='Disable me/credentials/groq']");
  await page.click("dialog button.danger");
  await page.waitForSelector("tr:has-text('groq'):has-text('active')", { state: "detached" });
  await visit(page, "keys");
  await dialogOf(page, "button:has-text('Make a key')");
  await page.fill("#f-name", "of my own");
  await submit(page, "Make");
  assert.match(await page.textContent("dialog .secret"), /^sk-fb-/);
  await page.click("dialog button:has-text('Close')");
  await page.waitForSelector("tr:has-text('of my own')");
  await visit(page, "alerts");
  await clean(page, "member-alerts");
  await page.waitForSelector("tr:has-text('80 % reached'):has-text('user:lin')");
  await visit(page, "requests");
  await page.click("a:has-text('Explain') >> nth=0");
  await page.waitForSelector("h1:has-text('One request')");
  await clean(page, "member-explained");
  assert.deepEqual(faults.filter((text) => !/status of (400|404)/.test(text)), []);
  await bind("email:lin@example.com", "auditor");
  await page.click("nav a[href='#keys']");
  await page.waitForSelector("[role=alert]:has-text('Your session has ended')");
  await close();
});

await claim("in every form who comes second sees the newer value, and can go on", async () => {
  const iam = "arn:aws:iam::111122223333:role/Second";
  const label = `second-${Date.now()}`;
  const { id, secret: memberKey } = await api("POST", "keys", { user: "eva", name: label });
  const price = (output) => ({ input: "1", output });
  const terms = (...rows) => ({ terms: rows.map(([from, off_percent]) => ({ from, off_percent })) });
  await api("PUT", "prices/openai/gpt-second", price("2"));
  await api("PUT", "discounts/openai/gpt-second", terms(["2026-01-01T00:00:00Z", "1"]));
  await api("PUT", "credentials/eva/groq", { secret: "gsk-one" });
  await api("PUT", "sso/email:second@example.com", { role: "auditor" });
  await api("PUT", `iam/${iam}`, { role: "auditor" });
  await api("PUT", "webhook", await hook());
  await api("PUT", "routes/second", { targets: [{ model: "demo/chat" }] });
  const asked = await fetch(`${admin}me/budget-requests`, {
    method: "POST", headers: { authorization: `Bearer ${memberKey}`, "content-type": "application/json" }, body: JSON.stringify({ day_limit_usd: "9", reason: label }),
  }).then((answer) => answer.json());
  /** Where, which button, which further one; what somebody else makes of it; what is typed, and what the newer value is told as. */
  const forms = [
    ["people", "Edit user eva", null, "users/eva", { name: "Eva A", org: "demo" }, { name: "Eva B" }, "Eva A"],
    ["people", "Edit Organisation demo", null, "orgs/demo", { name: "Demo A" }, { name: "Demo B" }, "Demo A"],
    ["people", "Edit Team support", null, "teams/support", { name: "Support A" }, { name: "Support B" }, "Support A"],
    ["people", "Edit user eva", "Rate limits", "limits/user:eva", { concurrent: 5 }, { concurrent: "6" }, "5"],
    ["people", "Edit user eva", "Content log", "content-log/user:eva", { days: 5 }, { days: "6" }, "5"],
    ["people", "Budget of Team support", null, "budgets/team:support", { mode: "hard", month_limit_usd: "7" }, { month_limit_usd: "8" }, "7"],
    ["models", "Edit route second", null, "routes/second", { targets: [{ model: "demo/claude" }] }, { retries: "1" }, "demo/claude"],
    ["prices", "Edit openai/gpt-second", null, "prices/openai/gpt-second", price("3"), { output: "4" }, "3"],
    ["prices", "Edit openai/gpt-second", null, "discounts/openai/gpt-second", terms(["2026-01-01T00:00:00Z", "2"]), { terms: "2026-01-01 3" }, "2026-01-01 2", "section[aria-label^='Discounts'] "],
    ["credentials?user=eva", "Replace credentials/eva/groq", null, "credentials/eva/groq", { secret: "gsk-two", weight: 2 }, { secret: "gsk-three", weight: "3" }, "2"],
    ["access", "Change email:second@example.com", null, "sso/email:second@example.com", { role: "admin" }, { role: "owner" }, "admin"],
    ["access", `Change ${iam}`, null, `iam/${iam}`, { role: "admin" }, { role: "owner" }, "admin"],
    ["alerts", "Change the webhook", null, "webhook", await hook("/hook-a"), await hook("/hook-b"), "/hook-a"],
    ["keys?user=eva", `Edit ${label}`, null, `keys/${id}`, { name: label, max_cost_usd: "1" }, { max_cost_usd: "2" }, "1"],
    ["keys?user=eva", `Edit ${label}`, "Rate limits", `limits/key:${id}`, { concurrent: 5 }, { concurrent: "6" }, "5"],
    ["keys?user=eva", `Rotate ${label}`, null, `keys/${id}`, { name: label, max_cost_usd: "3" }, {}, "max cost, USD"],
    ["keys?user=eva", `Revoke ${label}`, null, `keys/${id}`, { name: label, max_cost_usd: "4" }, {}, "max cost, USD"],
    ["models", "Take away route second", null, "routes/second", { targets: [{ model: "demo/chat" }, { model: "demo/claude" }] }, {}, "demo/claude"],
    ["budget-requests", "Approve eva", null, `budget-requests/eva/${asked.id}`, { state: "denied", note: "Not now" }, {}, "Not now"],
  ];
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  for (const [place, name, further, path, body, typed, newer, part = ""] of forms) {
    await page.evaluate((place) => { location.hash = place; }, place);
    const button = `${part}button[aria-label='${name}'], ${part}button:text-is('${name}')`;
    await page.waitForSelector(button);
    await stands(page);
    // What is taken away or rotated is as it stood in the list, a form as it was when it was opened.
    const isOfRow = /^(Rotate|Revoke|Take away)/.test(name);
    if (isOfRow) await api("PUT", path, body);
    await dialogOf(page, button);
    if (further) {
      await page.click(`dialog button:has-text('${further}')`);
      await page.waitForSelector(`dialog h2:has-text('${further}')`);
    }
    if (!isOfRow) await api("PUT", path, body);
    for (const [field, text] of Object.entries(typed)) {
      if (field === "role") await page.selectOption(`#f-${field}`, text);
      else await page.fill(`#f-${field}`, text);
    }
    await page.click("dialog button[type=submit]");
    await page.waitForSelector(`dialog .conflict tr:has-text('${newer}')`).catch(async () => assert.fail(`${name} ${further}: ${await page.textContent("dialog")}`));
    if (name.startsWith("Approve")) {
      await page.click("dialog button:has-text('Cancel')");
      continue;
    }
    await page.click("dialog button[type=submit]");
    await page.waitForSelector("dialog:not([open]), dialog .secret", { state: "attached" });
    await page.keyboard.press("Escape");
    await stands(page);
    const [[field, text] = []] = Object.entries(typed).slice(-1);
    if (!field || /^credentials/.test(path)) continue;
    const now = await api("GET", path);
    const stored = (now.spec ?? now)[field];
    assert.ok((Array.isArray(stored) ? JSON.stringify(stored) : String(stored)).includes(field === "terms" ? '"3"' : text), `${name}: ${stored}`);
  }
  await api("DELETE", "webhook");
  await close();
});

await claim("a price of one's own says what only the list has", async () => {
  const { page, close } = await opened("light");
  await page.waitForSelector("h1:has-text('Overview')");
  await visit(page, "prices");
  await dialogOf(page, "button:has-text('Set a price of your own')");
  for (const [name, text] of [["model", "openai/gpt-5.5"], ["input", "5"], ["output", "30"], ["per_request", "0.01"]]) await page.fill(`#f-${name}`, text);
  await submit(page, "Save");
  const left = "context tier above 272000 tokens";
  await page.waitForSelector(`#said:has-text('${left}')`);
  await dialogOf(page, "button[aria-label='Edit openai/gpt-5.5']");
  await page.waitForSelector(`dialog .warn:has-text('${left}')`);
  assert.equal(await page.inputValue("#f-per_request"), "0.01");
  await page.keyboard.press("Escape");
  await api("DELETE", "prices/openai/gpt-5.5");
  await close();
});

await finish();
