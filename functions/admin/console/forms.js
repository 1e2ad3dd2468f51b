// Dialogs, and one builder for every form: a table of fields says what a form asks, how the thing's
// values are shown in it and what the typed text means.
"use strict";

// ---- what a field's text means -------------------------------------------------------------------

/** A fault of a text; its field is known by who reads it. */
class Wrong extends Error {}
const wrong = (text) => { throw new Wrong(text); };
const refuse = (field, message) => { throw new Refused(0, { field, message }); };

const listed = (text) => text.split(/[\s,]+/).filter(Boolean);
const shownTime = (text) => (text ?? "").replace(/T00:00:00Z$/, "");

function wholeOf(text) {
  return /^\d{1,15}$/.test(text) ? Number(text) : wrong("Write a whole number.");
}

/** A time as the gateway reads it. Whoever writes no zone means UTC, and who writes no hour means midnight. */
function timeOf(text) {
  const [, date, clock = "00:00", second = ":00", zone = "Z"] = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?)?$/.exec(text) ?? [];
  const time = `${date}T${clock}${second}${zone.toUpperCase()}`;
  const isThere = date && !Number.isNaN(Date.parse(time)) && new Date(`${date}T00:00Z`).toISOString().startsWith(date);
  return isThere ? time : wrong("Write a day or a time, such as 2026-11-01 or 2026-11-01 13:30 (UTC).");
}

function pairsOf(text) {
  const labels = {};
  for (const pair of text.split(",")) {
    const [, name, value] = /^\s*([^=]+?)\s*=\s*(.+?)\s*$/.exec(pair) ?? wrong("Write each label as name=value, with a comma before the next one.");
    if (Object.hasOwn(labels, name)) wrong(`The label ${name} stands there twice.`);
    labels[name] = value;
  }
  return labels;
}

/** Each line of a text, and where one is wrong, which. */
const linesOf = (text, of) => text.split("\n").map((line) => line.trim()).filter(Boolean).map((line, place) => {
  try {
    return of(line.split(/\s+/));
  } catch (fault) {
    return fault instanceof Wrong ? wrong(`Line ${place + 1}: ${fault.message}`) : wrong(String(fault));
  }
});

/** How a value of each kind is shown in a field, and read from it. */
const MEANINGS = {
  text: { reads: (text) => text },
  whole: { reads: wholeOf, inputmode: "numeric" },
  money: { reads: (text) => (/^\d+(\.\d+)?$/.test(text) ? text : wrong("Write an amount in USD, such as 12.50.")), inputmode: "decimal" },
  time: { reads: timeOf },
  check: { reads: (isSet) => isSet || undefined },
  span: { reads: (text) => SPANS[text] },
  percents: { shows: (all) => all.join(", "), reads: (text) => listed(text).map((one) => (/^\d{1,3}$/.test(one) && one <= 100 ? Number(one) : wrong(`${one} is no percentage: write such as 50, 80.`))) },
  pairs: { shows: (all) => Object.entries(all).map((pair) => pair.join("=")).join(", "), reads: pairsOf },
  lines: { shows: (all) => all.join("\n"), reads: listed },
  targets: {
    shows: (all) => all.map(({ model, weight }) => [model, weight].filter(Boolean).join(" ")).join("\n"),
    reads: (text) => linesOf(text, ([model, weight, ...rest]) => (rest.length ? wrong("Write provider/model, and behind it a share if you like.")
      : weight ? { model, weight: wholeOf(weight) } : { model })),
  },
  terms: {
    shows: (all) => all.map((term) => `${shownTime(term.from)} ${term.off_percent}`).join("\n"),
    reads: (text) => linesOf(text, ([from, percent, ...rest]) => (percent === undefined || rest.length ? wrong("Write a day and the percent off from then on.")
      : { from: timeOf(from), off_percent: percent })),
  },
};
const AREAS = ["lines", "targets", "terms"];
const meaning = (field) => MEANINGS[field.kind] ?? MEANINGS.text;

/** The text of a field for a thing. */
function textOf(field, thing) {
  const value = (field.in ? thing?.[field.in] : thing)?.[field.name];
  if (field.kind === "check") return Boolean(value);
  return value === null || value === undefined ? field.value ?? "" : (meaning(field).shows ?? String)(value);
}

/** What a form's texts say, as the gateway reads it: what is left empty is left out, and so taken away. */
function bodyOf(fields, texts) {
  const body = {};
  for (const field of fields) {
    const text = texts[field.name];
    if (field.required && text === "") refuse(field.name, field.needed ?? `${field.label.split(/[:,(]/)[0].trim()} is needed.`);
    try {
      const value = text === "" ? field.empty : meaning(field).reads(text);
      if (field.out || value === undefined) continue;
      if (field.in) (body[field.in] ??= {})[field.name] = value;
      else body[field.name] = value;
    } catch (fault) {
      if (fault instanceof Wrong) refuse(field.name, fault.message);
      throw fault;
    }
  }
  return body;
}

