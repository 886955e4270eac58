'use strict';
// Measures the addon, in a process of its own so that GRANARY_KERNEL can pick the path. One command
// a line, `WHAT ARGUMENTS… MILLISECONDS`, answered by GB/s of object bytes; anchor.cc speaks the same.
const { createHash } = require('node:crypto');
const { createInterface } = require('node:readline');
const addon = require('../../build/Release/granary.node');

const checksumBlockBytes = 65536;
const stateAt = 0;
const dataAt = 1 << 17;
const arena = addon.createArena(64 << 20);
const bytes = Buffer.from(arena);
for (let i = 0; i < bytes.length; i++) bytes[i] = Math.imul(i, 2654435761) >>> 13;
addon.attachArena(arena);
addon.setHashKey(Buffer.alloc(32, 5));
const hashesAt = bytes.length - (1 << 20);
const digests = { md5: 1, sha256: 2, crc32: 8, crc32c: 16, crc64nvme: 32 };

/** A digest as the pass computes it: over the arena, with a running state. */
function digestTask(name, length) {
  addon.streamInit(stateAt, digests[name], null);
  return { bytes: length, work: () => addon.streamUpdate(stateAt, dataAt, length, null, null) };
}

function nodeDigestTask(name, length) {
  const content = bytes.subarray(dataAt, dataAt + length);
  const hash = createHash(name);
  return { bytes: length, work: () => hash.update(content) };
}

const stateOf = (index) => stateAt + 2048 * index;

/** As many stripes of different streams as a batch of the pool holds, in one call. */
function batchTask(k, m, shardBytes, union, count) {
  const length = k * shardBytes;
  const stripes = Array.from({ length: count }, (_, i) => {
    addon.streamInit(stateOf(i), union, null);
    const at = dataAt + i * (k + m) * shardBytes;
    const hashes = hashesAt + i * 4096;
    return [stateOf(i), at, length, k, m, shardBytes, at + length, hashes, checksumBlockBytes, 1, 2, 0];
  });
  const args = Float64Array.from(stripes.flat());
  const nothing = Array(count).fill(null);
  return { bytes: count * length, work: () => addon.putPasses(args, nothing, nothing) };
}

const shardOffsets = (count, shardBytes) => Float64Array.from({ length: count }, (_, s) => dataAt + s * shardBytes);

function encodeTask(k, m, shardBytes) {
  const offsets = shardOffsets(k + m, shardBytes);
  return { bytes: k * shardBytes, work: () => addon.encode(k, m, shardBytes, offsets) };
}

function reconstructTask(k, m, shardBytes) {
  const offsets = shardOffsets(k + m, shardBytes);
  const wanted = 2 ** Math.min(k, m) - 1;
  const present = (2 ** (k + m) - 1) & ~wanted;
  return { bytes: k * shardBytes, work: () => addon.reconstruct(k, m, shardBytes, offsets, present, wanted) };
}

function passTask(k, m, shardBytes, union) {
  addon.streamInit(stateAt, union, null);
  const length = k * shardBytes;
  const stripe = [stateAt, dataAt, length, k, m, shardBytes, dataAt + length, hashesAt, checksumBlockBytes, 1, 2, 0];
  const args = Float64Array.from(stripe);
  return { bytes: length, work: () => addon.putPass(args, null, null) };
}

function taskOf(what, a, b, c) {
  switch (what) {
    case 'highwayhash256': {
      const jobs = Float64Array.of(dataAt, a, hashesAt, checksumBlockBytes, 1, 2, 3, 0);
      return { bytes: a, work: () => addon.hashBlocks(jobs) };
    }
    case 'highwayhash256.single': {
      const content = bytes.subarray(dataAt, dataAt + a);
      const key = Buffer.alloc(32, 5);
      return { bytes: a, work: () => addon.highwayHash256(key, content) };
    }
    case 'node.md5':
    case 'node.sha256':
      return nodeDigestTask(what.slice('node.'.length), a);
    case 'rs.encode':
      return encodeTask(a, b, c);
    case 'rs.reconstruct':
      return reconstructTask(a, b, c);
    case 'pass.unsigned':
      return passTask(a, b, c, digests.md5);
    case 'pass.signed':
      return passTask(a, b, c, digests.md5 | digests.sha256);
    case 'pass.unsigned.x16':
      return batchTask(a, b, c, digests.md5, 16);
    case 'pass.signed.x16':
      return batchTask(a, b, c, digests.md5 | digests.sha256, 16);
    case 'pass.code':
      return passTask(a, b, c, 0);
    default:
      return what in digests ? digestTask(what, a) : null;
  }
}

/** By CPU time of this thread: what neighbours on a busy machine take does not count. */
function rateOf(task, milliseconds) {
  task.work();
  const start = addon.threadCpuMicros();
  let rounds = 0;
  let micros;
  do {
    task.work();
    rounds++;
    micros = addon.threadCpuMicros() - start;
  } while (micros < milliseconds * 1000);
  return (task.bytes * rounds) / micros / 1000;
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const [what, ...rest] = line.split(' ');
  const numbers = rest.map(Number);
  if (what === 'paths') {
    console.log(JSON.stringify(addon.availablePaths()));
    return;
  }
  const task = taskOf(what, ...numbers.slice(0, -1));
  console.log(task ? rateOf(task, numbers.at(-1)) : -1);
});
