// What is searched with: a file that is dropped or picked, or a video of the index, and the part of it that counts.

import { facts } from "./api.js";
import { clock, h, icon, iconButton } from "./dom.js";
import { player } from "./player.js";
import { timeline } from "./timeline.js";

const MOST_PREVIEW_S = 20; // as the server makes them

/** Where the files of a query are: {video_id} or {upload_id}. */
function addressOf(query) {
  return query.upload_id !== undefined ? `/media/uploads/${encodeURIComponent(query.upload_id)}` : `/media/videos/${query.video_id}`;
}

/** A query as the server takes it. */
export function asked(query) {
  const { video_id, upload_id, range } = query;
  const part = range ? { start_seconds: range[0], end_seconds: range[1] } : {};
  return upload_id !== undefined ? { upload_id, ...part } : { video_id, ...part };
}

/**
 * The query, playing, with its time line. `shown` is what the server says of it: name, duration_seconds, media, ...
 * Calls `onrange` with [start, end] or null and `onclear`. The element has the `line` of its time.
 */
export function queryCard(query, shown, { onrange, onclear }) {
  const address = addressOf(query);
  const momentOf = (range) => {
    const [start, end] = range ?? [0, shown.duration_seconds];
    const shownEnd = Math.min(end, start + MOST_PREVIEW_S);
    const media = shown.plays === false ? `${address}?preview=${start.toFixed(3)}-${shownEnd.toFixed(3)}` : shown.media;
    return { ...shown, media, media_begins_seconds: shown.plays === false ? start : 0, start_seconds: start, end_seconds: end };
  };
  const video = { duration_seconds: shown.duration_seconds, stillAt: (at) => `${address}/still?at=${at.toFixed(2)}&px=160` };
  const line = timeline(video, query.range, (range) => {
    if (shown.plays === false) replacePlayer(momentOf(range));
    else frame.moment = momentOf(range);
    onrange(range);
  });
  let frame = framed(momentOf(query.range), line);
  const replacePlayer = (moment) => {
    const next = framed(moment, line);
    frame.replaceWith(next);
    frame = next;
  };
  const element = h("div.query", frame,
    h("div.query-title", h("bdi.name", { title: shown.name }, shown.name), h("span.quiet", clock(shown.duration_seconds)),
      iconButton("close", "Search with something else", { onclick: onclear })), line);
  return Object.assign(element, { line });
}

function framed(moment, line) {
  const frame = player(moment);
  frame.classList.add("large");
  frame.querySelector(".span-chip")?.remove();
  frame.onplayhead = (seconds) => line.play(seconds);
  return frame;
}

/** The query while the server reads it, with its picture if this browser can show it. */
export function readingCard(file) {
  const address = URL.createObjectURL(file);
  const video = h("video", { playsinline: true, "aria-hidden": "true" });
  Object.assign(video, { muted: true, loop: true, src: address });
  video.addEventListener("error", () => video.remove());
  return Object.assign(h("div.query.is-reading", h("div.player.large", video), h("div.query-title", h("bdi.name", file.name)),
    h("p.quiet", { role: "status" }, h("span.spinner"), "Looking for moments like this…")), { done: () => URL.revokeObjectURL(address) });
}

/** Where a video is dropped or chosen. */
export function dropZone(onfile) {
  const limits = facts.value?.limits;
  const most = limits ? `Up to ${clock(limits.max_upload_seconds)} and ${Math.round(limits.max_upload_bytes / 2 ** 20)} MiB. ` : "";
  return h("div.drop", icon("upload"),
    h("h2", "Find moments like this one"),
    h("p", "Drop a video here, or choose a file. ", h("span.quiet", `${most}It stays on this machine.`)),
    fileButton(onfile, "Choose a video"));
}

/** A button that opens the system's dialog for files. */
export function fileButton(onfile, text) {
  const field = h("input", { type: "file", accept: "video/*,.mkv,.ts,.avi,.mts,.m2ts", hidden: true, tabindex: "-1" });
  field.addEventListener("change", () => {
    if (field.files.length) onfile(field.files[0]);
    field.value = "";
  });
  return h("span", field, h("button.primary.upload", { type: "button", onclick: () => field.click() }, text));
}

/** Take files that are dropped anywhere on the page. */
export function startDropping(veil, onfile) {
  const hasFile = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0;
  const show = (isOver) => { veil.hidden = !isOver; };
  addEventListener("dragenter", (event) => { if (hasFile(event)) show((depth += 1) > 0); });
  addEventListener("dragleave", (event) => { if (hasFile(event)) show((depth -= 1) > 0); });
  addEventListener("dragover", (event) => { if (hasFile(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    if (event.dataTransfer.files.length) onfile(event.dataTransfer.files[0]);
  });
}
