/**
 * Calls every binding of the addon with arguments that are wrong: of another type, out of range, detached, changed by
 * their own getters. In a process of its own, since what is looked for is its end. Arguments: seed, count of calls,
 * folder, and the addon if it is not the one that is shipped. Prints what it did as one line of JSON.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [seedText = '1', countText = '1000', folder = '.', addonPath = '../../build/Release/granary.node'] =
  process.argv.slice(2);
const addon = createRequire(import.meta.url)(addonPath);
let state = BigInt(seedText);

function random() {
  state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
  let mixed = state;
  mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
  mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
  return Number((mixed ^ (mixed >> 31n)) >> 11n) / 2 ** 53;
}
const below = (bound) => Math.floor(random() * bound);
const pick = (list) => list[below(list.length)];

const arenaBytes = 1 << 20;
const arena = addon.createArena(arenaBytes);
addon.attachArena(arena);
addon.setHashKey(new Uint8Array(32).fill(7));
const queue = addon.createIoQueue(arena, 'fuzz', 2, 64);
const store = addon.openIndexStore(join(folder, 'index'), 1 << 16, 1 << 16, 60_000);
store.put(new Uint8Array([1]), new Uint8Array([2, 3]));
const signingKey = addon.createSigningKey('secret', '20260101', 'us-east-1', 's3');

const stateAt = 65_536;
const otherStateAt = 69_632;
const bytes = (length = 32) => new Uint8Array(length).fill(length);
const passArgs = () => Float64Array.of(stateAt, 0, 4096, 2, 1, 2048, 8192, 16_384, 1024, 1, 2, 0);
const job = () => Float64Array.of(0, 4096, 16_384, 1024, 1, 2, 0, 0);
const offsets = () => Float64Array.of(0, 4096, 8192);
const signing = () => ({
  signingKey,
  amzDate: '20260101T000000Z',
  scope: '20260101/us-east-1/s3/aws4_request',
  seedSignature: 'a'.repeat(64),
});
const request = () => ({
  kind: 1,
  path: join(folder, 'nothing'),
  toPath: join(folder, 'nobody'),
  fileOffset: 0,
  segments: Float64Array.of(0, 512),
  bytes: 512,
  flags: 4,
});

/** Kinds of arguments: n number, b Uint8Array, d Float64Array, s string, t string or Uint8Array, o object, a array; `?` may be null. */
const cases = [
  ['createArena', 'n', () => [4096]],
  ['attachArena', 'x', () => [arena], { onlyWrong: true }],
  ['setHashKey', 'b', () => [bytes()]],
  ['copyToArena', 'nbnn', () => [0, bytes(), 0, 32]],
  ['copyWithinArena', 'nnn', () => [0, 4096, 512]],
  ['streamInit', 'nno?', () => [stateAt, 63, random() < 0.5 ? null : signing()]],
  ['streamUpdate', 'nnnd?b?', () => [stateAt, 0, 4096, null, null]],
  ['streamUpdate', 'nnnd?b?', () => [stateAt, 0, 4096, Float64Array.of(100, 200), bytes(64)]],
  [
    'streamUpdates',
    'd',
    () => {
      addon.streamInit(otherStateAt, 63, null);
      return [Float64Array.of(otherStateAt, 0, 4096)];
    },
  ],
  ['streamDigest', 'nn', () => [stateAt, pick([1, 2, 4, 8, 16, 32])]],
  ['streamDigestHex', 'nn', () => [stateAt, pick([1, 2, 4, 8, 16, 32])]],
  ['streamTrailerSignature', 'nbb', () => [stateAt, bytes(), bytes()]],
  ['putPass', 'dd?b?', () => [passArgs(), null, null]],
  ['putPass', 'dd?b?', () => [passArgs(), Float64Array.of(4096), bytes()]],
  ['putPasses', 'daa', () => [passArgs(), [null], [null]]],
  ['verifyBlocks', 'd', () => [job()]],
  ['hashBlocks', 'd', () => [job()]],
  ['encode', 'nnnd', () => [2, 1, 4096, offsets()]],
  ['reconstruct', 'nnndnn', () => [2, 1, 4096, offsets(), 3, 4]],
  ['digest', 'nb', () => [2, bytes()]],
  ['highwayHash256', 'bb', () => [bytes(), bytes(100)]],
  ['crcCombine', 'nbbn', () => [8, bytes(4), bytes(4), 10]],
  ['argon2id', 'bbnnnn', () => [bytes(), bytes(), 1, 8, 1, 32]],
  ['replaceProcess', 'sa', () => [join(folder, 'no program'), ['x']]],
  ['hmacSha256', 'bt', () => [bytes(), 'message']],
  ['hmacSha1', 'bt', () => [bytes(), 'message']],
  ['sha256Hex', 't', () => ['message']],
  ['createSigningKey', 'ssss', () => ['secret', '20260101', 'us-east-1', 's3']],
  ['sign', 'bs', () => [signingKey.slice(), 'message']],
  ['verifyRequest', 'bssss', () => [signingKey.slice(), '20260101T000000Z', 'scope', 'request', 'a'.repeat(64)]],
  ['constantTimeEqual', 'tt', () => ['a', bytes()]],
  ['createIoQueue', 'xsnn', () => [arena, 'more', 1, 4], { result: (made) => made.close(1000) }],
  ['lockFile', 'n', () => [60_000]],
  ['openIndexStore', 'snnn', () => [join(folder, 'other'), 4096, 4096, 60_000], { result: (made) => endStore(made) }],
  ['submit', 'o', () => [request()], { on: queue }],
  ['enter', 'n', () => [60_000], { on: queue }],
  ['hold', 'n', () => [60_000], { on: queue }],
  ['cancel', 'n', () => [1], { on: queue }],
  ['readNow', 'nnnn', () => [60_000, 0, 0, 512], { on: queue }],
  ['readCheckedNow', 'nnd', () => [60_000, 0, job()], { on: queue }],
  ['close', 'n', () => [1], { on: queue, onlyWrong: true }],
  ['get', 'bb', () => [new Uint8Array([1]), bytes()], { on: store }],
  ['put', 'bb', () => [bytes(below(40)), bytes(below(400))], { on: store }],
  ['delete', 'b', () => [bytes(below(40))], { on: store }],
  [
    'openRange',
    'bbn',
    () => [new Uint8Array(0), bytes(), below(2)],
    { on: store, result: (range) => (lastRange = range) },
  ],
  ['readRange', 'nbn', () => [lastRange, bytes(200), 10], { on: store }],
  ['closeRange', 'n', () => [lastRange], { on: store }],
  ['isFlushed', 'n', () => [1], { on: store }],
];
const endStore = (made) => (random() < 0.5 ? made.close() : made.leave());
let lastRange = 1;
/** Without arguments. */
const bare = ['paths', 'availablePaths', 'threadCpuMicros'];

