// What an answer must meet, as chips. Search and list share one set of filters.

import { facts } from "./api.js";
import { h, icon } from "./dom.js";

const KINDS = [
  { kind: "labels", told: "label", name: "Label is", hint: "jump", list: "labels" },
  { kind: "not_labels", told: "not", name: "Label is not", hint: "jump", list: "labels" },
  { kind: "paths", told: "path", name: "Path matches", hint: "**/camera1/*.mp4" },
  { kind: "where", told: "where", name: "Metadata", hint: "take>3 or group=a", list: "metadata-keys" },
  { kind: "from_seconds", told: "ends after", name: "Ends after, in seconds", hint: "2", isNumber: true },
  { kind: "to_seconds", told: "begins before", name: "Begins before, in seconds", hint: "10", isNumber: true },
];
const MOST_LABELS = 24;
const LIST_NAMES = { labels: "label", not_labels: "not_label", paths: "path", where: "where", from_seconds: "from_s", to_seconds: "to_s" };

/** Tells "change". `chosen` holds {kind, value} in the order in which they were added. */
export const filters = Object.assign(new EventTarget(), { chosen: [] });

/** As the body of a search has them. */
export function forSearch() {
  const found = {};
  for (const { kind, value } of filters.chosen) {
    if (isNumber(kind)) found[kind] = Number(value);
    else (found[kind] ??= []).push(value);
  }
  return found;
}

/** As the parameters of a list have them; an empty label stands for none. */
export function forList() {
  const found = {};
  for (const { kind, value } of filters.chosen) (found[LIST_NAMES[kind]] ??= []).push(value);
  return found;
}

export function clearFilters() {
  filters.chosen = [];
  filters.dispatchEvent(new Event("change"));
}

function add(kind, value) {
  const others = filters.chosen.filter((one) => one.kind !== kind || (!isNumber(kind) && one.value !== value));
  filters.chosen = [...others, { kind, value }];
  filters.dispatchEvent(new Event("change"));
}

function remove(kind, value) {
  filters.chosen = filters.chosen.filter((one) => one.kind !== kind || one.value !== value);
  filters.dispatchEvent(new Event("change"));
}

const has = (kind, value) => filters.chosen.some((one) => one.kind === kind && one.value === value);
const isNumber = (kind) => KINDS.find((one) => one.kind === kind).isNumber === true;

/** The chips of what is chosen, and a panel to choose more. */
export function filterBar() {
  const chips = h("div.row");
  const panel = h("div.filter-panel", { hidden: true, id: `filters-${Math.random().toString(36).slice(2)}` });
  const opener = h("button.quiet-button.small", { type: "button", "aria-expanded": "false", "aria-controls": panel.id, onclick: () => {
    panel.hidden = !panel.hidden;
    opener.setAttribute("aria-expanded", String(!panel.hidden));
    if (!panel.hidden) panel.querySelector("button, select")?.focus();
  } }, icon("funnel"), "Filter");
  const form = fieldForm();
  const labels = h("div.row", { role: "group", "aria-label": "Labels" });
  panel.append(labels, form);
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    opener.click();
    opener.focus();
  });
  const draw = () => {
    chips.replaceChildren(opener, ...filters.chosen.map(chipOf),
      ...(filters.chosen.length > 1 ? [h("button.link", { type: "button", onclick: clearFilters }, "Clear all")] : []));
    const inHand = document.activeElement?.dataset.label;
    labels.replaceChildren(...labelToggles());
    if (inHand !== undefined) [...labels.children].find((one) => one.dataset.label === inHand)?.focus();
  };
  filters.addEventListener("change", draw);
  facts.addEventListener("change", draw);
  draw();
  return h("div.filters", { role: "group", "aria-label": "Filters" }, chips, panel);
}

function chipOf({ kind, value }) {
  const { told } = KINDS.find((one) => one.kind === kind);
  const text = value === "" ? "none" : isNumber(kind) ? `${value} s` : value;
  return h("button.chip.is-on", { type: "button", "aria-label": `Remove the filter: ${told} ${text}`, onclick: () => remove(kind, value) },
    h("span.quiet", told), h("bdi", text), icon("close"));
}

function labelToggles() {
  const known = facts.value?.labels ?? [];
  const toggle = (name, count, shown) => h("button.chip", { type: "button", "data-label": name, "aria-pressed": String(has("labels", name)),
    class: `chip ${has("labels", name) ? "is-on" : ""}`,
    onclick: () => (has("labels", name) ? remove("labels", name) : add("labels", name)) },
  h("bdi", shown), count !== null && h("span.quiet", count.toLocaleString("en")));
  return [...known.filter(({ label }) => label).slice(0, MOST_LABELS).map(({ label, count }) => toggle(label, count, label)),
    toggle("", null, "no label")];
}

function fieldForm() {
  const select = h("select", { "aria-label": "Filter by" }, KINDS.map(({ kind, name }) => h("option", { value: kind }, name)));
  const field = h("input", { type: "text", "aria-label": "Value", autocomplete: "off" });
  const fit = () => {
    const { hint, list, isNumber: takesNumber } = KINDS.find(({ kind }) => kind === select.value);
    field.placeholder = hint;
    field.type = takesNumber ? "number" : "text";
    if (takesNumber) Object.assign(field, { min: "0", step: "any" });
    if (list) field.setAttribute("list", list);
    else field.removeAttribute("list");
  };
  select.addEventListener("change", fit);
  fit();
  return h("form.row", { onsubmit: (event) => {
    event.preventDefault();
    if (field.value.trim() !== "") add(select.value, field.value.trim());
    field.value = "";
    field.focus();
  } }, select, field, h("button.secondary", { type: "submit" }, "Add"));
}
