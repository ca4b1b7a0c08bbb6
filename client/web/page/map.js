// The map of the index: every moment a point, what is alike close together.

import { connection, facts, getJson, getPoints, postJson, refreshFacts } from "./api.js";
import { card, grid } from "./cards.js";
import { counted, emptyIndex, errorState, h, iconButton, stateOf } from "./dom.js";
import { SHAPES } from "./painting.js";
import { Scatter } from "./scatter.js";
import { choose, labelField } from "./selection.js";

// Okabe and Ito's colours without yellow and black, lighter on dark; the last is for what has none.
const LIGHT = ["#0072b2", "#d55e00", "#009e73", "#c46ba0", "#b87f00", "#3a9fd8", "#b4bac0"];
const DARK = ["#4aa3df", "#f0854a", "#2dbe96", "#e09cc3", "#e8b13a", "#9bd4f5", "#4d565f"];
const NUM_COLOURS = LIGHT.length - 1;
const MOST_SHOWN = 24;

/** The view; `view.show()` reads the map when it is seen for the first time or has changed. */
export function mapView(root) {
  const state = { by: "label", map: null, columns: null, held: null };
  const canvas = h("canvas", { tabindex: "0", role: "application", "aria-roledescription": "map", "aria-describedby": "map-keys" });
  const scatter = new Scatter(canvas, { onpick: pick, onlasso: (indices) => list(indices, "Inside the line") });
  const side = h("aside.map-side", { "aria-label": "What is on the map" });
  const detail = h("div.map-detail", { "aria-live": "polite" });
  const legend = h("div.legend");
  const lasso = iconButton("lasso", "Draw a line around points (l)", { "aria-pressed": "false", "data-key": "l", onclick: () => {
    scatter.isLasso = !scatter.isLasso;
    lasso.setAttribute("aria-pressed", String(scatter.isLasso));
    canvas.classList.toggle("is-lasso", scatter.isLasso);
  } });
  const by = ["label", "cluster"].map((name) => h("button", { type: "button", "aria-pressed": String(name === state.by), onclick: () => {
    state.by = name;
    for (const one of by) one.setAttribute("aria-pressed", String(one.dataset.by === name));
    hold(null);
    colour();
  }, "data-by": name }, name === "label" ? "Labels" : "Groups"));
  const stage = h("div.map-stage", canvas,
    h("div.map-bar.left", h("div.segments", { role: "group", "aria-label": "Coloured by" }, by)),
    h("div.map-bar.right", lasso, iconButton("plus", "Nearer (+)", { onclick: () => scatter.zoomBy(1.5) }),
      iconButton("minus", "Farther (-)", { onclick: () => scatter.zoomBy(1 / 1.5) }), iconButton("fit", "All of it (0)", { onclick: () => scatter.fit() })),
    h("p.map-note", { id: "map-keys" }));
  const message = h("div.map-message", { hidden: true });
  side.append(detail, legend);
  root.append(stage, side, message);

  async function show() {
    const { map: kind, num_videos: videos } = facts.value ?? {};
    if (kind === undefined) return;
    if (!videos) return tell(emptyIndex());
    if (kind === "absent") return tell(offer(facts.value.map_message));
    if (kind === "computing" && !state.map) return tell(stateOf({ picture: "map", title: "Laying out the map…",
      text: ["Once for an index; a minute or two for a large one. ", h("span.spinner")] }));
    if (kind === state.kind && state.map) return;
    try {
      const [map, bytes] = await Promise.all([getJson("/api/map"), getPoints()]);
      state.kind = kind;
      read(map, bytes);
    } catch (error) {
      tell(errorState(error, show));
    }
  }

  function tell(content) {
    message.replaceChildren(content);
    message.hidden = false;
    stage.hidden = side.hidden = true;
  }

  function offer(failure) {
    return stateOf({ picture: failure ? "warn" : "map", tone: failure ? "bad" : "", title: failure ? "The map could not be laid out" : "There is no map yet",
      text: failure || "It shows every moment as a point, and lays close together what is alike. It is made once and kept in the index.",
      actions: [h("button.primary", { type: "button", onclick: compute }, failure ? "Try again" : "Lay out the map")] });
  }

  async function compute() {
    try {
      await postJson("/api/map", {});
      state.kind = null;
      await refreshFacts();
      await show();
    } catch (error) {
      tell(errorState(error, compute));
    }
  }

  function read(map, bytes) {
    const count = bytes.byteLength / 20;
    const column = (Type, number) => new Type(bytes, number * 4 * count, count);
    state.columns = { videos: column(Int32Array, 2), clips: column(Int32Array, 3), label: new Int16Array(bytes, 16 * count, count), cluster: new Int16Array(bytes, 18 * count, count) };
    state.map = map;
    message.hidden = true;
    stage.hidden = side.hidden = false;
    scatter.setPoints(column(Float32Array, 0), column(Float32Array, 1));
    canvas.setAttribute("aria-label", `Map of ${counted(count, "moment")}`);
    stage.querySelector(".map-note").replaceChildren(`${counted(count, "moment")}, ${map.method}. Click plays one; a line around several lists their videos. `,
      ...(map.is_stale ? [h("button.link", { type: "button", onclick: compute }, "Most are new: lay it out anew")] : []));
    scatter.resize();
    colour();
    hint();
  }

  function colour() {
    if (!state.map) return;
    const isDark = document.documentElement.dataset.scheme === "dark";
    scatter.paint({ codes: state.columns[state.by], palette: (isDark ? DARK : LIGHT).map(rgb), paper: rgb(colourOf(root, "--card")),
      ink: colourOf(root, "--ink") });
    drawLegend();
  }

  /** Which codes there are, the most frequent first. */
  function groups() {
    const counts = new Map();
    for (const code of state.columns[state.by]) counts.set(code, (counts.get(code) ?? 0) + 1);
    return [...counts].sort(([a, m], [b, n]) => (a < 0) - (b < 0) || n - m);
  }

  function nameOf(code) {
    if (state.by === "cluster") return code < 0 ? "in no group" : `Group ${code + 1}`;
    return code < 0 ? "no label" : state.map.labels[code] ?? "?";
  }

  function drawLegend() {
    legend.replaceChildren(h("h3", state.by === "label" ? "Labels" : "Groups"), h("ul", { role: "list" }, groups().map(([code, count]) =>
      h("li", h("button.legend-item", { type: "button", "aria-pressed": String(state.held === code), onclick: () => hold(state.held === code ? null : code) },
        swatch(code), h("bdi", nameOf(code)), h("span.quiet", count.toLocaleString("en")))))));
  }

  /** Fade all but one group, and list its videos: what a lasso does, by keyboard. */
  function hold(code) {
    state.held = code;
    if (!state.map) return;
    const codes = state.columns[state.by];
    scatter.paint({ faded: code === null ? null : Uint8Array.from(codes, (one) => Number(one !== code)), marked: [] });
    for (const [number, [of]] of groups().entries()) legend.querySelectorAll(".legend-item")[number]?.setAttribute("aria-pressed", String(of === code));
    if (code === null) return hint();
    const members = [];
    codes.forEach((one, index) => { if (one === code) members.push(index); });
    return list(members, nameOf(code), { keepsFade: true });
  }

  function hint() {
    detail.replaceChildren(h("p.quiet", "Click a point to see its moment. Draw a line around some, or take one of the groups below, to label their videos."));
  }

  async function pick(index) {
    scatter.paint({ marked: [index] });
    const [video_id, clip] = [state.columns.videos[index], state.columns.clips[index]];
    await describe(() => getJson("/api/moments", { video_id, clip }), ({ moment }) => [grid([card(moment)], { class: "grid single", "aria-label": "The moment" })]);
  }

  async function list(indices, title, { keepsFade = false } = {}) {
    if (!keepsFade && state.held !== null) hold(null);
    const ids = [...new Set(indices.map((index) => state.columns.videos[index]))];
    if (!keepsFade) scatter.paint({ marked: indices.length <= 2000 ? indices : [] });
    if (!ids.length) return detail.replaceChildren(h("p.quiet", "No point lies inside the line."));
    return describe(() => getJson("/api/videos", { id: ids.slice(0, MOST_SHOWN), top: MOST_SHOWN }), ({ videos }) => {
      const items = ids.map((id) => videos.find((video) => video.video_id === id) ?? { video_id: id, name: `video ${id}` });
      return [h("div.section-title", h("h3", h("bdi", title), h("span.quiet", ` ${counted(ids.length, "video")}`)),
        h("button.link", { type: "button", onclick: () => choose(items) }, "Choose all")),
      labelField(() => items, { onDone: () => {} }),
      grid(videos.map((video) => card(video)), { class: "grid compact", "aria-label": "Videos" }),
      ids.length > videos.length && h("p.quiet", `and ${counted(ids.length - videos.length, "more")}`.replace(/mores$/, "more"))];
    });
  }

  async function describe(ask, draw) {
    detail.setAttribute("aria-busy", "true");
    try {
      detail.replaceChildren(...draw(await ask()).filter(Boolean));
      if (matchMedia("(max-width: 900px)").matches) detail.scrollIntoView({ block: "nearest" });
    } catch (error) {
      detail.replaceChildren(errorState(error, () => describe(ask, draw)));
    }
    detail.removeAttribute("aria-busy");
  }

  const again = () => { if (!root.hidden) show(); };
  facts.addEventListener("change", again);
  connection.addEventListener("back", again);
  document.addEventListener("cocon:scheme", colour);
  document.addEventListener("cocon:labelled", async () => {
    if (!state.map) return;
    state.map = null;
    await show();
  });
  return { show, scatter, toggleLasso: () => lasso.click() };
}

function swatch(code) {
  const shape = code < 0 ? "disc" : SHAPES[Math.trunc(code / NUM_COLOURS) % SHAPES.length];
  const number = code < 0 ? NUM_COLOURS : code % NUM_COLOURS;
  return h("span.swatch", { class: `swatch ${shape}`, "aria-hidden": "true", vars: { "--swatch": `light-dark(${LIGHT[number]}, ${DARK[number]})` } });
}

function colourOf(element, name) {
  const probe = h("i", { hidden: true });
  probe.style.color = `var(${name})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** [r, g, b] of #rrggbb or rgb(r, g, b). */
function rgb(text) {
  if (text.startsWith("#")) return [1, 3, 5].map((from) => parseInt(text.slice(from, from + 2), 16));
  return text.match(/\d+/g).slice(0, 3).map(Number);
}
