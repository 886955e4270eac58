/**
 * A journal on four real drives, in a process of its own that can be killed. Uses the compiled server.
 * Prints one line per event: `start {…}`, then `ack N` for each acknowledged record.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../dist/base/index.js';
import { formatDrive, probeDrive } from '../../dist/drive/index.js';
import { openJournal } from '../../dist/journal/index.js';
import { kernels } from '../../dist/native/index.js';
import { SlabArena } from '../../dist/pool/index.js';

const [folder = '.', reachableText = '15', modeText = 'write'] = process.argv.slice(2);
const reachable = Number(reachableText);
const driveCount = 4;
const dataShards = 2;
const slotBytes = 4000;
const deploymentId = '00112233-4455-6677-8899-aabbccddeeff';
const ids = Array.from({ length: driveCount }, (_, position) => `00000000-0000-4000-8000-00000000000${position}`);

const arena = new SlabArena(64 * 1024 * 1024);
kernels.attachArena(arena.arena);
kernels.setHashKey(Buffer.alloc(32, 7));

async function openDrive(position) {
  const path = join(folder, `d${position}`);
  if (!existsSync(path)) mkdirSync(path, { recursive: true });
  const options = { arena: arena.arena, createFolder: true };
  const probe = await probeDrive(path, options);
  if (probe.kind === 'ready') return probe.drive;
  if (probe.kind !== 'empty') throw new Error(`drive ${position}: ${probe.reason}`);
  const format = {
    version: 1,
    deploymentId,
    hashKey: '07'.repeat(32),
    driveId: ids[position],
    setIndex: 0,
    position,
    sets: [ids],
    parity: driveCount - dataShards,
    wasMountPoint: false,
  };
  return await formatDrive(path, format, options);
}

const drives = [];
for (let position = 0; position < driveCount; position++) {
  drives.push((reachable >> position) & 1 ? await openDrive(position) : null);
}
const replayed = [];
let next = 0;
const note = (level) => (message, details) => console.log(`note ${level} ${message} ${JSON.stringify(details ?? {})}`);
const opened = await openJournal({
  deploymentId,
  setIndex: 0,
  drives: drives.map((drive) => drive?.log ?? null),
  dataShards,
  slabs: arena,
  kernels,
  clock: systemClock,
  log: { info: note('info'), warn: note('warn'), error: note('error') },
  indexPosition: null,
  discardIndex: () => Promise.resolve(),
  apply: (records) => {
    replayed.push(...records);
    return Promise.resolve();
  },
  healRecord: () => Promise.resolve(true),
  logFileBytes: 4 * 1024 * 1024,
});
const { journal, report } = opened;

/** How many of a record's slots are right on the drives there are. */
async function validSlots(record) {
  const { slots } = record;
  const slab = await arena.allocate(slots.slotBytes + 4096, 'read');
  let count = 0;
  for (const [position, drive] of drives.entries()) {
    if (drive === null) continue;
    const shard = (position - slots.rotation + driveCount) % driveCount;
    const read = await drive.log.read(
      slots.fileNumber,
      slots.fileOffset,
      Float64Array.of(slab.offset, slots.slotBytes),
    );
    const hashAt = slab.offset + slab.bytes - 64;
    arena.view.set(slots.hashes.subarray(32 * shard, 32 * shard + 32), hashAt);
    const job = [slab.offset, slots.slotBytes, hashAt, slots.checksumBlockBytes, slots.idHigh, slots.idLow, shard, 0];
    if (read.ok && kernels.verifyBlocks(Float64Array.from(job)).length === 0) count++;
  }
  slab.release();
  return count;
}

const numbers = replayed.map((record) => Number(Buffer.from(record.body).toString()));
let unreadable = 0;
for (const record of replayed) if (record.slots !== null && (await validSlots(record)) < record.slots.k) unreadable++;
console.log(`start ${JSON.stringify({ report, health: journal.health(), numbers, unreadable })}`);
next = Math.max(0, ...numbers) + 1;

function prepared(number, slab) {
  const body = new Uint8Array(Buffer.from(String(number)));
  if (number % 3 === 0) return { type: 1, body, slots: null };
  const stride = 4032;
  const shardOffsets = Array.from({ length: driveCount }, (_, shard) => slab.offset + shard * stride);
  arena.view.fill(1 + (number % 251), slab.offset, slab.offset + dataShards * stride);
  kernels.encode(dataShards, driveCount - dataShards, slotBytes, Float64Array.from(shardOffsets));
  const hashesAt = slab.offset + driveCount * stride;
  const jobs = shardOffsets.flatMap((at, shard) => [
    at,
    slotBytes,
    hashesAt + 32 * shard,
    slotBytes,
    1,
    number,
    shard,
    0,
  ]);
  kernels.hashBlocks(Float64Array.from(jobs));
  const hashes = new Uint8Array(arena.view.subarray(hashesAt, hashesAt + 32 * driveCount));
  const slots = { k: dataShards, rotation: number % driveCount, slotBytes, idHigh: 1, idLow: number };
  return { type: 2, body, slots: { ...slots, checksumBlockBytes: slotBytes, hashes, shardOffsets } };
}

async function writer() {
  const slab = await arena.allocate(5 * 4096, 'upload');
  for (;;) {
    const number = next++;
    await journal.commit(() => prepared(number, slab));
    console.log(`ack ${number}`);
  }
}

async function stop() {
  await journal.close();
  await Promise.all(drives.map((drive) => drive?.close(1000)));
  process.exit(0);
}
process.on('SIGTERM', () => void stop());

if (modeText === 'write') for (let index = 0; index < 12; index++) void writer();
else if (modeText === 'whole') {
  // Until every drive is in the set again.
  while (journal.health().inSync.length < driveCount) await new Promise((resolve) => setTimeout(resolve, 5));
  await stop();
} else await stop();
