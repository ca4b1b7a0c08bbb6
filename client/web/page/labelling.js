// From no labels to enough: what to label next, and groups that are labelled at once.

import { facts, getJson, postJson } from "./api.js";
import { card, grid } from "./cards.js";
import { counted, emptyIndex, errorState, h, icon, skeletons, stateOf } from "./dom.js";
import { choose, labelField } from "./selection.js";

const BUDGET = 12;
const GROUPS = 8;

/** The view; `view.show()` asks for suggestions when it is seen for the first time. */
export function labellingView(root) {
  const next = section("Label these next", "They tell most about the rest: first one of each kind, later those of which the labels are least sure.",
    { name: "How many", value: BUDGET, most: 200, verb: "Suggest" }, async (budget) => suggestions(await getJson("/api/suggestions", { budget })));
  const groups = section("Or label groups at once", "Videos that are alike, the most typical ones first. A label goes to all of a group.",
    { name: "Groups, at most", value: GROUPS, most: 200, verb: "Find groups" }, async (count) => groupsOf(await postJson("/api/clusters", { count })));
  root.append(h("div.progress-note", { role: "status" }), next.element, groups.element);
  const tellHow = () => {
    if (!facts.value) return;
    const { num_places: videos, num_labelled: labelled, labels } = facts.value;
    root.querySelector(".progress-note").replaceChildren(h("div.meter", { role: "img", "aria-label": "Share of labelled videos", vars: { "--share": videos ? Math.min(1, labelled / videos) : 0 } }),
      h("span", `${labelled.toLocaleString("en")} of ${counted(videos, "video")} labelled, ${counted(labels.length, "label")}`));
  };
  facts.addEventListener("change", tellHow);
  let isShown = false;
  return { show: () => {
    tellHow();
    if (isShown || !facts.value) return;
    isShown = true;
    if (facts.value.num_videos === 0) root.replaceChildren(emptyIndex());
    else next.run();
  } };
}

function section(title, text, { name, value, most, verb }, ask) {
  const number = h("input", { type: "number", min: "1", max: most, value, "aria-label": name });
  const place = h("div.section-body");
  const run = async () => {
    if (!number.reportValidity()) return;
    place.setAttribute("aria-busy", "true");
    if (!place.children.length) place.replaceChildren(grid(skeletons(4)));
    try {
      place.replaceChildren(...await ask(number.valueAsNumber));
    } catch (error) {
      place.replaceChildren(errorState(error, run));
    }
    place.removeAttribute("aria-busy");
  };
  const form = h("form.row", { onsubmit: (event) => {
    event.preventDefault();
    run();
  } }, h("label", name, number), h("button.secondary", { type: "submit" }, verb));
  return { run, element: h("section.block", h("div.section-title", h("div", h("h2", title), h("p.quiet", text)), form), place) };
}

function suggestions({ videos }) {
  if (!videos.length) return [stateOf({ picture: "check", title: "Everything is labelled", text: "There is nothing left to suggest." })];
  return [grid(videos.map((video) => card(video)), { class: "grid videos", "aria-label": "Suggestions" }),
    h("p.quiet", "Choose cards with x or by their corner, then give a label below, or press its number.")];
}

function groupsOf({ clusters }) {
  if (!clusters.length) return [stateOf({ picture: "groups", title: "No groups", text: "The index has too few videos." })];
  return clusters.map(({ cluster, num_videos: count, typical, video_ids: ids }) => {
    const known = new Map(typical.map((video) => [video.video_id, video]));
    const items = ids.map((id) => known.get(id) ?? { video_id: id, name: `video ${id}` });
    return h("section.group", { "aria-label": `Group ${cluster}` },
      h("div.section-title", h("h3", `Group ${cluster} `, h("span.quiet", counted(count, "video"))),
        h("div.row", labelField(() => items), h("button.link", { type: "button", onclick: () => choose(items) }, icon("check"), `Choose all ${count}`))),
      grid(typical.map((video) => card(video)), { class: "grid typical", "aria-label": `Typical of group ${cluster}` }));
  });
}
