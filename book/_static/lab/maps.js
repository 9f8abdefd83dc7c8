// The edges of a picture as a message: Canny's detector (Canny, 1986) with the thresholds of
// semcom_utils.toyworld.maps.canny, and the coder of semcom_utils.semantic.map_coding, to the byte.

const REACH = 4; // pixels on each side that a blur of one pixel's standard deviation takes in
const LOW = Math.fround(0.06), HIGH = 0.16; // gradients: an edge goes on above the one, and needs a pixel above the other

/** A filter along rows or columns. Beyond the border is nothing, or the picture once more, mirrored. */
function along(x, side, down, kernel, mirrored) {
  const reach = kernel.length >> 1, out = new Float64Array(x.length);
  for (let row = 0; row < side; row++)
    for (let column = 0; column < side; column++) {
      let sum = 0;
      for (let k = -reach; k <= reach; k++) {
        let at = (down ? row : column) + k;
        if (at < 0 || at >= side) {
          if (!mirrored) continue;
          at = at < 0 ? -1 - at : 2 * side - 1 - at;
        }
        sum += kernel[k + reach] * x[down ? at * side + column : row * side + at];
      }
      out[row * side + column] = sum;
    }
  return out;
}

function blurred(x, side) {
  const weights = Array.from({ length: 2 * REACH + 1 }, (_, i) => Math.exp(-((i - REACH) ** 2) / 2));
  const all = weights.reduce((a, b) => a + b), kernel = weights.map((w) => w / all);
  const both = (y) => along(along(y, side, true, kernel, false), side, false, kernel, false);
  const share = both(new Float64Array(x.length).fill(1)); // of the blur that lies on the picture
  return both(x).map((value, i) => value / (share[i] + Number.EPSILON));
}

/** Edges of one colour: ridges of the gradient that are somewhere strong. */
function ridges(x, side) {
  const smooth = blurred(x, side), slope = [-1, 0, 1], mean = [1, 2, 1];
  const dx = along(along(smooth, side, false, slope, true), side, true, mean, true);
  const dy = along(along(smooth, side, true, slope, true), side, false, mean, true);
  const steep = dx.map((a, i) => Math.sqrt(dy[i] * dy[i] + a * a)), thin = new Uint8Array(x.length), strong = [];
  for (let row = 1; row < side - 1; row++)
    for (let column = 1; column < side - 1; column++) {
      const i = row * side + column, here = steep[i], across = Math.abs(dx[i]), down = Math.abs(dy[i]);
      if (!(here >= LOW)) continue;
      // A step along the gradient ends between two pixels: one straight on, one at the corner.
      const toX = Math.sign(dx[i]), toY = side * Math.sign(dy[i]), straight = down > across ? toY : toX;
      const share = Math.min(across, down) / Math.max(across, down);
      const beside = (way) => steep[i + way * (toX + toY)] * share + steep[i + way * straight] * (1 - share);
      if (beside(1) > here || beside(-1) > here) continue;
      thin[i] = 1;
      if (here >= HIGH) strong.push(i);
    }
  const edge = new Uint8Array(x.length);
  while (strong.length) {
    const i = strong.pop();
    if (!thin[i] || edge[i]) continue;
    edge[i] = 1;
    for (const by of [-side - 1, -side, -side + 1, -1, 1, side - 1, side, side + 1]) strong.push(i + by);
  }
  return edge;
}

/** Edges of a picture [3, side, side] in [0, 1], those of any colour: 1 or 0 for each pixel. */
export function edgesOf(picture, side) {
  const edge = new Uint8Array(side * side);
  for (let colour = 0; colour < 3; colour++)
    ridges(picture.subarray(colour * edge.length, (colour + 1) * edge.length), side).forEach((on, i) => (edge[i] |= on));
  return edge;
}

/** How a map of edges is shown to the control network, and to the reader: white on black, [3, side, side]. */
export const pictureOf = (edge) => Float32Array.from([...edge, ...edge, ...edge]);

const WORD = 2 ** 32, TOP = 2 ** 24;

/** The range coder: an interval that narrows with each decision; the bytes name a number in the last one. */
class Coder {
  low = 0;
  range = WORD - 1;
  counts = new Map();
  cache = null;
  pending = 0;
  out = [];

  bit(context, bit) {
    if (!this.counts.has(context)) this.counts.set(context, [0.4, 0.4]);
    const seen = this.counts.get(context);
    const bound = Math.min(Math.max(Math.floor(this.range * (seen[0] / (seen[0] + seen[1]))), 1), this.range - 1);
    if (bit) (this.low += bound), (this.range -= bound);
    else this.range = bound;
    seen[bit] += 1;
    if (seen[0] + seen[1] > 250) (seen[0] /= 2), (seen[1] /= 2);
    while (this.range < TOP) {
      this.range = (this.range * 256) % WORD;
      this.shift();
    }
  }

  shift() {
    const carry = this.low >= WORD ? 1 : 0;
    if (carry || this.low < 0xff * TOP) {
      if (this.cache !== null) this.out.push((this.cache + carry) % 256);
      for (; this.pending; this.pending--) this.out.push((0xff + carry) % 256);
      this.cache = Math.floor(this.low / TOP) % 256;
    } else this.pending++; // a carry may come yet
    this.low = (this.low * 256) % WORD;
  }

  /** The bytes; zeros at their end the decoder adds by itself. */
  finish() {
    for (let unit = WORD; unit >= 1; unit /= 256) {
      const number = Math.ceil(this.low / unit) * unit;
      if (number >= this.low + this.range) continue;
      this.low = number;
      break;
    }
    for (let i = 0; i < 5; i++) this.shift();
    while (this.out.at(-1) === 0) this.out.pop();
    return Uint8Array.from(this.out);
  }
}

/** A map of edges without loss: each pixel in the context of six that are known, left and above. */
export function encoded(edge, side) {
  const coder = new Coder();
  let above2 = new Uint8Array(side + 4), above = new Uint8Array(side + 4);
  for (let row = 0; row < side; row++) {
    const line = new Uint8Array(side + 4);
    line[0] = line[1] = above[2]; // left of the picture: what is above its first pixel
    for (let at = 2; at < side + 2; at++) {
      const known = [line[at - 1], above[at], above[at - 1], above[at + 1], line[at - 2], above2[at]];
      line[at] = edge[row * side + at - 2];
      coder.bit(known.join(""), line[at]);
    }
    line[side + 2] = line[side + 3] = line[side + 1];
    [above2, above] = [above, line];
  }
  return coder.finish();
}
