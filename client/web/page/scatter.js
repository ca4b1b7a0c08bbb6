// A hundred thousand points on a canvas: to move, to come nearer, to point at, and to draw a line around.
//
// Points are written into the pixels of one picture, each as a small stamp of its shape, so that a frame takes
// milliseconds without a graphics card.

import { blit, isWithin, packed, SHAPES, stamp } from "./stamps.js";

const MARGIN = 0.92;
const MOST_ZOOM = 400;
const REACH_PX = 14;
const STEP_PX = 60;
const CLICK_PX = 5;
const OUTLINED_POINTS = 5000;

export class Scatter {
  /**
   * @param canvas Its element, sized by CSS.
   * @param onpick (index) when a point is meant.
   * @param onlasso (indices) when a line is drawn around points.
   */
  constructor(canvas, { onpick, onlasso }) {
    Object.assign(this, { canvas, onpick, onlasso, x: new Float32Array(0), y: new Float32Array(0), codes: new Int16Array(0), palette: [],
      paper: [255, 255, 255], ink: "#000", faded: null, marked: [], isLasso: false, line: null, pointers: new Map(), isKeyboard: false });
    this.context = canvas.getContext("2d", { alpha: false });
    this.fit();
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => this.#lift(event));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    for (const kind of ["focus", "blur"]) canvas.addEventListener(kind, () => {
      this.isKeyboard = canvas.matches(":focus-visible");
      this.draw();
    });
  }

  /** Points anew: float32 [M] each, of any scale. */
  setPoints(x, y) {
    const [left, right] = extent(x);
    const [bottom, top] = extent(y);
    const half = Math.max(right - left, top - bottom) / 2 || 1;
    this.x = x.map((value) => (value - (left + right) / 2) / half);
    this.y = y.map((value) => (value - (bottom + top) / 2) / half);
    this.codes = new Int16Array(x.length);
    this.faded = null;
    this.fit();
  }

  /** How they look: a code each, colours as [r, g, b], 1 where faded or null, and which have a ring. */
  paint({ codes = this.codes, palette = this.palette, paper = this.paper, ink = this.ink, faded = this.faded, marked = this.marked }) {
    Object.assign(this, { codes, palette, paper, ink, faded, marked });
    this.draw();
  }

  fit() {
    Object.assign(this, { zoom: 1, panX: 0, panY: 0 });
    this.draw();
  }

  zoomBy(factor, atX = this.canvas.clientWidth / 2, atY = this.canvas.clientHeight / 2) {
    const zoom = Math.min(MOST_ZOOM, Math.max(0.5, this.zoom * factor));
    const [dx, dy] = [atX - this.canvas.clientWidth / 2, atY - this.canvas.clientHeight / 2];
    this.panX = dx - ((dx - this.panX) * zoom) / this.zoom;
    this.panY = dy - ((dy - this.panY) * zoom) / this.zoom;
    this.zoom = zoom;
    this.draw();
  }

  resize() {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const [width, height] = [Math.round(this.canvas.clientWidth * ratio), Math.round(this.canvas.clientHeight * ratio)];
    if (!width || !height || (this.picture?.width === width && this.picture?.height === height)) return;
    Object.assign(this.canvas, { width, height });
    this.ratio = ratio;
    this.picture = this.context.createImageData(width, height);
    this.pixels = new Uint32Array(this.picture.data.buffer);
    this.#drawNow();
  }

  /** Soon, once a frame. */
  draw() {
    if (this.isDrawing) return;
    this.isDrawing = true;
    requestAnimationFrame(() => {
      this.isDrawing = false;
      this.#drawNow();
    });
  }

  /** Where a point is, in CSS pixels of the canvas. */
  placeOf(index) {
    const { scale, left, top } = this.#view();
    return [left + this.x[index] * scale, top - this.y[index] * scale];
  }

  /** The point next to a place, or -1 if none is near. */
  nearest(atX, atY, reach = REACH_PX) {
    const { scale, left, top } = this.#view();
    let [found, best] = [-1, reach * reach];
    for (let index = 0; index < this.x.length; index += 1) {
      const dx = left + this.x[index] * scale - atX;
      const dy = top - this.y[index] * scale - atY;
      const square = dx * dx + dy * dy;
      if (square < best) [found, best] = [index, square];
    }
    return found;
  }

  /** The points within a line, which is [[x, y], ...] in CSS pixels. */
  within(line) {
    const { scale, left, top } = this.#view();
    const [xs, ys] = [line.map(([x]) => x), line.map(([, y]) => y)];
    const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const found = [];
    for (let index = 0; index < this.x.length; index += 1) {
      const x = left + this.x[index] * scale;
      const y = top - this.y[index] * scale;
      if (x >= x0 && x <= x1 && y >= y0 && y <= y1 && isWithin(x, y, xs, ys)) found.push(index);
    }
    return found;
  }

  #view() {
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    return { scale: (Math.min(width, height) / 2) * MARGIN * this.zoom, left: width / 2 + this.panX, top: height / 2 + this.panY };
  }

  #drawNow() {
    if (!this.picture) return;
    const ratio = this.ratio;
    const radius = this.#radius() * ratio;
    const paper = packed(this.paper);
    this.pixels.fill(paper);
    const stamps = SHAPES.map((shape) => stamp(shape, radius));
    const grounds = this.x.length <= OUTLINED_POINTS ? SHAPES.map((shape) => stamp(shape, radius + ratio)) : null;
    if (this.faded) this.#stampAll(stamps, null, 1);
    this.#stampAll(stamps, grounds, 0);
    this.context.putImageData(this.picture, 0, 0);
    this.#drawLines(radius);
  }

  #radius() {
    const area = this.canvas.clientWidth * this.canvas.clientHeight;
    const free = 0.28 * Math.sqrt(area / Math.max(1, this.x.length)) * Math.sqrt(this.zoom);
    return Math.min(6, Math.max(1.3, free));
  }

  /** The points that are faded (1), or those that are not (0). */
  #stampAll(stamps, grounds, which) {
    const { x, y, codes, faded, ratio, palette, picture: { width, height }, pixels } = this;
    const { scale, left, top } = this.#view();
    const [k, ox, oy] = [scale * ratio, left * ratio, top * ratio];
    const numColours = palette.length - 1;
    const grey = palette[numColours];
    const paper = this.paper;
    for (let index = 0; index < x.length; index += 1) {
      if ((faded ? faded[index] : 0) !== which) continue;
      const code = codes[index];
      const shape = code < 0 ? 0 : Math.trunc(code / numColours) % stamps.length;
      const colour = which || code < 0 ? grey : palette[code % numColours];
      const column = Math.round(ox + x[index] * k);
      const row = Math.round(oy - y[index] * k);
      if (column < -20 || row < -20 || column > width + 20 || row > height + 20) continue;
      if (grounds) blit(pixels, width, height, grounds[shape], column, row, paper);
      blit(pixels, width, height, stamps[shape], column, row, colour);
    }
  }

  /** Rings around what is marked, the line that is drawn, and the cross of the keyboard. */
  #drawLines(radius) {
    const { context, ratio } = this;
    Object.assign(context, { strokeStyle: this.ink, fillStyle: this.ink, lineWidth: 2 * ratio, lineJoin: "round" });
    for (const index of this.marked) {
      const [x, y] = this.placeOf(index);
      context.beginPath();
      context.arc(x * ratio, y * ratio, radius + 3 * ratio, 0, 2 * Math.PI);
      context.stroke();
    }
    if (this.line) {
      context.beginPath();
      for (const [x, y] of this.line) context.lineTo(x * ratio, y * ratio);
      context.closePath();
      context.setLineDash([6 * ratio, 4 * ratio]);
      context.stroke();
      context.setLineDash([]);
      context.globalAlpha = 0.08;
      context.fill();
      context.globalAlpha = 1;
    }
    if (!this.isKeyboard) return;
    const [x, y] = [this.canvas.width / 2, this.canvas.height / 2];
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + dx * 6 * ratio, y + dy * 6 * ratio);
      context.lineTo(x + dx * 16 * ratio, y + dy * 16 * ratio);
    }
    context.stroke();
  }

  #press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.isKeyboard = false;
    this.pointers.set(event.pointerId, at(event));
    if (this.pointers.size === 1) {
      this.begun = at(event);
      this.hasMoved = false;
      if ((this.isLasso || event.shiftKey) && event.button === 0) this.line = [at(event)];
    } else {
      this.line = null;
      this.hasMoved = true;
    }
  }

  #move(event) {
    const before = this.pointers.get(event.pointerId);
    const now = at(event);
    if (!before) {
      this.canvas.classList.toggle("is-over-point", !this.isLasso && this.nearest(...now) >= 0);
      return;
    }
    if (Math.hypot(now[0] - this.begun[0], now[1] - this.begun[1]) > CLICK_PX) this.hasMoved = true;
    if (this.line) this.line.push(now);
    else if (this.pointers.size === 2) this.#pinch(event.pointerId, before, now);
    else {
      this.panX += now[0] - before[0];
      this.panY += now[1] - before[1];
    }
    this.pointers.set(event.pointerId, now);
    this.draw();
  }

  #pinch(moved, before, now) {
    const [, other] = [...this.pointers].find(([id]) => id !== moved);
    const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
    this.panX += (now[0] - before[0]) / 2;
    this.panY += (now[1] - before[1]) / 2;
    this.zoomBy(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }

  #lift(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    const line = this.line;
    this.line = null;
    if (event.type === "pointerup" && !this.pointers.size) {
      if (line && this.hasMoved && line.length > 2) this.onlasso(this.within(line));
      else if (!this.hasMoved) this.#pick(...at(event), event.pointerType === "mouse" ? REACH_PX : 2 * REACH_PX);
    }
    this.draw();
  }

  #pick(x, y, reach) {
    const index = this.nearest(x, y, reach);
    if (index >= 0) this.onpick(index);
  }

  #wheel(event) {
    event.preventDefault();
    this.zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), ...at(event));
  }

  #key(event) {
    const moves = { ArrowLeft: [STEP_PX, 0], ArrowRight: [-STEP_PX, 0], ArrowUp: [0, STEP_PX], ArrowDown: [0, -STEP_PX] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) {
      this.panX += moves[event.key][0];
      this.panY += moves[event.key][1];
    } else if (event.key === "+" || event.key === "=") this.zoomBy(1.4);
    else if (event.key === "-") this.zoomBy(1 / 1.4);
    else if (event.key === "0") this.fit();
    else if (event.key === "Enter" || event.key === " ") this.#pick(this.canvas.clientWidth / 2, this.canvas.clientHeight / 2, Infinity);
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.isKeyboard = true;
    this.draw();
  }
}

const at = (event) => [event.offsetX, event.offsetY];

function extent(values) {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return values.length ? [least, most] : [0, 0];
}
