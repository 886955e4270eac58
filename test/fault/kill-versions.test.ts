/**
 * `kill -9` while versions are written and ended: every acknowledged version and delete marker is there with its
 * content and in its place, and what was under way happened or did not. GRANARY_SEED replays the choices of a failing
 * run (not the machine's timing), GRANARY_KILL_ROUNDS makes it longer.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, describe, expect, it } from 'vitest';
import { crashClient } from '../support/crash-workload.js';
import { startServer, type KillableServer } from '../support/killable-server.js';
import { seededRandom } from '../support/seeded-random.js';
import { versionPages } from '../support/version-pages.js';

const seed = Number(process.env['GRANARY_SEED'] ?? randomBytes(4).readUInt32LE());
const rounds = Number(process.env['GRANARY_KILL_ROUNDS'] ?? 4);
const Bucket = 'versions';
const writers = 8;
const keysPerWriter = 5;

/** Newest first. `sum` null: a delete marker. `id` null: its answer never came. */
interface Version {
  readonly id: string | null;
  readonly sum: string | null;
}

interface KeyState {
  versions: Version[];
  underWay: { readonly put: Version } | { readonly end: string } | null;
}

const folder = mkdtempSync(join(tmpdir(), 'granary-kill-versions-'));
let server: KillableServer | null = null;

afterAll(async () => {
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

const sumOf = (body: Uint8Array): string => createHash('sha256').update(body).digest('hex');

async function change(s3: S3Client, random: () => number, Key: string, state: KeyState): Promise<void> {
  const choice = random();
  const known = state.versions.flatMap(({ id }) => id ?? []);
  if (choice < 0.25 && known.length > 0) {
    const VersionId = known[Math.floor(random() * known.length)] ?? '';
    state.underWay = { end: VersionId };
    await s3.send(new DeleteObjectCommand({ Bucket, Key, VersionId }));
    state.versions = state.versions.filter(({ id }) => id !== VersionId);
  } else if (choice < 0.45) {
    state.underWay = { put: { id: null, sum: null } };
    const { VersionId, DeleteMarker } = await s3.send(new DeleteObjectCommand({ Bucket, Key }));
    expect(DeleteMarker).toBe(true);
    state.versions = [{ id: VersionId ?? '', sum: null }, ...state.versions];
  } else {
    const sizes = [random() * 600, random() * 20_000, 262_145 + random() * 1_000_000];
    const body = randomBytes(Math.floor(sizes[Math.floor(random() * sizes.length)] ?? 0));
    const sum = sumOf(body);
    state.underWay = { put: { id: null, sum } };
    const { VersionId } = await s3.send(new PutObjectCommand({ Bucket, Key, Body: body }));
    state.versions = [{ id: VersionId ?? '', sum }, ...state.versions];
  }
  state.underWay = null;
}

async function stored(s3: S3Client): Promise<Map<string, Version[]>> {
  const found = new Map<string, (Version & { readonly isLatest: boolean })[]>();
  for await (const page of versionPages(s3, { Bucket, MaxKeys: 40 })) {
    // The SDK parses versions and markers into two lists: their order within a key follows from the two alone.
    for (const { Key = '', VersionId = '', IsLatest = false } of page.Versions ?? []) {
      const answer = await s3.send(new GetObjectCommand({ Bucket, Key, VersionId }));
      const sum = sumOf((await answer.Body?.transformToByteArray()) ?? new Uint8Array());
      found.set(Key, [...(found.get(Key) ?? []), { id: VersionId, sum, isLatest: IsLatest }]);
    }
    for (const { Key = '', VersionId = '', IsLatest = false } of page.DeleteMarkers ?? []) {
      found.set(Key, [...(found.get(Key) ?? []), { id: VersionId, sum: null, isLatest: IsLatest }]);
    }
  }
  for (const [key, versions] of found) {
    expect(
      versions.filter(({ isLatest }) => isLatest),
      key,
    ).toHaveLength(1);
  }
  return new Map([...found].map(([key, versions]) => [key, versions.map(({ id, sum }) => ({ id, sum }))]));
}

/** The chain as it may be: with what was under way, and without. */
function possible({ versions, underWay }: KeyState): Version[][] {
  if (underWay === null) return [versions];
  if ('put' in underWay) return [versions, [underWay.put, ...versions]];
  return [versions, versions.filter(({ id }) => id !== underWay.end)];
}

/** The one of `chains` that `found` is, with the ids that it has; order is checked where it can be told. */
function match(chains: readonly Version[][], found: readonly Version[]): Version[] | null {
  for (const chain of chains) {
    if (chain.length !== found.length) continue;
    const rest = [...found];
    const matched = chain.map((version) => {
      const at = rest.findIndex(({ id, sum }) => sum === version.sum && (version.id === null || version.id === id));
      return at < 0 ? null : (rest.splice(at, 1)[0] ?? null);
    });
    if (matched.every((version): version is Version => version !== null)) return matched;
  }
  return null;
}

describe(`kill -9 while versions are written (seed ${seed})`, () => {
  it(`keeps every acknowledged version and marker in ${rounds} rounds`, async () => {
    const random = seededRandom(seed);
    const drives = [1, 2, 3, 4].map((n) => join(folder, `drive${n}`));
    const states = new Map<string, KeyState>();
    let changes = 0;
    for (let round = 0; round <= rounds; round++) {
      server = await startServer(drives);
      const s3 = crashClient(server.url);
      if (round === 0) {
        await s3.send(new CreateBucketCommand({ Bucket }));
        const VersioningConfiguration = { Status: 'Enabled' as const };
        await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
      }
      const found = await stored(s3);
      for (const [key, state] of states) {
        const matched = match(possible(state), found.get(key) ?? []);
        const what = `round ${round}, ${key}, seed ${seed}: ${JSON.stringify({ state, found: found.get(key) })}`;
        expect(matched, what).not.toBeNull();
        state.versions = matched ?? [];
        state.underWay = null;
        // What is the latest decides what a plain read answers.
        const latest = state.versions[0];
        const answer = await s3.send(new HeadObjectCommand({ Bucket, Key: key })).catch((error: unknown) => error);
        const id = answer instanceof Error ? null : (answer as { VersionId?: string }).VersionId;
        expect(id, what).toBe(latest === undefined || latest.sum === null ? null : latest.id);
      }
      const listed = (await s3.send(new ListObjectsV2Command({ Bucket }))).Contents?.map(({ Key }) => Key) ?? [];
      const present = [...states].filter(([, { versions }]) => (versions[0]?.sum ?? null) !== null);
      expect(listed.sort()).toEqual(present.map(([key]) => key).sort());
      if (round === rounds) break;

      let isOver = false;
      const storm = Array.from({ length: writers }, async (_, writer) => {
        while (!isOver) {
          const key = `w${writer}/k${Math.floor(random() * keysPerWriter)}`;
          const state = states.get(key) ?? { versions: [], underWay: null };
          states.set(key, state);
          try {
            await change(s3, random, key, state);
            changes++;
          } catch {
            // Cut off: the key stays under way until the next start tells.
            return;
          }
        }
      });
      await new Promise((resolve) => setTimeout(resolve, 500 + random() * 1000));
      await server.kill();
      isOver = true;
      await Promise.all(storm);
      s3.destroy();
    }
    expect(await server?.stop()).toBe(0);
    server = null;
    expect(changes).toBeGreaterThan(rounds * writers);
  });
});
