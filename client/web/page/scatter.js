// A hundred thousand points on a canvas: to move, to come nearer, to point at, and to draw a line around.

import { PointPainter } from "./painting.js";

const MARGIN = 0.92;
const MOST_ZOOM = 400;
const REACH_PX = 14;
const STEP_PX = 60;
const CLICK_PX = 5;
const REST_MS = 180;

export class Scatter {
  /**
   * @param canvas Its element, sized by CSS.
   * @param onpick (index) when a point is meant.
   * @param onlasso (indices) when a line is drawn around points.
   */
  constructor(canvas, { onpick, onlasso }) {
    Object.assign(this, { canvas, painter: new PointPainter(canvas), onpick, onlasso, x: new Float32Array(0), y: new Float32Array(0), codes: new Int16Array(0), palette: [],
      paper: [255, 255, 255], ink: "#000", faded: null, marked: [], isLasso: false, isMoving: false, line: null, pointers: new Map(), isKeyboard: false });
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
    this.#moved();
  }

  resize() {
    this.painter.resize();
    this.#drawNow();
  }

  /** Move on, and be sharp again soon after. */
  #moved() {
    this.isMoving = true;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      this.isMoving = false;
      this.draw();
    }, REST_MS);
    this.draw();
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
    if (!this.palette.length) return;
    this.painter.paint(this, this, this.#view(), { radius: this.#radius(), isCoarse: this.isMoving, line: this.line, hasCross: this.isKeyboard });
  }

  #radius() {
    const area = this.canvas.clientWidth * this.canvas.clientHeight;
    const free = 0.28 * Math.sqrt(area / Math.max(1, this.x.length)) * Math.sqrt(this.zoom);
    return Math.min(6, Math.max(1.3, free));
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
    this.#moved();
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
    this.#moved();
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

/** Whether a place is within a closed line: a ray from it crosses the line an odd number of times. */
function isWithin(x, y, xs, ys) {
  let inside = false;
  for (let now = 0, before = xs.length - 1; now < xs.length; before = now, now += 1) {
    if (ys[now] > y !== ys[before] > y && x < ((xs[before] - xs[now]) * (y - ys[now])) / (ys[before] - ys[now]) + xs[now]) inside = !inside;
  }
  return inside;
}
