// The search: a query on one side, its hits on the other.

import { connection, facts, getJson, postForPicture, postJson, upload } from "./api.js";
import { card, grid } from "./cards.js";
import { counted, emptyIndex, errorState, h, icon, openDialog, sentence, skeletons, stateOf } from "./dom.js";
import { clearFilters, filterBar, filters, forSearch } from "./filters.js";
import { asked, dropZone, fileButton, queryCard, readingCard } from "./query.js";

const PAGE = 24;
const NUM_PICKS = 12;
const MOST_CLASSES = 6;

/** The view; `view.searchWith(query)` and `view.searchWithFile(file)` ask. */
export function searchView(root) {
  const state = { query: null, card: null, examples: new Map(), allMoments: false, hits: [], asking: null };
  const panel = h("aside.panel", { "aria-label": "Query" });
  const results = h("div.results");
  const head = h("div.results-head");
  const top = h("div.results-top", head, filterBar());
  root.append(panel, results);

  const search = async (offset = 0) => {
    if (!state.query) return;
    state.asking?.abort();
    const asking = (state.asking = new AbortController());
    drawBusy(offset);
    try {
      const answer = await postJson("/api/search", { query: asked(state.query), ...examplesOf(state.examples), top: PAGE, offset,
        all_moments: state.allMoments, filters: forSearch() }, asking.signal);
      state.hits = offset ? [...state.hits, ...answer.hits] : answer.hits;
      if (!state.card) drawQuery(answer.query);
      drawHits(answer, offset);
    } catch (error) {
      if (error.name !== "AbortError") drawError(error);
    }
  };

  function begin(query) {
    state.asking?.abort();
    Object.assign(state, { query, card: null, hits: [] });
    state.examples.clear();
    root.classList.toggle("has-query", query !== null);
  }

  const searchWith = (query, { isBack = false, waiting = null } = {}) => {
    begin(query);
    if (!isBack) history.pushState({ query }, "", "#search");
    panel.replaceChildren(waiting ?? h("div.query", h("div.player.large"), h("div.query-title", h("bdi.name", query.name))));
    scrollTo({ top: 0 });
    return search();
  };

  const searchWithFile = async (file) => {
    begin({ name: file.name });
    const reading = readingCard(file);
    panel.replaceChildren(reading);
    drawBusy(0);
    try {
      const taken = await upload(file);
      await searchWith({ upload_id: taken.upload_id, name: taken.name, range: null }, { waiting: reading });
    } catch (error) {
      state.query = null;
      drawRefused(error);
    } finally {
      reading.done();
    }
  };

  function drawStart() {
    begin(null);
    panel.replaceChildren();
    if (facts.value?.num_videos === 0) return results.replaceChildren(emptyIndex());
    const picks = h("div", grid(skeletons(NUM_PICKS / 2)));
    results.replaceChildren(dropZone(searchWithFile), h("div.section-title", h("h2", "Or start from a video of the index"), h("a", { href: "#videos" }, "All videos")), picks);
    return getJson("/api/videos", { top: NUM_PICKS }).then(
      ({ videos }) => picks.replaceChildren(grid(videos.map((video) => card(video)), { class: "grid videos" })),
      (error) => picks.replaceChildren(errorState(error, drawStart)));
  }

  function drawQuery(shown) {
    state.card = queryCard(state.query, shown, {
      onrange: (range) => {
        state.query.range = range;
        search();
      },
      onclear: () => {
        history.pushState({}, "", "#search");
        drawStart();
      },
    });
    state.duration = shown.duration_seconds;
    panel.replaceChildren(state.card, options(), h("div.examples"), h("div.classes"));
    drawExamples();
  }

  function options() {
    const box = h("input", { type: "checkbox" });
    box.checked = state.allMoments;
    box.addEventListener("change", () => {
      state.allMoments = box.checked;
      search();
    });
    return h("label.check", box, "Several moments of a video");
  }

  function drawExamples() {
    const element = panel.querySelector(".examples");
    element?.replaceChildren(...[...state.examples].map(([key, { item, liked }]) => h("button.chip.is-on", { type: "button",
      "aria-label": `Forget: ${liked ? "more" : "less"} like ${item.name}`, onclick: () => {
        state.examples.delete(key);
        drawExamples();
        search();
      } }, icon(liked ? "more" : "less"), h("bdi", item.name), icon("close"))));
  }

  function drawBusy(offset) {
    if (!results.contains(top)) {
      head.replaceChildren(h("h2", { role: "status" }, h("span.spinner"), "Searching…"));
      results.replaceChildren(top, grid(skeletons(8)));
    }
    results.setAttribute("aria-busy", "true");
    results.classList.toggle("is-stale", !offset && !results.querySelector(".skeleton"));
  }

  function settle() {
    results.removeAttribute("aria-busy");
    results.classList.remove("is-stale");
  }

  function drawHits(answer, offset) {
    settle();
    const best = Math.max(...state.hits.map((hit) => hit.score), 0);
    const cards = answer.hits.map((hit) => hitCard(hit, best));
    const more = answer.hits.length === PAGE && h("button.secondary.more", { type: "button", onclick: () => search(offset + PAGE) }, "More");
    results.querySelector(".more")?.remove();
    if (offset) {
      results.querySelector("ul.grid").append(...cards);
      cards[0]?.focus();
    } else {
      results.querySelector("ul.grid, .state")?.replaceWith(cards.length ? grid(cards, { "aria-label": "Hits" }) : nothingFound());
      drawClasses(answer.classes ?? []);
    }
    if (more) results.append(more);
    const title = state.hits.length ? counted(state.hits.length, state.allMoments ? "moment" : "video") : "No hits";
    head.replaceChildren(h("h2", { role: "status" }, title), h("span.quiet", `best first · ${Math.max(1, Math.round(answer.seconds * 1000)).toLocaleString("en")} ms`));
  }

  function hitCard(hit, best) {
    const element = card(hit, { duration_seconds: state.duration, best });
    const mark = () => hit.query_start_seconds !== null && state.card?.line.show(hit.query_start_seconds, hit.query_end_seconds);
    for (const kind of ["pointerenter", "focusin"]) element.addEventListener(kind, mark);
    element.addEventListener("pointerleave", () => state.card?.line.hide());
    for (const button of element.querySelectorAll("[data-liked]")) {
      button.setAttribute("aria-pressed", String(state.examples.get(momentKey(hit))?.liked === (button.dataset.liked === "yes")));
    }
    return element;
  }

  function drawClasses(classes) {
    const element = panel.querySelector(".classes");
    if (!element) return;
    element.replaceChildren(...(classes.length ? [h("h3", "It is probably"), h("ul.bars", classes.slice(0, MOST_CLASSES).map(
      ({ label, probability }) => h("li", { vars: { "--share": probability } }, h("bdi", label), h("span.number", `${Math.round(probability * 100)} %`))))] : []));
  }

  function drawError(error) {
    settle();
    if (!state.card) panel.replaceChildren(h("div.query", h("div.query-title", h("bdi.name", state.query.name))), fileButton(searchWithFile, "Choose another video"));
    results.querySelector(".more")?.remove();
    head.replaceChildren();
    results.querySelector("ul.grid, .state").replaceWith(errorState(error, () => search()));
  }

  function drawRefused(error) {
    panel.replaceChildren();
    root.classList.remove("has-query");
    results.replaceChildren(stateOf({ picture: "broken", title: "This video cannot be searched with", tone: "bad",
      text: sentence(error),
      actions: [fileButton(searchWithFile, "Choose another video"), h("button.secondary", { type: "button", onclick: drawStart }, "Back")] }));
  }

  document.addEventListener("cocon:align", ({ detail }) => state.query && showAlignment(state.query, detail.item));
  document.addEventListener("cocon:example", ({ detail }) => {
    const key = momentKey(detail.item);
    if (state.examples.get(key)?.liked === detail.liked) state.examples.delete(key);
    else state.examples.set(key, detail);
    drawExamples();
    search();
  });
  filters.addEventListener("change", () => search());
  connection.addEventListener("back", () => (state.query ? state.query.upload_id === undefined && search() : drawStart()));
  return { drawStart, searchWith, searchWithFile, search, state };
}