const detached = () => {
  const gone = pick([new Uint8Array(64), new Float64Array(24)]);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  return gone;
};
const numbers = [
  NaN,
  -0,
  -1,
  0.5,
  1e-300,
  1,
  2,
  3,
  31,
  63,
  64,
  65,
  255,
  256,
  4096,
  4097,
  65_535,
  65_536,
  arenaBytes - 1,
  arenaBytes,
  arenaBytes + 1,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 63,
  2 ** 64,
  1e300,
  Infinity,
  -Infinity,
];
const never = [undefined, true, Symbol('x'), 5n, () => 1, new Date(), /x/, new Map()];
const strings = ['', 'x', '\0', 'a\0b', 'é'.repeat(3000), '\ud800', 'z'.repeat(70_000)];
const views = [
  () => new Uint8Array(0),
  () => bytes(31),
  () => bytes(70_000),
  () => new Int8Array(32),
  () => new DataView(new ArrayBuffer(32)),
  () => new ArrayBuffer(32),
  () => new Float32Array(8),
  () => new Uint8Array(arena, pick([0, 4096, arenaBytes - 8])),
  () => new Float64Array(arena, 4096, 12),
  () => new Float64Array(0),
  () => Float64Array.from({ length: pick([1, 2, 8, 11, 12, 13, 24, 384, 396]) }, () => pick(numbers)),
  () => Float64Array.from({ length: pick([8, 12]) }, () => below(5000)),
  detached,
];
const others = [
  () => null,
  () => ({}),
  () => [],
  () => [1, 'x', null],
  () => Object.create(SharedArrayBuffer.prototype),
  () =>
    new Proxy(
      {},
      {
        get: () => {
          throw new Error('no');
        },
      },
    ),
  () => new Proxy([], {}),
  () => ({ length: 2 ** 31 }),
];

