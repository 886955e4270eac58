/**
 * Question: what does a request cost from socket to drive and back, beside the least that it could cost?
 *
 * Estimate (limits.md): large PUT 0.75 GB/s on two cores with scalar MD5, more with its lanes side by side;
 * large GET bound by the front, about 2.4 GB/s; 4 KiB GET 35,000 a second; durable 4 KiB PUT 15,000.
 *
 * Result: docs/performance.md.
 *
 * How: four drive folders (2 + 2), the load generator on a core of its own, our server and the anchor in
 * turns, medians. What each anchor is stands in docs/performance.md.
 */
import { fourFiles, nativePass } from '../anchor/programs.js';
import { beside, cpuPerRequest, nanosPerByte, perSecond, runOnce } from '../load/figures.js';
import type { LoadFigures, LoadTarget } from '../load/load.js';
import type { PlannedRequest } from '../load/plan.js';
import type { ReportRow } from '../report.js';
import { median } from '../statistics.js';
import type { Medium, Workspace } from '../workspace.js';
import { scanRate } from './index-scan.js';
import { startAnchorServer, startGranary, uncached } from './servers.js';

export interface PathOptions {
  readonly quick: boolean;
  readonly wants: (name: string) => boolean;
  readonly onProgress: (text: string) => void;
  readonly media: readonly Medium[];
  /** Another server instead of ours: it is not started or stopped, and there are no anchors. */
  readonly foreign: LoadTarget | null;
  /** A row that could not be measured; the others go on. */
  readonly onFailure: (name: string, error: unknown) => void;
}

type Operation = 'put' | 'get';

interface Case {
  readonly name: string;
  readonly operation: Operation;
  readonly bytes: number;
  readonly connections: number;
  readonly medium: Medium;
  /** A row of the short table: more rounds. */
  readonly isMain: boolean;
  /** The server keeps nothing of what was read: what the page cache has is read and checked anew each time. */
  readonly isUncached: boolean;
}

const KiB = 1024;
const MiB = 1024 * KiB;
const sizes = [
  { label: '4KiB', bytes: 4 * KiB, medium: 'disk' },
  { label: '1MiB', bytes: MiB, medium: 'disk' },
  { label: '64MiB', bytes: 64 * MiB, medium: 'tmpfs' },
] as const;
const mainNames = new Set(['path.put.64MiB.c16', 'path.get.64MiB.c16', 'path.put.4KiB.c64', 'path.get.4KiB.c64']);
const bucket = 'benchmark';
/** No divisor of a stripe; the load generator's pattern is a little longer than a stripe. */
const patternStep = 4093;

function cases(options: PathOptions): Case[] {
  const all: Case[] = [];
  for (const { label, bytes, medium: usual } of sizes) {
    for (const operation of ['put', 'get'] as const) {
      for (const connections of [1, 16, 64]) {
        for (const medium of options.media) {
          const plain = `path.${operation}.${label}.c${connections}`;
          const isMain = mainNames.has(plain) && (medium === usual || options.media.length === 1);
          // 64 uploads of 64 MiB hold more than a memory file system should be asked for.
          if (bytes === 64 * MiB && connections === 64 && medium === 'tmpfs') continue;
          // What a foreign server keeps its data on is not known.
          const place = medium === usual || options.foreign !== null ? '' : `@${medium}`;
          const one = { operation, bytes, connections, medium, isMain };
          all.push({ ...one, name: `${plain}${place}`, isUncached: false });
          if (operation === 'put' || bytes === 4 * KiB || connections !== 16 || options.foreign !== null) continue;
          all.push({ ...one, name: `${plain}.uncached${place}`, isUncached: true });
        }
      }
    }
  }
  return all.filter((one) => (options.quick ? one.isMain && !one.isUncached : true) && options.wants(one.name));
}

/** Keys that no other row and no earlier round has written. */
const newKeys = (one: Case, round: number): number => 10_000_000 * one.connections + 400_000 * round;

const pathOf = (one: Case, index: number): string => `/${bucket}/${one.bytes}/${index.toString().padStart(6, '0')}`;

/** Keys that a GET row reads and a large PUT row writes over again. */
function keyCount(one: Case): number {
  if (one.bytes === 4 * KiB) return 1000;
  return one.bytes === MiB ? 64 : Math.min(8, Math.max(2, one.connections));
}

function puts(one: Case, count: number, from = 0): PlannedRequest[] {
  return Array.from({ length: count }, (_, index) => ({
    method: 'PUT',
    path: pathOf(one, from + index),
    bodyBytes: one.bytes,
    expectedStatus: 200,
    patternOffset: ((from + index) % 250) * patternStep,
  }));
}

function gets(one: Case, count: number): PlannedRequest[] {
  return Array.from({ length: count }, (_, index) => ({
    method: 'GET',
    path: pathOf(one, index),
    expectedStatus: 200,
    expectedBytes: one.bytes,
    isPattern: true,
    patternOffset: (index % 250) * patternStep,
  }));
}

