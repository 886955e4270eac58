'use strict';
// Runs every dispatched kernel on seeded inputs and prints one digest of all results. Started with
// GRANARY_KERNEL set to each path: all must print the same.
const { createHash } = require('node:crypto');
const addon = require('../../build/Release/granary.node');

const arena = new SharedArrayBuffer(4 << 20);
const bytes = Buffer.from(arena);
addon.attachArena(arena);
addon.setHashKey(Buffer.alloc(32, 7));

let seed = Number(process.argv[2] ?? 1) >>> 0;
function below(limit) {
  // xorshift32: the same sequence in every process.
  seed ^= (seed << 13) >>> 0;
  seed ^= seed >>> 17;
  seed ^= (seed << 5) >>> 0;
  seed >>>= 0;
  return seed % limit;
}

const results = createHash('sha256');
for (let round = 0; round < 300; round++) {
  const k = 1 + below(16);
  const m = below(9);
  const shardBytes = 1 + below(round % 10 === 0 ? 60000 : 3000);
  const dataBytes = k * shardBytes - below(Math.min(shardBytes, 50));
  const blockBytes = [32, 100, 4096, 65536][below(4)];
  const dataOffset = 4096 + below(64);
  const parityOffset = dataOffset + k * shardBytes + below(64);
  const hashesOffset = parityOffset + m * shardBytes;
  const hashBytes = 32 * (k + m) * Math.ceil(shardBytes / blockBytes);
  for (let i = 0; i < dataBytes; i += 1 + (i >> 6)) bytes[dataOffset + i] = below(256);
  addon.streamInit(64, 63, null);
  const stripe = [64, dataOffset, dataBytes, k, m, shardBytes, parityOffset, hashesOffset, blockBytes, 1, round, 3];
  if (addon.putPass(new Float64Array(stripe), null, null) !== 1) throw new Error('putPass refused an unsigned stream');
  results.update(bytes.subarray(dataOffset, dataOffset + k * shardBytes));
  results.update(bytes.subarray(parityOffset, parityOffset + m * shardBytes));
  results.update(bytes.subarray(hashesOffset, hashesOffset + hashBytes));
  for (let digest = 1; digest <= 32; digest *= 2) results.update(addon.streamDigest(64, digest));
  const shards = Array.from({ length: k + m }, (_, s) =>
    s < k ? dataOffset + s * shardBytes : parityOffset + (s - k) * shardBytes,
  );
  let present = 2 ** (k + m) - 1;
  for (let i = 0; i < m; i++) present &= ~(1 << below(k + m));
  const wanted = ~present & (2 ** (k + m) - 1);
  const before = shards.map((offset) => Buffer.from(bytes.subarray(offset, offset + shardBytes)));
  shards.forEach((offset, s) => wanted & (1 << s) && bytes.fill(0xee, offset, offset + shardBytes));
  addon.reconstruct(k, m, shardBytes, new Float64Array(shards), present, wanted);
  shards.forEach((offset, s) => {
    if (!before[s].equals(bytes.subarray(offset, offset + shardBytes)))
      throw new Error(`shard ${s} of ${k}+${m} differs`);
  });
}

// Batches of streams of different lengths, and of no length.
for (let round = 0; round < 40; round++) {
  const count = 1 + below(32);
  const args = [];
  const states = [];
  const digests = [];
  for (let i = 0; i < count; i++) {
    const state = 64 + 2048 * i;
    const data = (1 << 18) + i * 40000 + below(64);
    const dataBytes = below(4) === 0 ? below(64) : below(30000);
    for (let at = 0; at < dataBytes; at += 1 + (at >> 6)) bytes[data + at] = below(256);
    digests.push(1 + 2 * below(2));
    addon.streamInit(state, digests[i], null);
    states.push(state);
    args.push(state, data, dataBytes, 1, 0, dataBytes, 0, (3 << 20) + 1024 * i, 4096, i, round, 0);
  }
  for (let pass = 0; pass < 2; pass++) {
    const answers = addon.putPasses(Float64Array.from(args), Array(count).fill(null), Array(count).fill(null));
    if (answers.length !== count || answers.some((answer) => answer !== 1)) throw new Error('putPasses refused');
  }
  for (const [index, state] of states.entries()) {
    results.update(addon.streamDigest(state, 1));
    if (digests[index] & 2) results.update(addon.streamDigest(state, 2));
  }
}
console.log(JSON.stringify({ paths: addon.paths(), results: results.digest('hex') }));
