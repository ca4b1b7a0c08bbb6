// The videos and moments that are chosen, and the bar that gives them a label.

import { facts, postJson, refreshFacts } from "./api.js";
import { counted, h, icon, iconButton, say } from "./dom.js";

const MOST_KEYS = 9;

/** Tells "change". What is chosen by key: {video_id, name, label, start_seconds?, end_seconds?}. */
export const selection = Object.assign(new EventTarget(), { items: new Map() });

export const keyOf = (item) => [item.video_id, item.start_seconds ?? "", item.end_seconds ?? ""].join(":");

export function toggleChosen(item) {
  const key = keyOf(item);
  if (!selection.items.delete(key)) selection.items.set(key, item);
  changed();
}

export function choose(items) {
  for (const item of items) selection.items.set(keyOf(item), item);
  changed();
}

export function chooseNone() {
  selection.items.clear();
  changed();
}

/** Give a label to videos; "" takes it away. Their earlier labels come back by the note's button. */
export async function label(items, name, ofMoments = false) {
  const videos = items.map((item) => (ofMoments && item.end_seconds !== undefined
    ? { video_id: item.video_id, start_seconds: item.start_seconds, end_seconds: item.end_seconds }
    : { video_id: item.video_id }));
  const earlier = ofMoments ? null : Map.groupBy(items.filter((item) => item.label !== undefined), (item) => item.label ?? "");
  await put(videos, name, ofMoments);
  const what = counted(new Set(videos.map((video) => JSON.stringify(video))).size, ofMoments ? "moment" : "video");
  const undo = earlier && earlier.size > 0 && { name: "Undo", run: async () => {
    for (const [old, of] of earlier) await put(of.map(({ video_id }) => ({ video_id })), old, false);
    say("The earlier labels are back.");
  } };
  say(name ? `Labelled ${what} “${name}”.` : `Took the label of ${what} away.`, undo || null);
}

async function put(videos, name, ofMoments) {
  await postJson("/api/labels", { videos, label: name });
  const detail = { ids: new Set(videos.map((video) => video.video_id)), label: name || null, ofMoments };
  document.dispatchEvent(new CustomEvent("cocon:labelled", { detail }));
  await refreshFacts();
}

/** A field for a label; Enter gives it to what `items` returns then. */
export function labelField(items, { ofMoments = () => false, onDone = () => {} } = {}) {
  const field = h("input.label-field", { type: "text", list: "labels", placeholder: "Label", "aria-label": "Label", autocomplete: "off",
    maxlength: "200" });
  const note = h("span.field-error", { role: "alert" });
  const give = async (name) => {
    if (name === undefined) return;
    const chosen = items();
    note.textContent = "";
    try {
      await label(chosen, name, ofMoments());
      field.value = "";
      onDone();
    } catch (error) {
      note.textContent = error.message;
    }
  };
  const form = h("form.label-form", { onsubmit: (event) => {
    event.preventDefault();
    const name = field.value.trim();
    if (name) give(name);
    else field.focus();
  } }, field, h("button.primary", { type: "submit" }, "Label"), note);
  return Object.assign(form, { give, field });
}

export function startSelectionBar(bar) {
  const count = h("strong", { "aria-live": "polite" });
  const moments = h("input", { type: "checkbox", id: "of-moments" });
  const ofMoments = h("label.check", moments, "only these moments");
  const form = labelField(() => [...selection.items.values()], { ofMoments: () => moments.checked && !ofMoments.hidden, onDone: chooseNone });
  const quick = h("div.quick", { "aria-label": "Labels by key" });
  bar.append(
    h("div.selection-in", count, form, ofMoments,
      iconButton("close", "Choose none (Escape)", { onclick: chooseNone, class: "quiet-button square last" }), quick));
  const draw = () => {
    const chosen = [...selection.items.values()];
    bar.hidden = chosen.length === 0;
    document.body.classList.toggle("has-selection", chosen.length > 0);
    count.textContent = `${chosen.length.toLocaleString("en")} selected`;
    ofMoments.hidden = !chosen.some((item) => item.end_seconds !== undefined);
    const chip = (key, name, text) => h("button.chip", { type: "button", onclick: () => form.give(name) }, h("kbd", key), text);
    quick.replaceChildren(...quickLabels().map((name, number) => chip(number + 1, name, h("bdi", name))), chip(0, "", "take label away"));
  };
  selection.addEventListener("change", draw);
  facts.addEventListener("change", draw);
  bar.giveQuick = (number) => form.give(labelOfKey(number));
  bar.focusField = () => form.field.focus();
  draw();
}

/** The label that a number stands for; "", which takes one away, for 0; undefined if there is none. */
export const labelOfKey = (number) => (number === 0 ? "" : quickLabels()[number - 1]);

function quickLabels() {
  return (facts.value?.labels ?? []).filter(({ label: name }) => name).slice(0, MOST_KEYS).map(({ label: name }) => name);
}

function changed() {
  for (const card of document.querySelectorAll(".card[data-video]")) showChosen(card);
  selection.dispatchEvent(new Event("change"));
}

export function showChosen(card) {
  const isChosen = selection.items.has(keyOf(card.item));
  card.classList.toggle("is-chosen", isChosen);
  const mark = card.querySelector(".choose");
  mark.setAttribute("aria-pressed", String(isChosen));
  mark.replaceChildren(...(isChosen ? [icon("check")] : []));
}