interface Anchor {
  readonly name: string;
  /** Of the row's own unit. */
  measure(): Promise<number>;
  close(): Promise<void>;
}

const noAnchor: Anchor = { name: 'none', measure: () => Promise.resolve(Number.NaN), close: () => Promise.resolve() };

async function anchorOf(workspace: Workspace, one: Case, folder: string, seconds: number): Promise<Anchor> {
  const close = (): Promise<void> => Promise.resolve();
  if (one.operation === 'put') {
    return one.bytes === 4 * KiB
      ? { name: 'four shard files, fdatasync (objects/s)', measure: () => fourFiles(workspace, one, seconds), close }
      : {
          name: 'native pass and writes alone (CPU ns/byte)',
          measure: async () => (await nativePass(workspace, one)) * 1000,
          close,
        };
  }
  const server = await startAnchorServer(workspace, one.bytes);
  const isSmall = one.bytes === 4 * KiB;
  const plan: PlannedRequest[] = isSmall
    ? [{ method: 'GET', path: '/hello', expectedStatus: 200, expectedBytes: 11 }]
    : [{ method: 'GET', path: '/memory', expectedStatus: 200, expectedBytes: one.bytes }];
  return {
    name: isSmall ? 'uWebSockets.js hello world (requests/s)' : 'uWebSockets.js from memory (CPU ns/byte)',
    measure: async () => {
      const load = { connections: one.connections, seconds, loops: true };
      const figures = await runOnce(workspace, server.target, folder, plan, load);
      return isSmall ? perSecond(figures) : nanosPerByte(figures, one.bytes);
    },
    close: () => server.stop(),
  };
}

/** Small rows are throughput, large ones CPU per byte: there the client shares the machine's bandwidth. */
const isThroughput = (one: Case): boolean => one.bytes === 4 * KiB;

/** Caches have settled by then. */
const warmUpSeconds = 0.5;
/** For small objects it is the compiler: a server that runs for days has had its hot code compiled for good. */
const smallWarmUpSeconds = { full: 6, quick: 3.5 };

/** Of the row whose anchor makes and syncs files: that moves most from one round to the next. */
const smallPutRounds = { full: 7, quick: 3 };

function roundsOf(one: Case, quick: boolean): number {
  if (!one.isMain) return 1;
  if (one.operation === 'put' && isThroughput(one)) return smallPutRounds[quick ? 'quick' : 'full'];
  return quick ? 2 : 3;
}

/** The first tenths of a second after the anchor had the core go slower: a round of small objects is long beside them. */
function secondsOf(one: Case, quick: boolean): number {
  if (!one.isMain) return 1.5;
  return quick ? (isThroughput(one) ? 2 : 1.5) : 3;
}

/** More than a server here stores; a faster one begins again with the first. */
const newKeysPerSecond = 40_000;

async function measureCase(
  workspace: Workspace,
  one: Case,
  target: LoadTarget,
  folder: string,
  options: PathOptions,
): Promise<ReportRow> {
  const rounds = roundsOf(one, options.quick);
  const seconds = secondsOf(one, options.quick);
  const { connections } = one;
  const isOurs = options.foreign === null;
  const anchor = isOurs ? await anchorOf(workspace, one, folder, seconds) : noAnchor;
  const ours: LoadFigures[] = [];
  const anchors: number[] = [];
  try {
    if (one.operation === 'get') {
      options.onProgress(`${one.name}: writing what is read`);
      await runOnce(workspace, target, folder, puts(one, keyCount(one)), { connections: 4 });
    }
    options.onProgress(`${one.name}: warming up`);
    const settlesIn = isThroughput(one) ? smallWarmUpSeconds[options.quick ? 'quick' : 'full'] : warmUpSeconds;
    const warmUp =
      one.operation === 'get'
        ? gets(one, keyCount(one))
        : isThroughput(one)
          ? puts(one, Math.ceil(settlesIn * newKeysPerSecond), newKeys(one, rounds))
          : puts(one, keyCount(one));
    await runOnce(workspace, target, folder, warmUp, { connections, seconds: settlesIn, loops: true });
    for (let round = 0; round < rounds; round++) {
      options.onProgress(`${one.name}: round ${round + 1} of ${rounds}`);
      // New keys for small objects; large ones write over their own, so that the space stays bounded.
      const requests =
        one.operation === 'get'
          ? gets(one, keyCount(one))
          : one.bytes === 4 * KiB
            ? puts(one, Math.ceil(seconds * newKeysPerSecond), newKeys(one, round))
            : puts(one, Math.max(keyCount(one), connections));
      const isOnDisk = one.medium === 'disk' && isOurs;
      if (isOnDisk) await workspace.settle(folder);
      ours.push(await runOnce(workspace, target, folder, requests, { connections, seconds, loops: true }));
      options.onProgress(`${one.name}: anchor ${round + 1} of ${rounds}`);
      if (isOnDisk) await workspace.settle(folder);
      anchors.push(await anchor.measure());
    }
  } finally {
    await anchor.close();
  }
  return toRow(one, ours, { name: anchor.name, value: median(anchors) });
}

