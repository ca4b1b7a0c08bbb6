// A video or a moment as a card: it plays, says what it is, and offers what can be done with it.
//
// Cards tell what is wanted of them to the document: "cocon:search", "cocon:align", "cocon:example", with the item.

import { counted, h, icon, iconButton, spanText } from "./dom.js";
import { player, toggle } from "./player.js";
import { showChosen, toggleChosen } from "./selection.js";

/**
 * @param item {video_id, name, path, label, media, still, plays, start_seconds?, end_seconds?, score?, reason?, also?}
 * @param query {duration_seconds, best} where the item is a hit: it shows the part of the query that it is like.
 */
export function card(item, query = null) {
  const isHit = query !== null;
  const element = h("li.card", { tabindex: "0", "data-video": item.video_id, "aria-label": nameOf(item) },
    player(item),
    h("button.choose", { type: "button", "aria-label": `Choose ${item.name}`, title: "Choose (x)", tabindex: "-1", onclick: () => toggleChosen(item) }),
    isHit && h("span.rank", { "aria-hidden": "true" }, item.rank),
    h("div.card-body",
      h("div.card-title", h("bdi.name", { title: item.path }, item.name), labelChip(item)),
      isHit && score(item, query),
      item.reason && h("p.reason", item.reason),
      item.empty_views?.length > 0 && h("p.reason", { title: "Every video without a person is alike in these views" }, `nobody is to be seen in either: alike in ${item.empty_views.join(", ")}`),
      item.also?.length > 0 && h("p.reason", { title: item.also.join("\n") }, `the same is at ${counted(item.also.length, "other place")}`),
      item.moments?.length > 0 && h("p.reason", counted(item.moments.length, "labelled part")),
      h("div.card-actions", actions(item, isHit))));
  element.item = item;
  showChosen(element);
  return element;
}

/** Cards in a grid that the arrow keys walk. */
export function grid(cards, attributes = {}) {
  return h("ul.grid", { role: "list", ...attributes }, cards);
}

function nameOf(item) {
  const parts = [item.name];
  if (item.end_seconds !== undefined) parts.push(spanText(item.start_seconds, item.end_seconds));
  if (item.score !== undefined) parts.push(`score ${item.score.toFixed(2)}`);
  parts.push(item.label ? `label ${item.label}` : "no label");
  return parts.join(", ");
}

function labelChip(item) {
  return item.label ? h("span.tag", { title: `Label: ${item.label}` }, h("bdi", item.label)) : h("span.tag.none", "no label");
}

function score(item, { duration_seconds: duration, best }) {
  const from = item.query_start_seconds;
  const to = item.query_end_seconds;
  const isKnown = from !== null && from !== undefined && duration > 0;
  return h("dl.score",
    h("dt", "score"),
    h("div.meter", { role: "img", "aria-hidden": "true", vars: { "--share": Math.max(0, item.score) / Math.max(best, 1e-6) } }),
    h("dd.number", { title: "Cosine of the embeddings: 1 is equal" }, item.score.toFixed(2)),
    isKnown && [h("dt", "query"), h("div.matched", { "aria-hidden": "true", title: `Like ${spanText(from, to)} of the query`,
      vars: { "--from": from / duration, "--to": Math.min(1, to / duration) } }), h("dd.number", spanText(from, to))]);
}

function actions(item, isHit) {
  const tell = (what, more = {}) => (event) =>
    event.currentTarget.dispatchEvent(new CustomEvent(`cocon:${what}`, { bubbles: true, detail: { item, ...more } }));
  return [
    h("button.quiet-button.small", { type: "button", onclick: tell("search"), "data-key": "Enter", title: "Search with this (Enter)" },
      icon("search"), isHit ? "Search with it" : "Find similar"),
    isHit && iconButton("align", "Compare with the query, moment by moment (a)", { onclick: tell("align"), "data-key": "a" }),
    isHit && iconButton("more", "More like this (+)", { onclick: tell("example", { liked: true }), "data-key": "+", "data-liked": "yes", "aria-pressed": "false" }),
    isHit && iconButton("less", "Less like this (-)", { onclick: tell("example", { liked: false }), "data-key": "-", "data-liked": "no", "aria-pressed": "false" }),
  ];
}

/** What a key does on the card in hand; true where it did something. */
export function onCardKey(event, element) {
  const { key } = event;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columnsOf(element), ArrowUp: -columnsOf(element) };
  const button = element.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (key in steps) step(element, steps[key]);
  else if (key === " ") toggle(element.querySelector(".player"));
  else if (key === "x") toggleChosen(element.item);
  else if (button) button.click();
  else return false;
  return true;
}

function columnsOf(element) {
  const cards = [...element.parentElement.children];
  return cards.filter((one) => one.offsetTop === cards[0].offsetTop).length;
}

function step(element, by) {
  const cards = [...element.parentElement.children].filter((one) => one.matches(".card[data-video]"));
  const next = cards[Math.min(cards.length - 1, Math.max(0, cards.indexOf(element) + by))];
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("cocon:labelled", ({ detail }) => {
  for (const element of document.querySelectorAll(".card[data-video]")) {
    const { item } = element;
    if (!detail.ids.has(item.video_id) || (detail.ofMoments && item.end_seconds === undefined)) continue;
    item.label = detail.label;
    element.querySelector(".tag").replaceWith(labelChip(item));
    element.setAttribute("aria-label", nameOf(item));
  }
});

