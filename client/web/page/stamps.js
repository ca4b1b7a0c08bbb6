// Shapes as pixels: points are stamped into a picture, and lines are asked what they hold.

/** Shapes a colour comes in; a code is colour + shape × number of colours. */
export const SHAPES = ["disc", "square", "diamond"];

/** Whether a place is within a closed line: a ray from it crosses the line an odd number of times. */
export function isWithin(x, y, xs, ys) {
  let inside = false;
  for (let now = 0, before = xs.length - 1; now < xs.length; before = now, now += 1) {
    if (ys[now] > y !== ys[before] > y && x < ((xs[before] - xs[now]) * (y - ys[now])) / (ys[before] - ys[now]) + xs[now]) inside = !inside;
  }
  return inside;
}

/** A colour [r, g, b] as a pixel. */
export const packed = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

/** How much of each pixel a shape covers: {size, shares} of uint8 [size × size], 0 to 255. */
export function stamp(shape, radius) {
  const reach = Math.ceil(radius + 0.5);
  const size = 2 * reach + 1;
  const shares = new Uint8Array(size * size);
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      shares[row * size + column] = Math.round(255 * Math.min(1, Math.max(0, radius - distance(shape, column - reach, row - reach) + 0.5)));
    }
  }
  return { size, reach, shares };
}

function distance(shape, x, y) {
  if (shape === "square") return Math.max(Math.abs(x), Math.abs(y)) * 1.13;
  return shape === "diamond" ? (Math.abs(x) + Math.abs(y)) * 0.8 : Math.hypot(x, y);
}

/** Put a stamp on a picture, its middle at a pixel, in a colour; what it covers by half is mixed. */
export function blit(pixels, width, height, { size, reach, shares }, column, row, colour) {
  const full = packed(colour);
  const [red, green, blue] = colour;
  const [left, top] = [column - reach, row - reach];
  const [from, to] = [Math.max(0, -left), Math.min(size, width - left)];
  for (let y = Math.max(0, -top); y < Math.min(size, height - top); y += 1) {
    const line = (top + y) * width + left;
    for (let x = from; x < to; x += 1) {
      const share = shares[y * size + x];
      if (share === 255) pixels[line + x] = full;
      else if (share) {
        const old = pixels[line + x];
        const mix = (next, shift) => { const was = (old >>> shift) & 255; return (was + (((next - was) * share) >> 8)) & 255; };
        pixels[line + x] = ((255 << 24) | (mix(blue, 16) << 16) | (mix(green, 8) << 8) | mix(red, 0)) >>> 0;
      }
    }
  }
}
