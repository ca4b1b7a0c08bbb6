// The page: its sections, its keys, its theme, and how the index and the server are doing.

import { connection, facts, followFacts, isStarting, refreshFacts } from "./api.js";
import { onCardKey } from "./cards.js";
import { errorState, h, icon, kept, loadIcons, openDialog, say } from "./dom.js";
import { labellingView } from "./labelling.js";
import { mapView } from "./map.js";
import { motion } from "./player.js";
import { startDropping } from "./query.js";
import { searchView } from "./search.js";
import { chooseNone, label, labelOfKey, selection, startSelectionBar } from "./selection.js";
import { videosView } from "./videos.js";

const byId = (id) => document.getElementById(id);
const SECTIONS = ["search", "videos", "map", "label"];
const KEYS = { s: "search", v: "videos", m: "map", g: "label" };
const KEYS_TOLD = [
  ["Everywhere", [["s v m g", "Search, videos, map, groups to label"], ["u", "Choose a video to search with"], ["/", "Find a video by name"],
    ["p", "Play or stop all moments"], ["t", "Write a label for what is chosen"], ["1 … 9", "Give one of the labels to what is chosen, or to the card in hand"], ["0", "Take the label away"],
    ["Esc", "Close, or choose none"], ["?", "These keys"]]],
  ["On a card", [["← ↑ ↓ →", "To the next card"], ["Enter", "Search with it"], ["Space", "Play or stop it"], ["x", "Choose it"],
    ["a", "Compare it with the query"], ["+ −", "More, or less, like this"]]],
  ["On the time line", [["← →", "A tenth of a second"], ["Page ↑ ↓", "A second"], ["Home End", "To the start, to the end"]]],
  ["On the map", [["← ↑ ↓ →", "Move"], ["+ −", "Nearer, farther"], ["0", "All of it"], ["Enter", "Play the moment in the middle"], ["l", "Lasso; the list of groups does the same"]]],
];
const THEMES = { auto: ["auto", "As the system has it"], light: ["sun", "Light"], dark: ["moon", "Dark"] };

const views = {
  search: searchView(byId("view-search")),
  videos: videosView(byId("view-videos")),
  map: mapView(byId("view-map")),
  label: labellingView(byId("view-label")),
};

// Sections

const current = () => (SECTIONS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "search");

function showSection() {
  const name = current();
  for (const one of SECTIONS) byId(`view-${one}`).hidden = one !== name;
  for (const link of byId("nav").children) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${byId(`view-${name}`).getAttribute("aria-label")} · ${facts.value?.name ?? ""} · CoCon`;
  document.body.dataset.section = name;
  if (facts.value) views[name].show?.();
}

addEventListener("hashchange", showSection);
addEventListener("popstate", ({ state }) => {
  if (current() !== "search" || state === null) return;
  if (state.query) views.search.searchWith(state.query, { isBack: true });
  else views.search.drawStart();
});

document.addEventListener("cocon:search", ({ detail: { item } }) => {
  const range = item.score !== undefined || item.clip !== undefined ? [item.start_seconds, item.end_seconds] : null;
  views.search.searchWith({ video_id: item.video_id, name: item.name, range });
  showSection();
});

const searchWithFile = (file) => {
  if (current() !== "search") location.hash = "#search";
  views.search.searchWithFile(file);
};
startDropping(byId("drop-veil"), searchWithFile);

// Keys

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.matches("input, select, textarea, [role=slider]") || document.querySelector("dialog[open]")) return;
  const element = event.target.closest(".card[data-video]");
  if (element && event.target === element && onCardKey(event, element)) event.preventDefault();
  else if (event.key === "Escape") chooseNone();
  else if (areSingleKeysOn() && onSingleKey(event.key, element)) event.preventDefault();
});

function onSingleKey(key, element) {
  const bar = byId("selection");
  if (key in KEYS) location.hash = `#${KEYS[key]}`;
  else if (key === "?") showHelp();
  else if (key === "p") motion.toggle();
  else if (key === "l" && current() === "map") views.map.toggleLasso();
  else if (key === "u") [...document.querySelectorAll("button.upload")].find((one) => one.offsetParent)?.click();
  else if (key === "/") findByName();
  else if (key === "t" && selection.items.size) bar.focusField();
  else if (/^[0-9]$/.test(key) && selection.items.size) bar.giveQuick(Number(key));
  else if (/^[0-9]$/.test(key) && element) labelOne(element.item, labelOfKey(Number(key)));
  else return false;
  return true;
}

