// A part of a video, chosen on its time line: two handles, two fields, and where the hit in hand is like it.

import { clock, h, settled } from "./dom.js";

const STEP_S = 0.1;
const LEAST_S = 0.1;
const NUM_STILLS = 6;

/**
 * The time line of `video` ({duration_seconds, stillAt}); `onchange` gets [start, end] in seconds, or null for all.
 * The element has `show(start, end)` for the part that a hit is like, `hide()`, and `play(seconds)` for the head.
 */
export function timeline(video, range, onchange) {
  const duration = Math.max(video.duration_seconds, LEAST_S);
  const part = range ? [...range] : [0, duration];
  const changed = settled(() => onchange(isWhole() ? null : [...part]), 350);
  const isWhole = () => part[0] <= 0.001 && part[1] >= duration - 0.001;

  const handles = [0, 1].map((which) => handleOf(which));
  const fields = [0, 1].map((which) => fieldOf(which));
  const whole = h("button.link", { type: "button", onclick: () => { put(0, 0, true); put(1, duration, true); } }, "Whole video");
  const match = h("span.line-match", { hidden: true });
  const head = h("span.line-head", { hidden: true });
  const track = h("div.line-track", { onpointerdown: drag },
    h("div.line-strip", { "aria-hidden": "true" }, stillsOf(video, duration)),
    h("span.line-out.before"), h("span.line-out.after"), h("span.line-band"), match, head, handles);
  const element = h("div.line", track,
    h("div.line-fields", h("label", "From", fields[0]), h("label", "to", fields[1]), h("span.unit", "s"), whole));
  draw();

  return Object.assign(element, {
    show(start, end) {
      setSpan(match, start, end);
      match.hidden = false;
      match.title = `The hit is like ${clock(start)} to ${clock(end)}`;
    },
    hide() { match.hidden = true; },
    play(seconds) {
      head.hidden = false;
      head.style.setProperty("--at", String(Math.min(1, seconds / duration)));
    },
  });

  function put(which, seconds, isFinal = false) {
    const bounds = which === 0 ? [0, part[1] - LEAST_S] : [part[0] + LEAST_S, duration];
    part[which] = Math.min(Math.max(rounded(seconds), bounds[0]), Math.max(...bounds));
    if (which === 1 && seconds >= duration) part[1] = duration;
    draw();
    if (isFinal) changed();
  }

  function draw() {
    track.style.setProperty("--from", String(part[0] / duration));
    track.style.setProperty("--to", String(part[1] / duration));
    for (const which of [0, 1]) {
      handles[which].setAttribute("aria-valuenow", rounded(part[which]));
      handles[which].setAttribute("aria-valuetext", clock(part[which]));
      if (document.activeElement !== fields[which]) fields[which].value = rounded(part[which]).toFixed(1);
    }
    whole.hidden = isWhole();
  }

  function handleOf(which) {
    return h("span.line-handle", { role: "slider", tabindex: "0", "aria-label": which ? "End of the part" : "Start of the part",
      "aria-valuemin": "0", "aria-valuemax": rounded(duration), class: `line-handle ${which ? "end" : "start"}`,
      onkeydown: (event) => onKey(event, which) });
  }

  function onKey(event, which) {
    const steps = { ArrowLeft: -STEP_S, ArrowDown: -STEP_S, ArrowRight: STEP_S, ArrowUp: STEP_S, PageDown: -1, PageUp: 1,
      Home: -duration, End: duration };
    if (!(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation();
    put(which, part[which] + steps[event.key], true);
  }

  function fieldOf(which) {
    const field = h("input", { type: "number", min: "0", max: Math.ceil(duration * 10) / 10, step: STEP_S, inputmode: "decimal",
      onchange: () => {
        if (Number.isFinite(field.valueAsNumber)) put(which, field.valueAsNumber, true);
        field.value = rounded(part[which]).toFixed(1);
      } });
    return field;
  }

  function drag(event) {
    const box = track.getBoundingClientRect();
    const secondsAt = (moved) => ((moved.clientX - box.left) / box.width) * duration;
    const pressed = handles.indexOf(event.target);
    const at = secondsAt(event);
    const which = pressed >= 0 ? pressed : Number(Math.abs(at - part[1]) < Math.abs(at - part[0]));
    const onMove = (moved) => put(which, secondsAt(moved));
    event.preventDefault();
    handles[which].focus();
    track.setPointerCapture(event.pointerId);
    track.addEventListener("pointermove", onMove);
    track.addEventListener("lostpointercapture", () => {
      track.removeEventListener("pointermove", onMove);
      changed();
    }, { once: true });
    if (pressed < 0) put(which, at);
  }

  function setSpan(target, start, end) {
    target.style.setProperty("--from", String(start / duration));
    target.style.setProperty("--to", String(Math.min(1, end / duration)));
  }
}

const rounded = (seconds) => Math.round(seconds * 10) / 10;

function stillsOf(video, duration) {
  return Array.from({ length: NUM_STILLS }, (_, number) =>
    h("img", { src: video.stillAt((duration * (number + 0.5)) / NUM_STILLS), alt: "", draggable: "false" }));
}
