/**
 * A hundred thousand users and as many access keys on the drives of a server that is not running. Over its own
 * interfaces it would take minutes: every change waits for the drives, one after the other. Here the same code
 * makes the same records, and they are written many at a time.
 */
import { mkdir } from 'node:fs/promises';
import { systemClock } from '../../src/base/index.js';
import { openRunCatalog } from '../../src/catalog/index.js';
import { createIam, type IamChange, type IamStore } from '../../src/identity/index.js';
import { openJournal } from '../../src/journal/index.js';
import { kernels } from '../../src/native/index.js';
import { Engine } from '../../src/object/index.js';
import { ComputePool, SlabArena } from '../../src/pool/index.js';
import { createLogger } from '../../src/telemetry/index.js';
// Past the doors: nothing but a server opens drives otherwise.
import { openDeployment } from '../../src/wiring/deployment.js';
import { LiveSet } from '../../src/wiring/live-set.js';

export interface AccountsOptions {
  /** Of the drives. */
  readonly folders: readonly string[];
  readonly rootCredentials: { readonly accessKey: string; readonly secretKey: string };
  readonly userCount: number;
}

/** Records of a batch; each has some 200 bytes, and a change 2 MiB at most. */
const batchRecords = 2000;

/** Takes changes at once and writes them later: only for a process that nobody else depends on. */
class DeferringStore implements IamStore {
  #waiting: IamChange[] = [];
  bytes = 0;

  constructor(private readonly engine: Engine) {}

  read(name: string): Promise<Uint8Array | null> {
    return Promise.resolve(this.engine.systemRecord(name));
  }

  load(visit: (name: string, value: Uint8Array) => void): Promise<void> {
    this.engine.systemRecords('iam/', visit);
    return Promise.resolve();
  }

  async write(changes: readonly IamChange[]): Promise<void> {
    for (const change of changes) {
      this.#waiting.push(change);
      this.bytes += change.name.length + (change.value?.length ?? 0);
    }
    if (this.#waiting.length >= batchRecords) await this.flush();
  }

  async flush(): Promise<void> {
    const changes = this.#waiting;
    this.#waiting = [];
    await this.engine.writeSystemRecords(changes);
  }
}

export const userName = (index: number): string => `user-${String(index).padStart(6, '0')}`;
const keyName = (index: number): string => `KEY${String(index).padStart(9, '0')}`;

/** Answers the bytes of all records, names included. */
export async function writeAccounts({ folders, rootCredentials, userCount }: AccountsOptions): Promise<number> {
  for (const folder of folders) await mkdir(folder, { recursive: true });
  const log = createLogger({ level: 'error' });
  const arena = new SlabArena(64 << 20);
  const deployment = await openDeployment({ groups: [folders], parity: null, arena: arena.arena, isSynced: false });
  const { deploymentId, hashKey, sets } = deployment;
  const [{ dataShards, parityShards, places } = { dataShards: 0, parityShards: 0, places: [] }] = sets;
  const drives = places.map(({ drive }) => drive);
  const set = new LiveSet(deploymentId, drives, log, () => systemClock.monotonicMs());
  const compute = new ComputePool({ arena: arena.arena, hashKey, threads: 2 });
  const catalog = await openRunCatalog({ directory: `${places[0]?.path ?? ''}/.granary/index`, log: () => undefined });
  const engine = new Engine({
    catalog,
    compute,
    slabs: arena,
    sets: [{ drives: set, dataShards, parityShards }],
    log: () => undefined,
  });
  const { journal } = await openJournal({
    ...{ deploymentId, setIndex: 0, drives: drives.map((drive) => drive?.log ?? null), dataShards, slabs: arena },
    ...{ kernels, clock: systemClock, log },
    ...engine.partOf(0),
  });
  set.start(journal);
  engine.start([journal], null);
  const store = new DeferringStore(engine);
  const opened = await createIam({ store, rootCredentials, clock: systemClock });
  try {
    const { iam } = opened;
    for (let index = 0; index < userCount; index++) {
      const name = userName(index);
      await iam.setUser(name, { secretKey: `secret-of-${name}`, status: 'enabled' });
      await iam.attach({ kind: 'user', name }, [index % 2 === 0 ? 'readwrite' : 'readonly']);
      await iam.createAccessKey({
        ...{ parent: name, parentSource: 'internal', accessKey: keyName(index), secretKey: `secret-of-${name}` },
        ...{ name: 'bench', description: '', policy: null, expiresMs: null, claims: new Map(), groups: [] },
      });
    }
    await store.flush();
    return store.bytes;
  } finally {
    opened.close();
    await engine.close();
    await journal.close();
    set.close();
    await catalog.close();
    await compute.close();
    for (const drive of drives) await drive?.close(2000);
  }
}
