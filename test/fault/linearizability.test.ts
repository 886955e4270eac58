/**
 * Every answer that clients get while they use a few keys together, and the server and its drives go through everything
 * that may befall them, is explained by one order of what was done (`test/support/linearizability.ts`). GRANARY_SEED
 * replays the choices of a failing run (not the machine's timing), GRANARY_LINEAR_SECONDS makes each longer.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BucketHistory } from '../support/bucket-history.js';
import { FaultShim } from '../support/fault-shim.js';
import { History, type Mode } from '../support/history.js';
import { checkLinear, type KeyState, type Step } from '../support/linearizability.js';
import { seededRandom } from '../support/seeded-random.js';
import { mountSmall, type SmallFileSystems } from '../support/small-file-systems.js';
import { StormyServer, numbered, type Mishap, type StormOptions } from '../support/stormy-server.js';
import { UploadHistory } from '../support/upload-history.js';

const seed = Number(process.env['GRANARY_SEED'] ?? randomBytes(4).readUInt32LE());
const seconds = Number(process.env['GRANARY_LINEAR_SECONDS'] ?? 8);
const buckets: Record<string, Mode> = {
  plain: 'unversioned',
  kept: 'enabled',
  paused: 'suspended',
  toggled: 'toggled',
};
/** Log files, and room for what is written within seconds. */
const smallBytes = 230 << 20;

let folder = '';
let server: StormyServer | null = null;
let small: SmallFileSystems | null = null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-linear-'));
});

afterEach(async () => {
  await server?.kill();
  server = null;
  await small?.close();
  small = null;
  rmSync(folder, { recursive: true, force: true });
});

describe('the search for an order', () => {
  const absent = (state: KeyState): boolean => state.versions.length === 0;
  const step = (what: string, callMs: number, answerMs: number, apply: Step['apply'], isRead = false): Step => {
    return { what, callMs, answerMs, isOpen: false, isRead, apply };
  };
  const put = (value: string, callMs: number, answerMs: number, isAllowed: (state: KeyState) => boolean = () => true) =>
    step(`put ${value}`, callMs, answerMs, (state) =>
      isAllowed(state) ? { ...state, versions: [{ versionId: 'null', etag: value, token: value }] } : null,
    );
  const remove = (callMs: number, answerMs: number) =>
    step('delete', callMs, answerMs, (state) => (absent(state) ? state : { ...state, versions: [] }));
  const get = (value: string | null, callMs: number, answerMs: number) =>
    step(
      `get ${value}`,
      callMs,
      answerMs,
      (state) => ((state.versions[0]?.etag ?? null) === value ? state : null),
      true,
    );
  const open = (given: Step, untilMs = Infinity): Step => ({ ...given, answerMs: untilMs, isOpen: true });

  it.each<[string, boolean, Step[]]>([
    ['a read of what was written', true, [put('a', 0, 1), get('a', 2, 3)]],
    ['a read of what was written before that', false, [put('a', 0, 1), put('b', 2, 3), get('a', 4, 5)]],
    ['a read beside the write', true, [put('a', 0, 1), put('b', 2, 5), get('a', 3, 4), get('b', 3, 4)]],
    [
      'reads beside the write that see it come and go',
      false,
      [put('a', 0, 1), put('b', 2, 9), get('b', 3, 4), get('a', 5, 6)],
    ],
    [
      'a delete that comes after a write beside it',
      true,
      [remove(0, 9), put('a', 1, 2), get(null, 5, 6), get(null, 10, 11)],
    ],
    ['a write that gets lost', false, [put('a', 0, 1), get('a', 2, 3), get(null, 4, 5)]],
    ['two that were the first', false, [put('a', 0, 9, absent), put('b', 0, 9, absent)]],
    ['a first one behind a delete', true, [put('a', 0, 9, absent), put('b', 0, 9, absent), remove(0, 9)]],
    ['an unanswered write that shows late', true, [open(put('a', 0, 0)), get(null, 5, 6), get('a', 7, 8)]],
    ['an unanswered write that never shows', true, [open(put('a', 0, 0), 4), get(null, 5, 6), get(null, 7, 8)]],
    [
      'an unanswered write that shows after its deadline',
      false,
      [open(put('a', 0, 0), 4), get(null, 5, 6), get('a', 7, 8)],
    ],
    ['an unanswered write that shows and goes', false, [open(put('a', 0, 0)), get('a', 5, 6), get(null, 7, 8)]],
    [
      'an unanswered delete that explains an absence',
      true,
      [put('a', 0, 1), open(remove(2, 2)), get('a', 3, 4), get(null, 5, 6)],
    ],
  ])('%s: %s', (_, isLinear, steps) => {
    expect(checkLinear(steps)).toMatchObject({ isLinear });
  });

  it('goes through writes at once that nobody has seen', () => {
    const writes = Array.from({ length: 11 }, (_, index) => put(`${index}`, index / 100, 9 + index / 100));
    expect(checkLinear([...writes, get('7', 20, 21)])).toMatchObject({ isLinear: true });
    expect(checkLinear([...writes, get('11', 20, 21)])).toMatchObject({ isLinear: false, isGivenUp: false });
  });

  it.each([20, Infinity])('goes through unanswered ones at once, which had until %i', (untilMs) => {
    const first = put('first', 0, 1);
    const cutOff = Array.from({ length: 24 }, (_, index) => open(put(`${index}`, 2 + index / 100, 9), untilMs));
    const reads = (value: string): Step[] => [get(value, 21, 22), put('last', 23, 24), get('last', 25, 26)];
    for (const value of ['first', '0', '23']) {
      const verdict = checkLinear([first, ...cutOff, ...reads(value)]);
      expect(verdict).toMatchObject({ isLinear: true });
      expect('tried' in verdict && verdict.tried).toBeLessThan(2000);
    }
    expect(checkLinear([first, ...cutOff, ...reads('24')])).toMatchObject({ isLinear: false, isGivenUp: false });
  });
});