function toRow(one: Case, ours: readonly LoadFigures[], anchor: { name: string; value: number }): ReportRow {
  const throughput = median(ours.map(perSecond));
  const nanos = median(ours.map((figures) => nanosPerByte(figures, one.bytes)));
  // Without the server's process there is only its throughput.
  const small = isThroughput(one) || cpuPerRequest(ours).length === 0;
  return {
    name: one.name,
    unit: small ? `${one.operation === 'put' ? 'objects' : 'requests'}/s` : 'CPU ns/byte',
    value: small ? throughput : nanos,
    anchor,
    // Above 1 is better than the anchor: throughput over its throughput, its CPU time over ours.
    ratio: small ? throughput / anchor.value : anchor.value / nanos,
    ...beside(ours),
  };
}

const listedKeys = 5000;
const pageKeys = 1000;

/** Pages of 1,000 keys, beside a scan of as many entries of the index alone. */
async function measureList(
  workspace: Workspace,
  target: LoadTarget,
  folder: string,
  options: PathOptions,
): Promise<ReportRow> {
  const name = 'path.list.1000';
  const rounds = options.quick ? 2 : 3;
  const seconds = options.quick ? 1.5 : 3;
  options.onProgress(`${name}: writing what is listed`);
  const keys = Array.from({ length: listedKeys }, (_, index) => `list/${index.toString().padStart(8, '0')}`);
  const objects = keys.map((key): PlannedRequest => ({
    method: 'PUT',
    path: `/${bucket}/${key}`,
    bodyBytes: 100,
    expectedStatus: 200,
  }));
  await runOnce(workspace, target, folder, objects, { connections: 64 });
  const pages = Array.from({ length: listedKeys / pageKeys }, (_, page): PlannedRequest => {
    const after = page === 0 ? 'list%2F' : encodeURIComponent(keys[page * pageKeys - 1] ?? '');
    return {
      method: 'GET',
      path: `/${bucket}`,
      query: `list-type=2&max-keys=${pageKeys}&prefix=list%2F&start-after=${after}`,
      expectedStatus: 200,
    };
  });
  const load = { connections: 16, seconds, loops: true };
  const probe = await runOnce(workspace, target, folder, pages, { ...load, seconds: warmUpSeconds });
  // An entry of the XML is over 200 bytes: a page that is not full would flatter.
  if (probe.receivedBytes / probe.requests < pageKeys * 200) throw new Error('a page holds fewer than 1,000 keys');
  const ours: LoadFigures[] = [];
  const anchors: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    options.onProgress(`${name}: round ${round} of ${rounds}`);
    ours.push(await runOnce(workspace, target, folder, pages, load));
    if (options.foreign === null) anchors.push(await scanRate(keys, pageKeys));
  }
  const value = median(ours.map(perSecond)) * pageKeys;
  const anchorName = anchors.length > 0 ? 'the index alone, scanned (keys/s)' : 'none';
  const anchor = { name: anchorName, value: median(anchors) };
  return { name, unit: 'keys/s', value, anchor, ratio: value / anchor.value, ...beside(ours) };
}

/** With a bucket, and a folder for plans. */
async function onServer(
  workspace: Workspace,
  options: PathOptions,
  medium: Medium,
  environment: Readonly<Record<string, string>>,
  measure: (target: LoadTarget, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await workspace.makeFolder(medium, 'plans');
  const server = options.foreign === null ? await startGranary(workspace, medium, environment) : null;
  const target = server?.target ?? options.foreign;
  if (target === null) throw new Error('there is no server to measure');
  try {
    await runOnce(
      workspace,
      target,
      folder,
      [{ method: 'PUT', path: `/${bucket}`, bodyBytes: 0, expectedStatus: 200 }],
      { connections: 1 },
    ).catch((error: unknown) => {
      // A foreign server may have the bucket from an earlier run.
      if (options.foreign === null) throw error;
    });
    await measure(target, folder);
  } finally {
    await server?.stop();
    await workspace.removeFolder(folder);
  }
}

export async function pathRows(workspace: Workspace, options: PathOptions): Promise<ReportRow[]> {
  const rows: ReportRow[] = [];
  const attempt = async (name: string, measure: () => Promise<ReportRow>): Promise<void> => {
    try {
      rows.push(await measure());
    } catch (error) {
      options.onFailure(name, error);
    }
  };
  const all = cases(options);
  for (const medium of options.media) {
    for (const isUncached of [false, true]) {
      const here = all.filter((one) => one.medium === medium && one.isUncached === isUncached);
      const wantsList = medium === options.media[0] && !isUncached && options.wants('path.list.1000');
      if (here.length === 0 && !wantsList) continue;
      await onServer(workspace, options, medium, isUncached ? uncached : {}, async (target, folder) => {
        for (const one of here) {
          await attempt(one.name, () => measureCase(workspace, one, target, folder, options));
        }
        if (wantsList) await attempt('path.list.1000', () => measureList(workspace, target, folder, options));
      });
    }
  }
  return rows;
}
