// Draws, away from the page, which so stays awake. Messages in: {ask: "load"}, {ask: "draw", settings}, {ask: "stop"}.
// Out: {tell: "loading" | "loaded" | "step" | "drawn" | "stopped" | "failed", ...}.

import { isRight, pixels, ssim, thingsOf } from "./compare.js";
import { edgesOf, encoded, pictureOf } from "./maps.js";
import { normals, STREAMS } from "./noise.js";
import { analog, coded, epsilonOfV, guide, levelAt, matchedTimestep, receive, sendStates, timesteps, usesAtCapacity } from "./split.js";
import { labelsOf, plain } from "./words.js";

let models, stopped = false, kept = { key: "" };

class Stopped extends Error {}

/** Let a message in: without it a stop would wait for the end. */
const breathe = () => new Promise((resolve) => setTimeout(resolve));

async function draw(settings) {
  const { about, side } = models, { alpha_bar: levels, guidance } = about;
  const caption = plain(settings.caption), { seed, steps, scheme, snr } = settings;
  const size = about.shape.reduce((a, b) => a * b), visited = timesteps(levels.length, steps);
  const split = scheme.startsWith("split") ? settings.split : 0;
  const began = performance.now(), key = JSON.stringify([caption, seed, steps]), known = kept.key === key;
  const last = split === steps && scheme.startsWith("split") ? 0 : steps - split;
  const all = (known ? 0 : steps) + last;
  let done = 0, map = null; // what the receiver is shown beside the caption
  const words = known ? kept.words : await models.embed(caption);
  const epsilon = async (z, t) => {
    await breathe();
    if (stopped) throw new Stopped();
    const [untold, told] = await models.velocity(z, t, words, map);
    postMessage({ tell: "step", done: ++done, of: all, who: done > all - last ? "receiver" : "sender" });
    return epsilonOfV(guide(untold, told, guidance), z, levelAt(levels, t));
  };

  // The sender: its own picture, of which it sends the words, or the state after some steps.
  if (!known) {
    const states = await sendStates(epsilon, normals(seed, STREAMS.sender)(size), levels, visited);
    kept = { key, words, states, picture: await models.decode(states[steps]) };
  }
  const { states, picture: sent } = kept;

  // The channel, and what it costs. The caption has to be at the receiver in any case.
  const uses = { caption: Math.ceil(usesAtCapacity(8 * new TextEncoder().encode(caption).length, snr)) };
  let received = null, variance = 0, left = visited, edges = null;
  if (scheme === "caption") received = normals(seed, STREAMS.receiver)(size);
  else if (scheme === "caption-seed") {
    received = normals(seed, STREAMS.sender)(size);
    uses.seed = Math.ceil(usesAtCapacity(32, snr));
  } else if (scheme === "caption-edges") {
    await models.readMaps(loading);
    received = normals(seed, STREAMS.receiver)(size);
    const edge = edgesOf(sent, side);
    map = pictureOf(edge);
    edges = { pixels: edge.reduce((a, b) => a + b), bits: 8 * encoded(edge, side).length };
    uses.edges = Math.ceil(usesAtCapacity(edges.bits, snr));
  } else {
    const come =
      scheme === "split-analog"
        ? analog(states[split], snr, normals(seed, STREAMS.channel)(size))
        : coded(states[split], settings.bits, about.quantisers[settings.bits]);
    ({ latent: received, variance } = come);
    uses.latent = come.uses ?? Math.ceil(usesAtCapacity(come.bits, snr));
    left = visited.slice(split);
  }
  const latent = scheme.startsWith("split"), arrived = latent ? await models.decode(received) : map;
  const how = latent ? settings.receiver : "resume";
  const clean = await receive(epsilon, received, levels, left, variance, how, normals(seed, STREAMS.steps));
  const got = await models.decode(clean);

  const things = async (picture) =>
    thingsOf(...(await models.claims(pixels(picture, about.judge))), about.judge).map(({ label }) => label);
  let asked = null;
  try {
    asked = labelsOf(caption, about.grammar);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error; // words that make no caption of the grammar: drawn, not judged
  }
  const seen = { sender: await things(sent), receiver: await things(got) };
  return {
    caption, asked, seen, uses, variance, edges,
    right: asked && { sender: isRight(seen.sender, asked), receiver: isRight(seen.receiver, asked) },
    sentAt: latent && left.length ? left[0] : null,
    matched: latent && left.length && how === "matched" ? matchedTimestep(left[0], variance, levels) : null,
    pictures: { sender: sent, arrived, receiver: got },
    ssim: ssim(got, sent, side),
    seconds: (performance.now() - began) / 1000,
    evaluations: done,
  };
}

const loading = (bytes, of, here) => postMessage({ tell: "loading", bytes, of, here });

const answers = {
  async load() {
    const began = performance.now();
    // Only now: the runtime awaits while it starts, and a message that comes meanwhile would find no listener.
    const { load } = await import("./models.js");
    models ??= await load(loading);
    postMessage({ tell: "loaded", about: models.about, seconds: (performance.now() - began) / 1000 });
  },
  async draw({ settings }) {
    stopped = false;
    try {
      postMessage({ tell: "drawn", result: await draw(settings) });
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      postMessage({ tell: "stopped" });
    }
  },
  async stop() {
    stopped = true;
  },
};

addEventListener("message", ({ data }) =>
  answers[data.ask](data).catch((error) => postMessage({ tell: "failed", why: error.message ?? String(error) })),
);