interface Scenario {
  readonly mishaps: readonly Mishap[];
  readonly connections: number;
  readonly keys: number;
  readonly sizes?: readonly number[];
  /** What there is beside that, once the folder is known. */
  readonly on: () => Promise<Partial<StormOptions> & Pick<StormOptions, 'groups' | 'damaged' | 'mayGo'>>;
}

/** Four drives bear two: one loses bytes, and one of the others may go at a time. */
const four = (): Pick<StormOptions, 'groups' | 'damaged' | 'mayGo'> => {
  const [first = '', second = '', third = '', fourth = ''] = numbered(folder, 'd', 4);
  return { groups: [first, second, third, fourth], damaged: second, mayGo: [first, third] };
};

const twoSets = (): Partial<StormOptions> & Pick<StormOptions, 'groups' | 'damaged' | 'mayGo'> => ({
  groups: [join(folder, 'd{1...8}')],
  added: join(folder, 'e{1...4}'),
  damaged: join(folder, 'd2'),
  mayGo: [join(folder, 'd1'), join(folder, 'd6')],
  environment: { MINIO_ERASURE_SET_DRIVE_COUNT: '4' },
  // Slow at times: what is decided in the second set waits while the first goes on.
  shim: new FaultShim(folder, [join(folder, 'd5')]),
});

const scenarios: Record<string, Scenario> = {
  'four drives that are lost, hang and rot, kills and pauses': {
    mishaps: ['kill', 'pause', 'damage', 'drive hangs', 'drive slow', 'drive away', 'drive emptied'],
    connections: 16,
    keys: 2,
    on: () => Promise.resolve({ ...four(), shim: new FaultShim(folder, four().groups) }),
  },
  'two sets and a pool that is added, kills': {
    mishaps: ['kill', 'pool', 'stop', 'pause', 'damage', 'drive away', 'drive slow', 'drive slow'],
    connections: 24,
    keys: 4,
    on: () => Promise.resolve(twoSets()),
  },
  'full drives, and hardly any memory': {
    mishaps: ['nothing', 'nothing', 'kill', 'pause'],
    connections: 24,
    keys: 1,
    sizes: [300, 5_000, 200_000, 3_000_000, 3_000_000, 3_000_000],
    on: async () => {
      small = await mountSmall(Array.from({ length: 4 }, () => smallBytes));
      const { folders, within } = small;
      const environment = { GRANARY_MEMORY: '32MiB', GRANARY_READ_CACHE: '4MiB' };
      return { groups: [...folders], damaged: '', mayGo: [], within, environment };
    },
  },
};

async function expectExplained(
  storm: StormyServer,
  history: History | BucketHistory | UploadHistory,
  mishaps: readonly Mishap[],
): Promise<void> {
  let failure: unknown = null;
  try {
    await storm.start();
    await storm.makeBuckets();
    await storm.storm(seconds, mishaps);
    await history.readAll();
    await storm.end();
  } catch (error) {
    failure = error;
  }
  history.close();
  const complaint = history.complaint();
  if (complaint !== null || failure !== null) console.error(storm.log.join('\n'), storm.output.slice(-4000));
  expect(complaint).toBeNull();
  if (failure !== null) throw failure as Error;
}

describe(`what clients are told (GRANARY_SEED=${seed})`, () => {
  it.each(Object.keys(scenarios))(
    'with %s, is explained by one order',
    async (name) => {
      const scenario = scenarios[name];
      if (scenario === undefined) throw new Error(`no scenario ${name}`);
      const random = seededRandom(seed);
      const { connections, keys, sizes } = scenario;
      const history = new History({ random, connections, keys, buckets, ...(sizes === undefined ? {} : { sizes }) });
      server = new StormyServer({ history, random, buckets, ...(await scenario.on()) });
      await expectExplained(server, history, scenario.mishaps);
      expect(history.steps).toBeGreaterThan(100);
    },
    120_000 + 3_000 * seconds,
  );

  it(
    'of buckets that come and go, with what is in two sets and a pool, is explained by one order',
    async () => {
      const random = seededRandom(seed);
      const history = new BucketHistory({ random, connections: 16, buckets: 3, keys: 3 });
      server = new StormyServer({ history, random, buckets: {}, ...twoSets() });
      await expectExplained(server, history, [
        'kill',
        'pool',
        'pause',
        'drive away',
        'drive slow',
        'drive slow',
        'drive slow',
      ]);
      for (const what of ['make done', 'delete BucketNotEmpty', 'put NoSuchBucket', 'get done']) {
        expect(history.counts.get(what), what).toBeGreaterThan(0);
      }
    },
    120_000 + 3_000 * seconds,
  );

  it(
    'of uploads whose parts are replaced while they are completed and aborted, is explained by one order',
    async () => {
      const random = seededRandom(seed);
      const history = new UploadHistory({ random, connections: 24, bucket: 'plain', uploads: 2 });
      server = new StormyServer({ history, random, buckets, ...twoSets() });
      await expectExplained(server, history, [
        'kill',
        'pool',
        'pause',
        'drive away',
        'damage',
        'drive slow',
        'drive slow',
      ]);
      for (const what of ['part done', 'complete done', 'complete InvalidPart', 'abort done', 'part NoSuchUpload']) {
        expect(history.counts.get(what), what).toBeGreaterThan(0);
      }
    },
    120_000 + 3_000 * seconds,
  );
});
