// Elements and words. Data only ever becomes text: nothing here reads HTML.

import { facts } from "./api.js";

/**
 * An element: h("button.primary", {onclick, "aria-label": "..."}, "text", child, [more]).
 * Functions are listeners, `vars` are CSS custom properties, false and null leave an attribute away.
 */
export function h(spec, ...rest) {
  const [tag, ...classes] = spec.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  const given = isAttributes(rest[0]) ? rest.shift() : {};
  for (const [name, value] of Object.entries(given)) setAttribute(element, name, value);
  element.append(...rest.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function isAttributes(value) {
  return value !== null && typeof value === "object" && !(value instanceof Node) && !Array.isArray(value);
}

function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (typeof value === "function") element.addEventListener(name.slice(2), value);
  else if (name === "vars") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
  else if (name === "value") element.value = value;
  else element.setAttribute(name, value === true ? "" : value);
}

/** Take the symbols of icons.svg into the page, once: they are there when the server is not. */
export async function loadIcons() {
  const answer = await fetch("icons.svg");
  const { documentElement: svg } = new DOMParser().parseFromString(await answer.text(), "image/svg+xml");
  svg.setAttribute("hidden", "");
  document.body.append(document.importNode(svg, true));
  for (const place of document.querySelectorAll("[data-icon]")) place.replaceWith(icon(place.dataset.icon));
}

/** One of the symbols, for eyes alone. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("class", `icon of-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** A button with an icon; its name is told and shown as a tip. */
export function iconButton(name, label, attributes = {}) {
  return h("button.quiet-button.square", { type: "button", "aria-label": label, title: label, ...attributes }, icon(name));
}

/** A state of a view with nothing to show: what it is, why, and what to do next. */
export function stateOf({ picture = null, title, text = "", actions = [], tone = "" }) {
  return h("div.state", { class: `state ${tone}` },
    picture && h("span.state-picture", icon(picture)),
    h("h3", title),
    text && h("p", text),
    actions.length > 0 && h("div.row.centred", actions));
}

/** What the server says, as sentences. */
export function sentence({ message, remedy }) {
  const ended = (text) => text && `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
  return [ended(message), ended(remedy)].filter(Boolean).join(" ");
}

/** A failed request with its remedy and a way to try again. */
export function errorState(error, retry) {
  const isLost = error.kind === "ConnectionLost";
  const isModel = error.status === 503 && facts.value && !facts.value.embedder.ready;
  return stateOf({ picture: isLost ? "retry" : "warn", tone: "bad",
    title: isLost ? "The server does not answer" : isModel ? "The model server is away" : "That did not work",
    text: isLost ? "Is client web still running? The page goes on by itself when it is back." : isModel
      ? `${sentence(error)} Videos of the index can still be searched with.` : sentence(error),
    actions: [h("button.secondary", { type: "button", onclick: retry }, icon("retry"), "Try again")] });
}

/** An index without videos. */
export function emptyIndex() {
  return stateOf({ picture: "film", title: "The index is empty",
    text: ["Add videos, and they appear here: ", h("code", `client index add videos/ --index ${facts.value?.name ?? "index"}`)] });
}

/** Grey boxes in the places of cards that are on their way. */
export function skeletons(count) {
  return Array.from({ length: count }, () => h("div.card.skeleton", { "aria-hidden": "true" },
    h("div.player"), h("div.card-body", h("span.bone"), h("span.bone.short"))));
}

/** A dialog above the page; Escape, its cross and a click beside it close it, and what was in hand is so again. */
export function openDialog(title, ...content) {
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" },
    h("div.dialog-head", h("h2", { id: "dialog-title" }, title), iconButton("close", "Close (Escape)", { onclick: () => dialog.close() })), ...content);
  const before = document.activeElement;
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Say something to everybody: a note at the edge that goes by itself, and what a screen reader reads. */
export function say(text, action = null) {
  const toasts = document.getElementById("toasts");
  const note = h("div.toast", h("span", text), action && h("button.link", { type: "button", onclick: () => {
    note.remove();
    action.run();
  } }, action.name));
  toasts.replaceChildren(note);
  setTimeout(() => note.remove(), action ? 12000 : 6000);
}

/** A moment as people write it: 1.5 s, from two minutes on 2:30. */
export function clock(seconds) {
  if (seconds < 120) return `${Math.round(seconds * 10) / 10} s`;
  const whole = Math.round(seconds);
  const pad = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

/** From when to when: 1.2–2.4 s. */
export function spanText(start, end) {
  return end < 120 ? `${clock(start).slice(0, -2)}–${clock(end)}` : `${clock(start)}–${clock(end)}`;
}

/** 1 video, 1,200 videos. */
export function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** The last call of a series, once it has been quiet for a while. */
export function settled(run, quietMs) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(run, quietMs, ...values);
  };
}

/** What a person chose before, kept by this browser alone. */
export const kept = {
  get: (name, otherwise) => {
    try { return localStorage.getItem(`cocon.${name}`) ?? otherwise; } catch { return otherwise; }
  },
  set: (name, value) => {
    try { localStorage.setItem(`cocon.${name}`, value); } catch { /* a private window keeps nothing */ }
  },
};
