// Scores and decisions of float32 rows in Node, through onnxruntime-node (native) or onnxruntime-web (WebAssembly, as in a
// browser).
//
//     npm install onnxruntime-node
//     node score.mjs model.onnx rows.f32 0.9534 scores.f32
//
//     npm install onnxruntime-web
//     node score.mjs model.onnx rows.f32 0.9534 scores.f32 --web
//
// --one-row: one row a call, and how long a call takes. Packages installed with `npm install -g` are found with
// NODE_PATH=$(npm root -g).

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { web: { type: "boolean" }, "one-row": { type: "boolean" } },
});
if (positionals.length !== 4) {
  console.error("usage: node score.mjs MODEL.onnx ROWS.f32 THRESHOLD SCORES.f32 [--web] [--one-row]");
  process.exit(2);
}
const [model, rows, threshold, output] = positionals;

const ort = createRequire(import.meta.url)(flags.web ? "onnxruntime-web" : "onnxruntime-node");
if (flags.web) ort.env.wasm.numThreads = 1;
const options = { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: "sequential" };
const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(model)), options);

const width = session.inputMetadata[0].shape[1];
const bytes = readFileSync(rows);
const X = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
if (X.length % width !== 0) throw new Error(`${rows}: ${X.length} values are no rows of ${width}`);

const nRows = X.length / width;
const batch = flags["one-row"] ? 1 : 10_000;
const scores = new Float32Array(nRows);
const microseconds = [];
for (let first = 0; first < nRows; first += batch) {
  const last = Math.min(first + batch, nRows);
  const begin = performance.now();
  const input = new ort.Tensor("float32", X.subarray(first * width, last * width), [last - first, width]);
  const answer = await session.run({ input }, ["output"]);
  microseconds.push(1e3 * (performance.now() - begin));
  scores.set(answer.output.data, first);
}
await session.release();

// numbers are float64 here, the cut is one of float32
const cut = Math.fround(Number(threshold));
const selected = scores.reduce((n, score) => n + (score >= cut ? 1 : 0), 0);
writeFileSync(output, new Uint8Array(scores.buffer));
console.log(`${selected} of ${nRows} rows selected`);
microseconds.sort((a, b) => a - b);
const at = (share) => microseconds[Math.floor(share * (microseconds.length - 1))]?.toFixed(1);
console.log(`a call takes ${at(0.5)} us (median), 99 % take less than ${at(0.99)} us`);
