// The list: every video of the index, by text and filters.

import { connection, facts, getJson } from "./api.js";
import { card, grid } from "./cards.js";
import { counted, emptyIndex, errorState, h, icon, settled, skeletons, stateOf } from "./dom.js";
import { clearFilters, filterBar, filters, forList } from "./filters.js";
import { choose } from "./selection.js";

const PAGE = 48;

/** The view; `view.show()` reads the list anew, `view.focus()` goes to the field. */
export function videosView(root) {
  const field = h("input", { type: "search", placeholder: "Part of a name", "aria-label": "Part of a name", autocomplete: "off" });
  const head = h("h2", { role: "status" });
  const all = h("button.link", { type: "button", onclick: () => choose(listed()) }, "Choose all shown");
  const list = h("div", grid(skeletons(12)));
  const listed = () => [...list.querySelectorAll(".card[data-video]")].map((one) => one.item);
  let asking = null;

  const show = async (offset = 0) => {
    asking?.abort();
    asking = new AbortController();
    list.setAttribute("aria-busy", "true");
    try {
      const parameters = { text: field.value.trim() || null, ...forList(), top: PAGE, offset };
      draw(await getJson("/api/videos", parameters, asking.signal), offset);
    } catch (error) {
      if (error.name === "AbortError") return;
      head.textContent = "";
      all.hidden = true;
      list.replaceChildren(errorState(error, () => show()));
    }
    list.removeAttribute("aria-busy");
  };

  const draw = ({ total, videos }, offset) => {
    const cards = videos.map((video) => card(video));
    list.querySelector(".more")?.remove();
    head.textContent = counted(total, "video");
    all.hidden = total === 0;
    if (offset) list.querySelector("ul.grid").append(...cards);
    else list.replaceChildren(cards.length ? grid(cards, { class: "grid videos", "aria-label": "Videos" }) : nothing());
    if (offset) cards[0]?.focus();
    if (offset + videos.length < total) {
      list.append(h("button.secondary.more", { type: "button", onclick: () => show(offset + PAGE) }, "More"));
    }
  };

  const nothing = () => {
    if (facts.value?.num_videos === 0) return emptyIndex();
    return stateOf({ picture: "film", title: "No such video", text: "Nothing of the index has that name and meets all the filters.",
      actions: [h("button.secondary", { type: "button", onclick: () => {
        field.value = "";
        clearFilters();
      } }, "Show all")] });
  };

  field.addEventListener("input", settled(() => show(), 200));
  filters.addEventListener("change", () => show());
  connection.addEventListener("back", () => show());
  root.append(h("div.toolbar", h("div.field", icon("search"), field)), h("div.results-top", h("div.results-head", head, all), filterBar()), list);
  return { show, focus: () => field.focus() };
}