const anything = () =>
  pick([() => pick(numbers), () => pick(never), () => pick(strings), () => pick(views)(), () => pick(others)()])();

/** Of its own kind, and wrong most of the time. */
function similar(value) {
  if (ArrayBuffer.isView(value) && value.byteLength === 0) return anything();
  if (typeof value === 'number') return random() < 0.3 ? value + below(3) - 1 : pick(numbers);
  if (value instanceof Float64Array) {
    const changed = Float64Array.from(value);
    for (let times = 1 + below(3); times > 0 && changed.length > 0; times--)
      changed[below(changed.length)] = pick(numbers);
    return random() < 0.1 ? changed.subarray(1) : changed;
  }
  if (value instanceof Uint8Array) return pick([() => value.subarray(1), () => bytes(below(200)), detached])();
  if (typeof value === 'string') return pick(strings);
  if (Array.isArray(value)) {
    return pick([
      () => [],
      () => [Float64Array.of(pick(numbers), pick(numbers))],
      () => [anything()],
      () => Array.from({ length: 70_000 }, () => 'x'),
    ])();
  }
  if (value !== null && typeof value === 'object' && !(value instanceof SharedArrayBuffer)) {
    const changed = { ...value };
    const keys = Object.keys(changed);
    for (let times = 1 + below(2); times > 0 && keys.length > 0; times--) {
      const key = pick([...keys, 'fd', 'checks']);
      // Never one that is open: it would be the runtime's own.
      if (key === 'fd') changed.fd = pick([NaN, -1, 0.5, 60_000, 2 ** 31, 'x', null]);
      else if (key === 'checks') changed.checks = random() < 0.5 ? similar(job()) : anything();
      else changed[key] = random() < 0.5 ? similar(changed[key]) : anything();
    }
    // Zeroes go to a file that does not exist, and a list of names is of this folder only.
    if (changed.path !== undefined && typeof changed.path === 'string' && !changed.path.startsWith(folder))
      changed.path = '';
    return changed;
  }
  return anything();
}

const counts = { calls: 0, refused: 0, answered: 0 };
const waiting = [];
let described = '';

function call(name, target, args, onResult) {
  counts.calls++;
  try {
    const result = target[name](...args);
    counts.answered++;
    if (result instanceof Promise)
      waiting.push(
        result.then(
          () => undefined,
          (error) => expectError(error),
        ),
      );
    const after = onResult?.(result);
    if (after instanceof Promise) waiting.push(after);
    return null;
  } catch (error) {
    expectError(error);
    counts.refused++;
    return error;
  }
}

function expectError(error) {
  if (error instanceof Error) return;
  throw new Error(`${described} threw what is no error: ${String(error)}`);
}

/** What no argument of this kind can be. */
function wrongFor(kind) {
  const isNumber = kind === 'n';
  const found = [Symbol('x'), 5n, () => 1, true, [1], new Int8Array(8), new Map()];
  if (!isNumber) found.push(7);
  if (kind !== 's' && kind !== 't') found.push('text');
  if (kind === 'b' || kind === 't') found.push(new Float64Array(1), new DataView(new ArrayBuffer(8)));
  if (kind === 'd') found.push(new Uint8Array(8), new Float32Array(2));
  return found.filter((value) => !(kind === 'a' && Array.isArray(value)));
}