// ---- fields --------------------------------------------------------------------------------------

function inputOf(field, prefix = "f") {
  const attributes = { id: `${prefix}-${field.name}`, name: field.name, autocomplete: "off", required: field.required };
  if (field.options) {
    return h("select", attributes, field.options.map((one) => h("option", { value: one, selected: one === field.value }, field.words?.[one] ?? (one || "all"))));
  }
  if (field.kind === "check") return h("input", { ...attributes, type: "checkbox", checked: Boolean(field.value) });
  if (AREAS.includes(field.kind)) {
    const area = h("textarea", { ...attributes, rows: 3, placeholder: field.hint, spellcheck: "false" });
    area.value = field.value ?? "";
    return area;
  }
  return h("input", {
    ...attributes, type: field.type ?? "text", value: field.value ?? "", placeholder: field.hint, spellcheck: "false",
    inputmode: meaning(field).inputmode, accept: field.accept, list: field.list,
  });
}

const read = (input) => (input.type === "checkbox" ? input.checked : input.type === "file" ? input.files[0] ?? "" : input.value.trim());
function write(input, value) {
  if (input.type === "checkbox") input.checked = Boolean(value);
  else input.value = value ?? "";
}

// ---- dialogs -------------------------------------------------------------------------------------

function open(title, ...content) {
  dialog.replaceChildren(h("h2", { id: "dialog-title" }, title), ...content.filter(Boolean));
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("input, select, textarea, button")?.focus();
}

const closing = (text = "Close") => h("button", { type: "button", onclick: () => dialog.close() }, text);

/** What is saved: the dialog is closed, the page shown anew and read out. */
async function done(text) {
  dialog.close();
  await show();
  tell(text);
  refocus();
}

function secret(title, text) {
  open(title, h("p", {}, "It is shown this once. Copy it now."), h("p", { class: "secret", tabindex: "0" }, text), closing());
  closed = () => show().then(refocus);
}

// ---- who comes second ----------------------------------------------------------------------------

