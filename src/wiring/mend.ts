/** A server without clients, until its drives hold everything: for `granary fsck --repair` and `--rebuild`. */
import { systemClock } from '../base/index.js';
import { Engine } from '../object/index.js';
import { ComputePool, type SlabArena } from '../pool/index.js';
import type { Logger } from '../telemetry/index.js';
import type { FsckOptions } from './check-types.js';
import { openDeployment } from './deployment.js';
import { closeCatalog, openCatalog } from './server-catalog.js';
import { engineSets, isWholeHistory, liveSets, openSetJournals } from './sets.js';

const driveGraceMs = 2_000;
const threads = 2;
const lookMs = 100;
/** Nobody waits for anything else. */
const fullPace = { bytesPerSecondMax: Number.MAX_SAFE_INTEGER, shareMax: 1 };
/** Drives are caught up as long as that makes progress. */
const stallMsMax = 60_000;

/** Answers how many shards and pieces of logs were written anew. */
export async function mendDrives(
  options: FsckOptions & { readonly arena: SlabArena; readonly logger: Logger },
): Promise<number> {
  const { arena, logger } = options;
  const undo: (() => Promise<void> | void)[] = [];
  try {
    const deployment = await openDeployment({
      groups: [options.drives],
      parity: null,
      arena: arena.arena,
      isSynced: true,
    });
    const sets = liveSets(deployment, logger);
    for (const set of sets) undo.push(() => set.closeDrives(driveGraceMs));
    const compute = new ComputePool({ arena: arena.arena, hashKey: deployment.hashKey, threads });
    undo.push(() => compute.close());
    const { catalog } = await openCatalog({ indexDir: options.indexDir }, deployment, logger);
    undo.push(() => closeCatalog(catalog, logger));
    const log = (text: string): void => logger.warn(text);
    const engine = new Engine({ ...engineSets(deployment, sets), catalog, compute, slabs: arena, log });
    undo.push(() => engine.close());
    const opened = await openSetJournals(deployment, sets, arena, engine, logger);
    for (const [setIndex, { journal }] of opened.entries()) {
      undo.push(() => journal.close());
      sets[setIndex]?.start(journal);
      undo.push(() => sets[setIndex]?.close());
    }
    engine.start(
      opened.map(({ journal }) => journal),
      isWholeHistory(opened) ? 0 : null,
    );
    engine.setUpkeep({ heal: fullPace, scan: { pace: fullPace, cycleMsMin: 0 } });
    await caughtUp(() => opened.flatMap(({ journal }) => journal.health().catchingUp));
    if (options.repair) {
      await engine.restoreBuckets();
      await engine.upkeepDone();
    }
    return engine.upkeepStatus().heal.repairedShards;
  } finally {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  }
}

async function caughtUp(
  catchingUp: () => readonly { readonly position: number; readonly progress: number }[],
): Promise<void> {
  let before = '';
  let sinceMs = systemClock.monotonicMs();
  for (let now = catchingUp(); now.length > 0; now = catchingUp()) {
    const seen = JSON.stringify(now);
    const nowMs = systemClock.monotonicMs();
    if (seen !== before) sinceMs = nowMs;
    before = seen;
    // The check behind this says what is left.
    if (nowMs - sinceMs > stallMsMax) return;
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}