const momentKey = (item) => `${item.video_id}:${item.clip}`;

function examplesOf(examples) {
  const of = (liked) => [...examples.values()].filter((one) => one.liked === liked)
    .map(({ item }) => ({ video_id: item.video_id, start_seconds: item.start_seconds, end_seconds: item.end_seconds }));
  return { liked: of(true), unliked: of(false) };
}

function nothingFound() {
  const isFiltered = filters.chosen.length > 0;
  return stateOf({ picture: "search", title: "Nothing found",
    text: isFiltered ? "No moment meets all the filters." : "The index has nothing to compare with.",
    actions: isFiltered ? [h("button.secondary", { type: "button", onclick: clearFilters }, "Clear the filters")] : [] });
}

/** Query and hit beside each other, as the server draws them. */
async function showAlignment(query, item) {
  const place = h("div.alignment", { "aria-busy": "true" }, h("p.quiet", h("span.spinner"), "Laying both beside each other…"));
  const dialog = openDialog(h("span", "Compare with ", h("bdi", item.name)), place,
    h("p.quiet", "The query runs down, the hit to the right. Light is alike; the line is the most alike way through both, its colours are parts that go together."));
  const ask = async () => {
    try {
      const address = await postForPicture("/api/alignment", { query: asked(query), video_id: item.video_id });
      dialog.addEventListener("close", () => URL.revokeObjectURL(address));
      place.replaceChildren(h("img", { src: address, alt: `Alignment of ${query.name} (down) and ${item.name} (to the right)` }));
    } catch (error) {
      place.replaceChildren(errorState(error, ask));
    }
    place.removeAttribute("aria-busy");
  };
  await ask();
}
