// The lab's own chance: normal numbers that depend on a seed and a stream, and on nothing else.
//
// Generator: xoshiro128** (Blackman and Vigna, 2018), whose four words of state are filled by splitmix32 from
// seed * 2654435761 + stream. Two of its words make a uniform number of 53 bits, two of these a pair of normal ones by
// the Box-Muller transform. The book's test has the same in Python, tests/test_lab.py, and feeds both with it.

/** What each stream of a seed is for: two draws for different ends never share their numbers. */
export const STREAMS = { sender: 0, channel: 1, steps: 2, receiver: 3 };

function splitmix32(start) {
  let state = start >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return (x ^ (x >>> 15)) >>> 0;
  };
}

function xoshiro128(seed, stream) {
  const fill = splitmix32((Math.imul(seed >>> 0, 2654435761) + stream) >>> 0);
  const s = [fill(), fill(), fill(), fill()];
  const turn = (x, k) => ((x << k) | (x >>> (32 - k))) >>> 0;
  return () => {
    const result = Math.imul(turn(Math.imul(s[1], 5) >>> 0, 7), 9) >>> 0;
    const t = (s[1] << 9) >>> 0;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = turn(s[3] >>> 0, 11);
    return result;
  };
}

/** A function that draws the next `count` normal numbers of a stream, as a Float32Array. */
export function normals(seed, stream) {
  const word = xoshiro128(seed, stream);
  const uniform = () => ((word() >>> 5) * 67108864 + (word() >>> 6)) / 9007199254740992;
  return (count) => {
    const numbers = new Float32Array(count);
    for (let i = 0; i < count; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(1 - uniform())), angle = 2 * Math.PI * uniform();
      numbers[i] = radius * Math.cos(angle);
      if (i + 1 < count) numbers[i + 1] = radius * Math.sin(angle);
    }
    return numbers;
  };
}
