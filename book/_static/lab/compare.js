// How alike two pictures are, and what the judge says of one: skimage's structural_similarity with its defaults, and
// semcom_utils.generation.judging.

/** Structural similarity of two pictures [3, side, side] in [0, 1]: windows of 7 by 7, mean over the colours. */
export function ssim(one, other, side) {
  const width = 7, count = width * width, unbiased = count / (count - 1), c1 = 0.01 ** 2, c2 = 0.03 ** 2;
  const places = side - width + 1, plane = side * side;
  let sum = 0;
  for (let colour = 0; colour < 3; colour++)
    for (let row = 0; row < places; row++)
      for (let column = 0; column < places; column++) {
        let x = 0, y = 0, xx = 0, yy = 0, xy = 0;
        for (let i = 0; i < width; i++)
          for (let j = 0; j < width; j++) {
            const at = colour * plane + (row + i) * side + column + j, a = one[at], b = other[at];
            x += a, y += b, xx += a * a, yy += b * b, xy += a * b;
          }
        (x /= count), (y /= count);
        const vx = unbiased * (xx / count - x * x), vy = unbiased * (yy / count - y * y);
        const vxy = unbiased * (xy / count - x * y);
        sum += ((2 * x * y + c1) * (2 * vxy + c2)) / ((x * x + y * y + c1) * (vx + vy + c2));
      }
  return sum / (3 * places * places);
}

/** A picture as the detector takes it: in bytes, as any file has it, and then about zero. */
export function pixels(picture, { mean, spread }) {
  const plane = picture.length / 3;
  const even = (x) => (x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)); // NumPy's round
  return picture.map((x, i) => {
    const colour = Math.floor(i / plane);
    return (even(255 * x) / 255 - mean[colour]) / spread[colour];
  });
}

function overlap(a, b) {
  const across = Math.max(Math.min(a[2], b[2]) - Math.max(a[0], b[0]), 0);
  const down = Math.max(Math.min(a[3], b[3]) - Math.max(a[1], b[1]), 0);
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]), both = across * down;
  return both / (area(a) + area(b) - both);
}

/** What is on a picture: of several claims on one thing (boxes that overlap by `same`) the surest counts. */
export function thingsOf(scores, boxes, { labels, threshold, same }) {
  const classes = labels.length + 1, claims = []; // the last class is "nothing"
  for (let i = 0; i * 4 < boxes.length; i++) {
    const row = scores.subarray(i * classes, (i + 1) * classes - 1);
    const best = row.reduce((at, score, k) => (score > row[at] ? k : at), 0);
    if (row[best] <= threshold) continue;
    const [x, y, w, h] = boxes.subarray(4 * i, 4 * i + 4);
    claims.push({ label: labels[best], score: row[best], box: [x - w / 2, y - h / 2, x + w / 2, y + h / 2] });
  }
  const kept = [];
  for (const claim of claims.sort((a, b) => b.score - a.score))
    if (kept.every((other) => overlap(claim.box, other.box) < same)) kept.push(claim);
  return kept;
}

/** Right: just the things that were asked for, as often as they were, in any order and anywhere. */
export const isRight = (found, asked) => JSON.stringify([...found].sort()) === JSON.stringify([...asked].sort());
