// Points as pixels: each is a small stamp of its shape in one picture, so that a hundred thousand take milliseconds
// without a graphics card.

/** Shapes a colour comes in; a code is colour + shape × number of colours. */
export const SHAPES = ["disc", "square", "diamond"];

const OUTLINED_POINTS = 5000;
const EDGE_PX = 24; // of the picture around what is seen: stamps need not be cut

/** Paints points on a canvas, which CSS sizes. */
export class PointPainter {
  constructor(canvas) {
    Object.assign(this, { canvas, pictures: new Map(), context: canvas.getContext("2d", { alpha: false }) });
  }

  /** The canvas has another size. */
  resize() {
    this.pictures = new Map();
  }

  /**
   * @param points {x, y, codes} arrays; a code is of SHAPES and colours, or -1
   * @param look {palette, paper, ink, faded, marked}: colours as [r, g, b], the last for codes of -1 and what is faded
   * @param view {scale, left, top} in CSS pixels: where points are
   * @param over {radius, isCoarse, line, hasCross}: in CSS pixels; coarse while it moves, so that a frame takes as long on
   *   every screen; a line that is drawn around points, and the cross of the keyboard
   */
  paint(points, look, view, { radius, isCoarse, line, hasCross }) {
    const picture = this.#picture(isCoarse ? 1 : Math.min(2, devicePixelRatio || 1));
    if (!picture) return;
    const { ratio, pixels, image } = picture;
    const size = Math.min(EDGE_PX - 2, radius * ratio);
    const stampsOf = (reach) => SHAPES.map((shape) => stamp(shape, reach, image.width));
    const grounds = points.x.length <= OUTLINED_POINTS ? stampsOf(size + ratio) : null;
    pixels.fill(packed(look.paper));
    if (look.faded) stampAll(picture, points, look, view, { stamps: stampsOf(size), grounds: null, which: 1 });
    stampAll(picture, points, look, view, { stamps: stampsOf(size), grounds, which: 0 });
    this.context.putImageData(image, -EDGE_PX, -EDGE_PX);
    Object.assign(this.context, { strokeStyle: look.ink, fillStyle: look.ink, lineWidth: 2 * ratio, lineJoin: "round" });
    for (const index of look.marked) this.#ring(view.left + points.x[index] * view.scale, view.top - points.y[index] * view.scale, size, ratio);
    if (line) this.#outline(line, ratio);
    if (hasCross) this.#cross(ratio);
  }

  #picture(ratio) {
    const [width, height] = [Math.round(this.canvas.clientWidth * ratio), Math.round(this.canvas.clientHeight * ratio)];
    if (!width || !height) return null;
    if (!this.pictures.has(ratio)) {
      const image = this.context.createImageData(width + 2 * EDGE_PX, height + 2 * EDGE_PX);
      this.pictures.set(ratio, { ratio, image, pixels: new Uint32Array(image.data.buffer) });
    }
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    return this.pictures.get(ratio);
  }

  #ring(x, y, size, ratio) {
    this.context.beginPath();
    this.context.arc(x * ratio, y * ratio, size + 3 * ratio, 0, 2 * Math.PI);
    this.context.stroke();
  }

  #outline(line, ratio) {
    const { context } = this;
    context.beginPath();
    for (const [x, y] of line) context.lineTo(x * ratio, y * ratio);
    context.closePath();
    context.setLineDash([6 * ratio, 4 * ratio]);
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 0.08;
    context.fill();
    context.globalAlpha = 1;
  }

  #cross(ratio) {
    const [x, y] = [this.canvas.width / 2, this.canvas.height / 2];
    this.context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      this.context.moveTo(x + dx * 6 * ratio, y + dy * 6 * ratio);
      this.context.lineTo(x + dx * 16 * ratio, y + dy * 16 * ratio);
    }
    this.context.stroke();
  }
}

/** The points that are faded (1), or those that are not (0). */
function stampAll({ ratio, image, pixels }, { x, y, codes }, { palette, paper, faded }, { scale, left, top }, { stamps, grounds, which }) {
  const [k, ox, oy] = [scale * ratio, left * ratio + EDGE_PX, top * ratio + EDGE_PX];
  const colours = palette.map(packed);
  const grey = colours.pop();
  const ground = packed(paper);
  const least = (grounds ?? stamps)[0].reach;
  const [right, bottom] = [image.width - least, image.height - least];
  for (let index = 0; index < x.length; index += 1) {
    if (faded && faded[index] !== which) continue;
    const column = Math.round(ox + x[index] * k);
    const row = Math.round(oy - y[index] * k);
    if (column < least || row < least || column >= right || row >= bottom) continue;
    const code = codes[index];
    const shape = code < 0 ? 0 : Math.trunc(code / colours.length) % stamps.length;
    const middle = row * image.width + column;
    if (grounds) blit(pixels, grounds[shape], middle, ground);
    blit(pixels, stamps[shape], middle, which || code < 0 ? grey : colours[code % colours.length]);
  }
}

/** A colour [r, g, b] as a pixel. */
const packed = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

/**
 * What a shape covers around its middle, in a picture of a width: {offsets int32 [n], shares uint16 [n]}, of 256.
 * A stamp must lie within the picture; `reach` is how far it goes to each side.
 */
function stamp(shape, radius, width) {
  const reach = Math.ceil(radius + 0.5);
  const [offsets, shares] = [[], []];
  for (let row = -reach; row <= reach; row += 1) {
    for (let column = -reach; column <= reach; column += 1) {
      const share = Math.round(256 * Math.min(1, Math.max(0, radius - distance(shape, column, row) + 0.5)));
      if (share) {
        offsets.push(row * width + column);
        shares.push(share);
      }
    }
  }
  return { reach, offsets: Int32Array.from(offsets), shares: Uint16Array.from(shares) };
}

function distance(shape, x, y) {
  if (shape === "square") return Math.max(Math.abs(x), Math.abs(y)) * 1.13;
  return shape === "diamond" ? (Math.abs(x) + Math.abs(y)) * 0.8 : Math.hypot(x, y);
}

/** Put a stamp on pixels, its middle at one of them, in a packed colour; what it covers by half is mixed. */
function blit(pixels, { offsets, shares }, middle, colour) {
  const [redBlue, green] = [colour & 0xff00ff, colour & 0xff00];
  for (let index = 0; index < offsets.length; index += 1) {
    const share = shares[index];
    const place = middle + offsets[index];
    if (share === 256) pixels[place] = colour;
    else {
      const old = pixels[place];
      const rest = 256 - share;
      const mixed = ((((old & 0xff00ff) * rest + redBlue * share) >>> 8) & 0xff00ff) | ((((old & 0xff00) * rest + green * share) >>> 8) & 0xff00);
      pixels[place] = (0xff000000 | mixed) >>> 0;
    }
  }
}
