/**
 * An index in a process of its own, that can be killed and whose files can fail. Uses the compiled server. What batch a
 * position stands for follows from the seed alone, so whatever is found at a start can be compared with what the index
 * was at that position. Tells its parent what happens; takes from it where the index could lie, and when to end.
 */
import { inOrderOfUse, openRunCatalog, removeOtherIndexes } from '../../dist/catalog/index.js';

const [seedText = '1', ...folders] = process.argv.slice(2);
const seed = Number(seedText);
/** About 2 MB with their values: a copy takes several pieces, with batches between them. */
const keyCount = 2000;
const batchMs = 1;
const batchesPerLook = 40;
const batchesPerFlush = 25;
const positionKey = Buffer.from('position');
const everything = { start: Buffer.of(0), end: Buffer.of(0xff) };

/** As `seededRandom` of the tests. */
function randomFrom(start) {
  let state = start >>> 0;
  return (limit) => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return Math.floor((((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32) * limit);
  };
}

/** What a batch changes: keys, and values or null. The first one fills the index. */
function changesOf(batch) {
  const below = randomFrom(seed * 1_000_003 + batch);
  const isFirst = batch === 1;
  return Array.from({ length: isFirst ? keyCount : 1 + below(20) }, (_, index) => {
    const key = `k${String(isFirst ? index : below(keyCount)).padStart(4, '0')}`;
    if (!isFirst && below(4) === 0) return [key, null];
    return [key, `${batch}.${'v'.repeat(below(below(50) === 0 ? 20_000 : 2000))}`];
  });
}

function apply(model, batch) {
  for (const [key, value] of changesOf(batch)) {
    if (value === null) model.delete(key);
    else model.set(key, value);
  }
  model.set('position', String(batch));
}

const tell = (message) => process.send(message);
/** What is told before is on its way when this process ends. */
const end = (message, code) => process.send(message, () => process.exit(code));

function expectSame(entries, model, what) {
  const keys = [...model.keys()].sort();
  let index = 0;
  for (const { key, value } of entries) {
    const name = key.toString();
    if (name !== keys[index]) throw new Error(`${what}: ${name} instead of ${keys[index] ?? 'the end'}`);
    if (value.toString() !== model.get(name)) throw new Error(`${what}: another value of ${name}`);
    index++;
  }
  if (index < keys.length) throw new Error(`${what}: ${keys[index]} is missing`);
}

const placeAt = (directory) => ({ directory, freeBytes: () => Promise.resolve(0) });
let places = folders;
let isAskedToStop = false;
process.on('message', (message) => {
  if (message.places !== undefined) places = message.places;
  if (message.stop === true) isAskedToStop = true;
});
process.on('disconnect', () => process.exit(0));

/** As a server does it: createServer. */
async function openHere() {
  let failure;
  for (const directory of await inOrderOfUse(folders)) {
    const log = (text) => tell({ log: text });
    try {
      const catalog = await openRunCatalog({
        ...{ directory, log, memoryBytes: 16 * 1024, cacheBytes: 64 * 1024, flushMs: 200, stuckMs: 400 },
        ...{
          places: () => places.map(placeAt),
          placeLookMs: 10,
          onDamage: () => tell({ wrong: 'it could not be read' }),
        },
      });
      await removeOtherIndexes(folders, directory, log);
      return { catalog, directory };
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** A range that stays open while the index changes, and moves. */
class LongRange {
  constructor(catalog, model) {
    this.model = new Map(model);
    this.entries = catalog.range(everything)[Symbol.iterator]();
    // It shows what is there when the first entry is taken.
    const first = this.entries.next();
    this.seen = first.done === true ? [] : [first.value];
  }

  /** True at its end. */
  step() {
    for (let count = 0; count < 10; count++) {
      const next = this.entries.next();
      if (next.done === true) {
        expectSame(this.seen, this.model, 'a range that was opened earlier');
        return true;
      }
      this.seen.push(next.value);
    }
    return false;
  }
}

let opened;
try {
  opened = await openHere();
} catch (error) {
  end({ refused: error.message }, 5);
}
if (opened !== undefined) {
  const { catalog, directory } = opened;
  try {
    const model = new Map();
    let batch = Number(catalog.get(positionKey)?.toString() ?? 0);
    for (let one = 1; one <= batch; one++) apply(model, one);
    expectSame(catalog.range(everything), model, `what was found at batch ${batch}`);
    tell({ opened: { directory, batch } });
    let range = new LongRange(catalog, model);
    while (!isAskedToStop) {
      await new Promise((resolve) => setTimeout(resolve, batchMs));
      if (!catalog.hasRoom()) continue;
      batch++;
      apply(model, batch);
      await catalog.write((changes) => {
        for (const [key, value] of changesOf(batch)) {
          if (value === null) changes.delete(Buffer.from(key));
          else changes.put(Buffer.from(key), Buffer.from(value));
        }
        changes.put(positionKey, Buffer.from(String(batch)));
      });
      if (range.step()) range = new LongRange(catalog, model);
      if (batch % batchesPerLook === 0) expectSame(catalog.range(everything), model, `at batch ${batch}`);
      if (batch % batchesPerFlush === 0) {
        const flushed = batch;
        catalog.flush().then(
          () => tell({ flushed }),
          (error) => tell({ notFlushed: error.message }),
        );
      }
    }
    while (!range.step());
    expectSame(catalog.range(everything), model, 'at the end');
    await catalog.close().then(
      () => end({ closed: batch }, 0),
      (error) => end({ notClosed: error.message }, 4),
    );
  } catch (error) {
    end({ wrong: error.stack }, 3);
  }
}