// First each argument of each binding with each wrong type: all of them are refused.
for (const [name, kinds, make, { on = addon } = {}] of cases) {
  for (const [index, kind] of [...kinds.replaceAll('?', '')].entries()) {
    // What an object must hold is looked at below.
    if (kind === 'o') continue;
    for (const wrong of wrongFor(kind)) {
      const args = make();
      if (name === 'streamUpdate' || name === 'putPass') {
        if (kind === 'b') continue;
      }
      args[index] = wrong;
      described = `${name} with ${typeof wrong} as argument ${index}`;
      addon.streamInit(stateAt, 63, signing());
      if (call(name, on, args) === null) throw new Error(`${described} was not refused`);
    }
  }
}
const refusedTypes = counts.refused;

for (const name of [...Object.keys(addon)]) {
  if (!bare.includes(name) && !cases.some(([known]) => known === name)) throw new Error(`${name} is not fuzzed`);
}

// Then at random.
for (let turn = 0; turn < Number(countText); turn++) {
  const [name, , make, { on = addon, result, onlyWrong = false } = {}] = pick(cases);
  const args = make();
  for (let times = onlyWrong ? 1 : below(3); times > 0; times--) {
    const index = below(args.length);
    args[index] = onlyWrong
      ? pick([...never, ...strings, {}, null, -1])
      : random() < 0.7
        ? similar(args[index])
        : anything();
  }
  // A derivation of an hour, or in a gigabyte, is what was asked for.
  if (
    name === 'argon2id' &&
    [args[2], args[3]].some((value) => typeof value === 'number' && value > 300 && value < 2 ** 31)
  )
    continue;
  if (name === 'createArena' && typeof args[0] === 'number' && args[0] > 2 ** 30) args[0] = 2 ** 60;
  // Elements and properties that take the memory of other arguments away while they are read.
  if (name === 'putPasses' && random() < 0.3) {
    const args0 = Float64Array.from([...passArgs(), ...passArgs()]);
    args0[12] = -1;
    const trap = [null, null];
    Object.defineProperty(trap, below(2), {
      get: () => {
        if (args0.buffer.byteLength > 0) structuredClone(args0.buffer, { transfer: [args0.buffer] });
        return null;
      },
    });
    args.splice(0, 3, args0, random() < 0.5 ? trap : [null, null], random() < 0.5 ? trap : [null, null]);
  }
  if (name === 'streamInit' && random() < 0.3) {
    const key = signingKey.slice();
    args[2] = {
      ...signing(),
      get signingKey() {
        if (random() < 0.5) structuredClone(key.buffer, { transfer: [key.buffer] });
        return key;
      },
    };
  }
  described = `${name}, call ${turn}`;
  call(name, on, args, result);
  if (random() < 0.1) addon.streamInit(stateAt, 63, random() < 0.5 ? null : signing());
  if (random() < 0.02) addon.setHashKey(bytes());
  // Something else lies over the stream's state.
  if (random() < 0.05) new Uint8Array(arena).fill(below(256), stateAt + 8 + below(600), stateAt + 700);
  if (waiting.length > 32) await Promise.all(waiting.splice(0));
}
await Promise.all(waiting.splice(0));

// It still does what it is for.
const sum = addon.sha256Hex('abc');
if (sum !== 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad') throw new Error(`SHA-256 is ${sum}`);
const view = new Uint8Array(arena);
for (let at = 0; at < 8192; at++) view[at] = below(256);
const before = view.slice(0, 4096);
addon.encode(2, 1, 4096, offsets());
view.fill(0, 0, 4096);
addon.reconstruct(2, 1, 4096, offsets(), 0b110, 0b001);
if (Buffer.compare(before, view.slice(0, 4096)) !== 0) throw new Error('a shard is not rebuilt');
await queue.close(1000);
store.close();
console.log(JSON.stringify({ ...counts, refusedTypes }));
