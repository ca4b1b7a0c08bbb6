// Moments that play in place: muted, from their second, again and again, while they are seen.
//
// A browser keeps six connections to one server. A long file holds one for as long as it plays, so few are open at
// once, and what has been read to its end gives its place to the next.

import { clock, h, icon, iconButton, kept, spanText } from "./dom.js";
import { whyNot } from "./api.js";

const MOST_OPEN = 4;
const SEEN_SHARE = 0.35;

const prefersStill = matchMedia("(prefers-reduced-motion: reduce)");

/** Whether moments play by themselves; tells "change". */
export const motion = Object.assign(new EventTarget(), {
  plays: kept.get("motion", prefersStill.matches ? "off" : "on") === "on",
  toggle() {
    this.plays = !this.plays;
    kept.set("motion", this.plays ? "on" : "off");
    this.dispatchEvent(new Event("change"));
  },
});

/**
 * A picture that becomes a video: `moment` is {name, media, still, plays, start_seconds, end_seconds}, times in seconds
 * of the file. Where the browser cannot play the file (`plays` is false), `media` is a preview of just that moment.
 */
export function player(moment) {
  const { start_seconds: start = 0, end_seconds: end = 0 } = moment;
  const picture = h("img", { src: moment.still, alt: "", loading: "lazy", decoding: "async" });
  const button = iconButton("play", `Play ${moment.name}`, { class: "quiet-button square play", tabindex: "-1" });
  const frame = h("div.player", { class: "player" }, picture, button,
    h("span.span-chip", end > start ? spanText(start, end) : clock(moment.duration_seconds ?? 0)));
  frame.moment = moment;
  picture.addEventListener("error", () => tell(frame, moment.still), { once: true });
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    toggle(frame);
  });
  for (const kind of ["pointerenter", "focusin"]) frame.addEventListener(kind, () => want(frame, true));
  seen.observe(frame);
  return frame;
}

/** Play what stands still, stop what plays. */
export function toggle(frame) {
  if (frame.video && !frame.video.paused) {
    frame.isHeld = true;
    frame.video.pause();
    show(frame);
  } else {
    frame.isHeld = false;
    if (frame.video) frame.video.play().catch(() => {});
    else open(frame);
  }
}

const waiting = new Set();
const busy = new Set(); // which still read their file

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting && target.isConnected) want(target, false);
    else close(target);
  }
}, { threshold: SEEN_SHARE });

motion.addEventListener("change", () => {
  for (const frame of document.querySelectorAll(".player")) {
    frame.isHeld = false;
    if (!motion.plays) close(frame);
    else if (isOnScreen(frame)) want(frame, false);
  }
});

function isOnScreen(frame) {
  const box = frame.getBoundingClientRect();
  return box.width > 0 && box.bottom > 0 && box.top < innerHeight;
}

function want(frame, isNow) {
  if (frame.video || frame.isHeld || frame.failed || !frame.moment || !(motion.plays || isNow)) return;
  if (busy.size < MOST_OPEN || isNow) open(frame);
  else waiting.add(frame);
}

function open(frame) {
  const { media, plays, start_seconds: start = 0 } = frame.moment;
  waiting.delete(frame);
  busy.add(frame);
  const video = h("video", { playsinline: true, preload: "auto", "aria-hidden": "true", tabindex: "-1" });
  video.muted = true;
  video.loop = plays === false || start === 0; // or else the end of the file would show its beginning
  frame.video = video;
  if (plays !== false && start > 0) video.addEventListener("loadedmetadata", () => { video.currentTime = start; }, { once: true });
  for (const kind of ["playing", "pause"]) video.addEventListener(kind, () => show(frame));
  for (const kind of ["progress", "suspend", "canplaythrough"]) video.addEventListener(kind, () => release(frame));
  video.addEventListener("error", () => tell(frame, media));
  video.addEventListener("ended", () => {
    video.currentTime = frame.moment.start_seconds ?? 0;
    video.play().catch(() => {});
  });
  loop(frame, video);
  frame.querySelector("img").after(video);
  video.src = media;
  video.play().catch(() => {});
}

/** Back to the first picture of the moment after its last; the moment may change while it plays. */
function loop(frame, video) {
  const turn = () => {
    const { plays, start_seconds: start = 0, end_seconds: end = 0, media_begins_seconds: begins = 0 } = frame.moment;
    if (plays !== false && end > start && (video.currentTime >= end || video.currentTime < start - 0.2)) video.currentTime = start;
    frame.onplayhead?.(video.currentTime + begins);
  };
  if (!video.requestVideoFrameCallback) return video.addEventListener("timeupdate", turn);
  const onFrame = () => {
    turn();
    if (video.isConnected) video.requestVideoFrameCallback(onFrame);
  };
  return video.requestVideoFrameCallback(onFrame);
}

function close(frame) {
  waiting.delete(frame);
  busy.delete(frame);
  if (frame.video) {
    frame.video.pause();
    frame.video.removeAttribute("src");
    frame.video.load();
    frame.video.remove();
    frame.video = null;
  }
  show(frame);
  openNext();
}

/** Its place is free once all of it has been read. */
function release(frame) {
  const { video } = frame;
  if (!video || !video.buffered.length || video.buffered.end(video.buffered.length - 1) < video.duration - 0.2) return;
  if (busy.delete(frame)) openNext();
}

function openNext() {
  for (const frame of waiting) {
    if (busy.size >= MOST_OPEN) return;
    if (frame.isConnected) open(frame);
    else waiting.delete(frame);
  }
}

function show(frame) {
  const isPlaying = Boolean(frame.video && !frame.video.paused);
  frame.classList.toggle("is-playing", isPlaying);
  const button = frame.querySelector(".play");
  button.setAttribute("aria-label", `${isPlaying ? "Stop" : "Play"} ${frame.moment.name}`);
  button.replaceChildren(icon(isPlaying ? "pause" : "play"));
}

async function tell(frame, address) {
  if (frame.failed) return;
  frame.failed = true;
  close(frame);
  const reason = await whyNot(address);
  frame.querySelector("img").hidden = true;
  frame.append(h("p.player-note", icon("broken"), h("span", reason)));
}