/** What somebody else has changed meanwhile: what stands there now, beside what is typed here. */
function conflict(fields, inputs, now, given) {
  const text = (value) => (value === true ? "yes" : value === false ? "no" : value === "" ? "nothing" : value);
  const typed = (field) => read(inputs.get(field.name).input);
  const asked = now ? fields.filter((field) => !field.out && field.type !== "password" && field.kind !== "span") : [];
  const differing = asked.filter((field) => textOf(field, now) !== typed(field));
  const take = () => {
    for (const field of differing) write(inputs.get(field.name).input, textOf(field, now));
    inputs.get(differing[0].name).input.focus();
    box.remove();
  };
  const what = !now ? "Somebody took it away meanwhile: to save makes it again."
    : differing.length ? "Somebody changed it meanwhile. To save now puts what is typed here in its place."
      : asked.length ? "Somebody changed it meanwhile to what is typed here." : "Somebody changed it meanwhile. Go on if that is still what you want.";
  const box = h("div", { class: "conflict", role: "alert" }, h("p", {}, what),
    differing.length ? h("table", {}, h("thead", {}, h("tr", {}, ["Field", "Now there", "Typed here"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, differing.map((field) => h("tr", {}, h("th", { scope: "row" }, field.label), h("td", {}, text(textOf(field, now))),
        h("td", {}, text(typed(field))))))) : null,
    now && given && !asked.length ? differences(given, now) : null,
    differing.length ? h("button", { type: "button", onclick: take }, "Take what is there") : null);
  return box;
}

// ---- forms ---------------------------------------------------------------------------------------

/** `labels.team`, `models[0]`, `self_service.key_models[1]`, `targets[0].model`: their fields by the names that a form may know them by. */
const namesOf = (name) => [name, name.replace(/\[.*$/, ""), name.split(/[.[]/)[0], name.split(".").at(-1), name.replace(/\[.*$/, "").split(".").at(-1)];

/** The gateway's words without the field's name, at which they stand; of a list, which of it. */
function worded(error, field) {
  const at = /\[(\d+)\]/.exec(error.field ?? "")?.[1];
  const text = error.field && error.message.startsWith(`${error.field}: `) ? error.message.slice(error.field.length + 2) : error.message;
  const part = error.field?.startsWith(`${field}.`) ? `${error.field.slice(field.length + 1)}: ` : "";
  return at === undefined ? part + text : `Number ${Number(at) + 1}: ${text}`;
}

/**
 * A form of fields {name, label, kind?, in?, out?, value?, options?, hint?, group?}; `send` gets what
 * they say, the version that the change is based on, the texts and the attempt's name. A fault is told at its field,
 * else at `place`. `of` is where a thing has its fields, for who comes second.
 */
function form(fields, submit, send, { version, of = (thing) => thing, given, place, kind = "main" } = {}) {
  const inputs = new Map();
  let once = attempt();
  const line = (field) => {
    const input = inputOf(field);
    const fault = h("p", { class: "fault", id: `e-${field.name}`, hidden: true });
    const note = field.note ? h("p", { class: "note", id: `n-${field.name}` }, field.note) : null;
    input.setAttribute("aria-describedby", [note?.id, fault.id].filter(Boolean).join(" "));
    inputs.set(field.name, { input, fault });
    input.addEventListener("input", () => {
      sound(input, fault);
      field.oninput?.(texts());
    });
    if (field.kind === "check") return h("div", { class: "check" }, h("label", {}, input, field.label), note, fault);
    return h("div", { class: AREAS.includes(field.kind) ? "wide" : null }, h("label", {}, field.label, input), note, fault);
  };
  const sound = (input, fault) => {
    fault.hidden = true;
    input.removeAttribute("aria-invalid");
  };
  const groups = [...new Set(fields.map((field) => field.group))].map((group) => {
    const rows = h("div", { class: "row" }, fields.filter((field) => field.group === group).map(line));
    return group ? h("fieldset", {}, h("legend", {}, group), rows) : rows;
  });
  const texts = () => Object.fromEntries([...inputs].map(([name, { input }]) => [name, read(input)]));
  const general = h("p", { class: "fault", role: "alert", hidden: true });
  const wait = h("p", { class: "note", role: "status" });
  const button = h("button", { type: "submit", class: kind }, submit);
  const tellFault = (error) => {
    const name = [...namesOf(error.field ?? ""), place].find((one) => inputs.has(one));
    const found = inputs.get(name);
    const shown = found ? found.fault : general;
    shown.textContent = found && namesOf(error.field ?? "").includes(name) ? worded(error, name) : error.message;
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
    for (const { input, fault } of inputs.values()) sound(input, fault);
    wait.textContent = "Asking…";
    try {
      await send(bodyOf(fields, texts()), version, texts(), once);
    } catch (error) {
      // What was refused is over; where nobody answered, or a fault, it may have been done all the same.
      if (error.status && error.status < 500) once = attempt();
      if (error.status === 412) {
        version = error.version;
        const box = conflict(fields, inputs, error.current && of(error.current), given);
        general.before(box);
        button.disabled = false;
        (box.querySelector("button") ?? button).focus();
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

/** The version that a change of a thing is based on: that of the row that was looked at, where it has one. */
const based = async (path, one) => (one?.version ? { found: one, version: `"${one.version}"` } : seen(path));

/**
 * Makes a thing, or changes the given one. Of a thing a table says: its `title`, its `path`, its
 * `fields` (`once`: asked when it is made; `out`: not in its body), where it has them (`of`), what
 * is `told` when it is saved, and whether it is made by POST (`isPost`).
 */
async function edit({ title, path, fields, of = (thing) => thing, told, note, submit = "Save", isPost, extra }, given, preset) {
  // What nobody has made yet has the version 0: whoever was first is not written over unseen.
  const known = given ? await seen(path(given)) : { found: null, version: isPost ? undefined : '"0"' };
  const thing = known.found ? of(known.found) : preset;
  const asked = fields.filter((field) => !(given && field.once)).map((field) => ({ ...field, value: textOf(field, thing) }));
  open(title(given), note ? h("p", { class: "note" }, note) : null, given && extra ? extra(known.found ?? given) : null,
    form(asked, submit, async (body, version, texts, once) => {
      const one = given ?? texts;
      const made = await api(isPost ? "POST" : "PUT", path(one), body, version, isPost && once);
      if (!made?.secret) return done(made?.warnings?.join(" ") || told(one, body, made));
      dialog.close();
      return secret(title(made), made.secret);
    }, { version: known.version, of, place: asked[0].name }));
}

/** Asks before something is done to a thing, as it was when it was looked at. */
async function confirmed(title, text, label, path, one) {
  const known = await based(path, one);
  open(title, h("p", {}, text), form([], label, async (_, version) => {
    await api("DELETE", path, undefined, version);
    await done("Done.");
  }, { version: known.version, given: known.found ?? {}, kind: "danger" }));
}

/** Gives a key another secret. */
async function rotate(path, one, name, title) {
  const known = await based(path, one);
  open(`Rotate ${one.name}?`, h("p", {}, "It gets another secret. All else of it stays."),
    form([{ name, kind: "span", label: "The old secret ends", options: Object.keys(SPANS) }], "Rotate", async (body, version, texts, once) => {
      const made = await api("POST", `${path}/rotate`, body, version, once);
      dialog.close();
      secret(`${title} ${made.name}`, made.secret);
    }, { version: known.version, given: known.found }));
}
