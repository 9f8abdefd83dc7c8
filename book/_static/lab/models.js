// The networks: fetched with progress, unpacked, and asked one at a time (one thread, WebAssembly).

import * as ort from "./ort.wasm.bundle.min.js";
import { tokenise } from "./words.js";

const NETWORKS = ["words", "denoiser", "decoder", "detector"]; // "control" comes when a map is sent

async function gunzip(bytes) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes; // the server said that it is gzipped: already unpacked
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(unpacked).arrayBuffer());
}

async function fetched(address, onBytes) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address.pathname} is not there (${answer.status}): was the book built by "make book"?`);
  const parts = [], reader = answer.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    onBytes(part.value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Fetch what every drawing needs; `onProgress(bytes, ofBytes, areAllHere)`. What comes back asks the networks. */
export async function load(onProgress) {
  const at = (name) => new URL(name, import.meta.url);
  const about = JSON.parse(new TextDecoder().decode(await fetched(at("lab.json"), () => {})));
  const of = Object.values(about.files).reduce((sum, { bytes }) => sum + bytes, 0);
  let come = 0;
  const get = async (name) =>
    gunzip(await fetched(at(about.files[name].file), (bytes) => onProgress(Math.min((come += bytes), of), of)));
  const [wasm, ...graphs] = await Promise.all(
    [Object.keys(about.files).find((name) => name.endsWith(".wasm")), ...NETWORKS.map((name) => `${name}.onnx`)].map(get),
  );
  onProgress(of, of, true);
  ort.env.wasm.wasmBinary = wasm.buffer;
  ort.env.wasm.numThreads = 1; // more would need headers that not every server of pages sends
  ort.env.logLevel = "error";
  const sessions = {};
  const start = async (name, graph) =>
    (sessions[name] ??= await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] }));
  for (const [i, name] of NETWORKS.entries()) await start(name, graphs[i]);
  const floats = (numbers, ...shape) => new ort.Tensor("float32", numbers, shape);
  const ask = (name, inputs) => sessions[name].run(inputs);
  const { tokens, shape } = about, side = 64;
  const product = (numbers) => numbers.reduce((a, b) => a * b);
  const nothing = Object.fromEntries(
    Object.entries(about.added).map(([name, of]) => [name, floats(new Float32Array(product(of)), ...of)]),
  );

  return {
    about,
    side,

    /** What the text encoder makes of no caption and of this one. */
    async embed(caption) {
      const rows = [...tokenise("", tokens), ...tokenise(caption, tokens)].map(BigInt);
      const { words } = await ask("words", { tokens: new ort.Tensor("int64", BigInt64Array.from(rows), [2, tokens.length]) });
      return words;
    },

    /** Fetch the network that reads maps, once; `onProgress(bytes, ofBytes, isHere)`. */
    async readMaps(onProgress) {
      if (sessions.control) return;
      const { file, bytes } = about.later["control.onnx"];
      let here = 0;
      const graph = await fetched(at(file), (more) => onProgress(Math.min((here += more), bytes), bytes));
      onProgress(bytes, bytes, true);
      await start("control", await gunzip(graph));
    },

    /** The denoiser's v without and with the caption; with a map, [3, side, side], the control network has its say. */
    async velocity(z, t, words, map = null) {
      const twice = (x, ...of) => floats(Float32Array.from([...x, ...x]), 2, ...of);
      const asked = { z: twice(z, ...shape), t: floats(Float32Array.of(t), 1), words };
      const added = map ? await ask("control", { ...asked, shown: twice(map, 3, side, side) }) : nothing;
      const { v } = await ask("denoiser", { ...asked, ...added });
      return [v.data.slice(0, z.length), v.data.slice(z.length)];
    },

    /** The picture of a clean latent: [3, side, side] in [0, 1]. */
    async decode(z) {
      return (await ask("decoder", { z: floats(z, 1, ...shape) })).picture.data.slice();
    },

    /** What the detector claims: scores [claims, classes], and boxes (middle, width, height) as shares of the side. */
    async claims(values) {
      const { scores, boxes } = await ask("detector", { pixels: floats(values, 1, 3, side, side) });
      return [scores.data.slice(), boxes.data.slice()];
    },
  };
}