function labelOne(item, name) {
  if (name !== undefined) label([item], name).catch((error) => say(error.message));
}

function findByName() {
  location.hash = "#videos";
  setTimeout(() => views.videos.focus());
}

const areSingleKeysOn = () => kept.get("keys", "on") === "on";

/** All keys, and a switch for those who speak to their computer. */
function showHelp() {
  const box = h("input", { type: "checkbox" });
  box.checked = areSingleKeysOn();
  box.addEventListener("change", () => kept.set("keys", box.checked ? "on" : "off"));
  openDialog("Keys", h("div.keys", KEYS_TOLD.map(([title, keys]) => h("section", h("h3", title), h("dl", keys.map(([key, what]) =>
    h("div", h("dt", key.split(" ").map((one) => (one === "…" ? "…" : h("kbd", one)))), h("dd", what))))))),
  h("label.check", box, "Single letters do something"),
  h("p.quiet", "Nothing of this page leaves your machine. Videos that you drop are forgotten when the server ends."));
}

// Theme and motion

function showTheme(theme) {
  const scheme = theme === "auto" ? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light") : theme;
  Object.assign(document.documentElement.dataset, { theme, scheme });
  const told = `Colours: ${THEMES[theme][1]}`;
  byId("theme").replaceChildren(icon(THEMES[theme][0]));
  byId("theme").title = told;
  byId("theme").setAttribute("aria-label", told);
  document.dispatchEvent(new Event("cocon:scheme"));
}

byId("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length];
  kept.set("theme", next);
  showTheme(next);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => showTheme(kept.get("theme", "auto")));

function showMotion() {
  const told = motion.plays ? "Stop all moments (p)" : "Play all moments (p)";
  byId("motion").replaceChildren(icon(motion.plays ? "pause" : "play"));
  byId("motion").title = told;
  byId("motion").setAttribute("aria-label", told);
}

byId("motion").addEventListener("click", () => motion.toggle());
motion.addEventListener("change", showMotion);
byId("help").addEventListener("click", showHelp);

// How the index and the server are doing

function showFacts() {
  const { name, labels, metadata_keys: keys, embedder } = facts.value;
  byId("index-name").textContent = name;
  byId("labels").replaceChildren(...labels.filter((one) => one.label).map((one) => h("option", { value: one.label })));
  byId("metadata-keys").replaceChildren(...keys.map((key) => h("option", { value: `${key}=` })));
  const [tone, told] = embedder.ready ? ["good", "Model ready"] : isStarting(embedder) ? ["busy", "Model starting"] : ["bad", "No model"];
  showModel(tone, told, embedder.ready ? embedder.url : `${embedder.url}: ${embedder.message || "is on its way"}`);
  if (!connection.isLost) showBanner(tone === "bad" ? modelBanner(embedder) : null);
}

function showModel(tone, told, more) {
  byId("model").className = `model ${tone}`;
  byId("model").title = more;
  byId("model").replaceChildren(h("span.dot"), h("span", told));
}

function modelBanner(embedder) {
  return [icon("warn"), h("p", h("strong", "No model. "), "New videos cannot be searched with; those of the index can. ", h("span.quiet", embedder.message))];
}

function showBanner(content) {
  byId("banner").hidden = content === null;
  byId("banner").replaceChildren(...(content ?? []));
}

function showLost() {
  showBanner([icon("retry"), h("p", h("strong", "The server does not answer. "), "Is ", h("code", "client web"), " still running? The page tries again by itself."),
    h("button.secondary", { type: "button", onclick: () => refreshFacts().catch(() => {}) }, "Try now")]);
}

connection.addEventListener("lost", () => {
  showModel("bad", "Not connected", "");
  showLost();
});
connection.addEventListener("closed", () => showBanner([icon("warn"), h("p", h("strong", "Another server has taken its place. "),
  "Open the address that ", h("code", "client web"), " has printed.")]));
connection.addEventListener("back", () => facts.value && showFacts());
facts.addEventListener("change", showFacts);

async function start() {
  try {
    await loadIcons();
    await refreshFacts();
    if (!facts.value) throw Object.assign(new Error("The server does not answer."), { kind: "ConnectionLost" });
  } catch (error) {
    byId("view-search").replaceChildren(h("div.results", errorState(error, () => location.reload())));
    return;
  }
  if (history.state?.query?.video_id !== undefined) views.search.searchWith(history.state.query, { isBack: true });
  else views.search.drawStart();
  showSection();
}

showTheme(kept.get("theme", "auto"));
showMotion();
startSelectionBar(byId("selection"));
showSection();
start();
followFacts();
