'use strict';
// The anchor of large PUTs: what the server does to every byte, on one thread and with nothing around it.
// STREAMS objects of BYTES grow side by side, stripe by stripe: copy into the arena, one native pass over
// the stripes of all streams (MD5, Reed–Solomon 2 + 2, HighwayHash), then the four shards of each to four
// files in four folders; at the end of an object fdatasync, close, unlink. No HTTP, no log, no index.
//
//   node native-pass.cjs FOLDER STREAMS BYTES OBJECTS   prints one line of JSON: bytes, cpuMicros
const fs = require('node:fs');
const path = require('node:path');
const addon = require('../../build/Release/granary.node');

const [folder, streamsText, bytesText, objectsText] = process.argv.slice(2);
const streams = Number(streamsText);
const objectBytes = Number(bytesText);
const objects = Number(objectsText);
const [k, m] = [2, 2];
const stripeBytes = Math.min(1 << 20, objectBytes);
const shardBytes = Math.ceil(stripeBytes / k);
const slotBytes = stripeBytes + m * shardBytes + 4096 + 2048 + 4096;
const slot = Math.ceil(slotBytes / 4096) * 4096;
const arena = addon.createArena(Math.max(32 << 20, streams * slot));
const view = Buffer.from(arena);
addon.attachArena(arena);
addon.setHashKey(Buffer.alloc(32, 5));
const source = Buffer.allocUnsafe(stripeBytes);
for (let i = 0; i < source.length; i++) source[i] = Math.imul(i, 2654435761) >>> 13;
for (let d = 0; d < 4; d++) fs.mkdirSync(path.join(folder, `d${d}`), { recursive: true });

const nothing = Array(streams).fill(null);
const rounds = Math.max(1, Math.round(objects / streams));
const start = addon.threadCpuMicros();
for (let round = 0; round < rounds; round++) {
  const files = [];
  for (let s = 0; s < streams; s++) {
    addon.streamInit(s * slot, 1, null);
    files.push([0, 1, 2, 3].map((d) => fs.openSync(path.join(folder, `d${d}`, `o${round}-${s}`), 'wx')));
  }
  for (let at = 0; at < objectBytes; at += stripeBytes) {
    const args = [];
    for (let s = 0; s < streams; s++) {
      const data = s * slot + 4096;
      addon.copyToArena(data, source, 0, stripeBytes);
      const parity = data + stripeBytes;
      args.push(
        s * slot,
        data,
        stripeBytes,
        k,
        m,
        shardBytes,
        parity,
        parity + m * shardBytes,
        65536,
        round,
        s,
        at / stripeBytes,
      );
    }
    addon.putPasses(Float64Array.from(args), nothing, nothing);
    for (let s = 0; s < streams; s++) {
      const data = s * slot + 4096;
      for (let d = 0; d < 4; d++)
        fs.writeSync(files[s][d], view, data + d * shardBytes, shardBytes, (at / stripeBytes) * shardBytes);
    }
  }
  for (let s = 0; s < streams; s++) {
    addon.streamDigest(s * slot, 1);
    for (let d = 0; d < 4; d++) {
      fs.fdatasyncSync(files[s][d]);
      fs.closeSync(files[s][d]);
      fs.unlinkSync(path.join(folder, `d${d}`, `o${round}-${s}`));
    }
  }
}
const cpuMicros = addon.threadCpuMicros() - start;
console.log(JSON.stringify({ bytes: rounds * streams * objectBytes, cpuMicros }));
