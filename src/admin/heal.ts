/** `mc admin heal`: what is being repaired, and repairs that an operator asks for. */
import { jsonAnswer } from './answer.js';
import { anyField, flagField, parseObject, plainBody } from './body.js';
import type { AdminDeps } from './deps.js';
import { adminError } from './errors.js';
import type { HealItem, HealProgress, HealSequence, HealSettings } from './heal-sequences.js';
import { driveView } from './info.js';
import { adminOperation, type AdminCall, type AdminRoute } from './operation.js';
import { leastParity, totalUsage, type DriveFacts, type SetFacts } from './server-state.js';
import { timeText } from './time.js';

const optionsBytesMax = 4096;
const deepScan = 2;

const backgroundStatus = adminOperation({
  name: 'BackgroundHealStatus',
  access: ['Heal'],
  handle: async (deps) => {
    const { state } = deps;
    const drives = await state.drives();
    const { heal, scan } = state.upkeep();
    return jsonAnswer({
      offline_nodes: [],
      ScannedItemsCount: scan.current?.objects ?? scan.last?.objects ?? 0,
      HealDisks: drives.filter(({ catchUp }) => catchUp !== null).map(({ path }) => path),
      sets: state.sets.map(({ setIndex, poolIndex, indexInPool }) => ({
        id: `${deps.deploymentId}:${setIndex}`,
        pool_index: poolIndex,
        set_index: indexInPool,
        heal_status: heal.waiting + heal.running > 0 ? 'Healing' : 'Idle',
        heal_priority: 'low',
        // Counted over all sets together.
        total_objects: setIndex === 0 ? totalUsage(state).objects : 0,
        disks: drives.filter((drive) => drive.setIndex === setIndex).map((drive) => driveView(drive, state.sets, true)),
      })),
      mrf: { [deps.endpoint()]: { bytes_healed: heal.repairedBytes, items_healed: heal.repairedShards } },
      sc_parity: {
        STANDARD: leastParity(state, 'STANDARD'),
        REDUCED_REDUNDANCY: leastParity(state, 'REDUCED_REDUNDANCY'),
      },
    });
  },
});

const heal = adminOperation({
  name: 'Heal',
  access: ['Heal'],
  handle: async (deps, call) => {
    const { input } = call;
    const [, bucket = '', ...rest] = input.path;
    const prefix = rest.join('/');
    if (bucket === '' && prefix !== '') throw adminError('InvalidRequest', 'A prefix needs its bucket.');
    const [isForced, isStop] = [input.flag('forceStart'), input.flag('forceStop')];
    if (isForced && isStop) throw adminError('InvalidRequest', 'It can be forced to start or to stop, not both.');
    const token = input.query('clientToken');
    if (token !== '') return jsonAnswer(await progressView(deps, deps.healings.poll(bucket, prefix, token)));
    if (isStop) return jsonAnswer(sequenceView(deps.healings.stop(bucket, prefix)));
    const clientAddress = call.request.remoteAddress;
    const settings = settingsOf(await optionsOf(call));
    return jsonAnswer(sequenceView(deps.healings.start({ bucket, prefix, settings, clientAddress, isForced })));
  },
});

async function optionsOf(call: AdminCall): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await plainBody(call, optionsBytesMax);
  return bytes.length === 0 ? {} : parseObject(bytes);
}

function settingsOf(options: Readonly<Record<string, unknown>>): HealSettings {
  for (const name of ['remove', 'recreate', 'updateParity']) {
    if (flagField(options, name)) {
      throw adminError('NotImplemented', `Healing writes shards anew and removes nothing: it has no option ${name}.`);
    }
  }
  for (const name of ['pool', 'set']) {
    const index = anyField(options, name);
    if (index !== undefined && index !== null && index !== 0) {
      throw adminError(
        'XMinioAdminInvalidArgument',
        `Objects of all sets are healed: there is no choice of a ${name}.`,
      );
    }
  }
  const mode = anyField(options, 'scanMode');
  return {
    recursive: flagField(options, 'recursive'),
    dryRun: flagField(options, 'dryRun'),
    scanMode: typeof mode === 'number' && Number.isSafeInteger(mode) ? mode : deepScan,
  };
}

function sequenceView({ token, clientAddress, startedMs }: HealSequence) {
  return { clientToken: token, clientAddress, startTime: timeText(startedMs) };
}

async function progressView({ state }: AdminDeps, progress: HealProgress) {
  const { summary, detail, startedMs, settings, items } = progress;
  const drives = await state.drives();
  return {
    summary,
    detail,
    startTime: timeText(startedMs),
    settings: { ...settings, remove: false, recreate: false, updateParity: false, nolock: false },
    ...(items.length > 0 && { items: items.map((item) => itemView(item, drives, state.sets)) }),
  };
}

const held = { sound: 'ok', bad: 'corrupt', missing: 'missing', unreachable: 'offline' } as const;

function itemView({ number, object, bucket }: HealItem, all: readonly DriveFacts[], sets: readonly SetFacts[]) {
  // Buckets are records of the first set.
  const setIndex = object?.setIndex ?? 0;
  const drives = all.filter((drive) => drive.setIndex === setIndex);
  const parityShards = sets[setIndex]?.parityShards ?? 0;
  const views = (states: readonly string[]) => ({
    drives: drives.map(({ driveId, path }, index) => ({
      uuid: driveId,
      endpoint: path,
      state: states[index] ?? 'unknown',
    })),
  });
  const versionId = object === null || object.versionId === 'null' ? '' : object.versionId;
  const common = { resultId: number, bucket, versionId, diskCount: drives.length, setCount: 1 };
  if (object === null) {
    // A bucket is a record of the log, on every drive that takes part.
    const states = drives.map(({ state, catchUp }) => (state === 'ok' && catchUp === null ? 'ok' : 'offline'));
    return {
      ...common,
      type: 'bucket',
      object: '',
      detail: '',
      parityBlocks: parityShards,
      dataBlocks: drives.length - parityShards,
      before: views(states),
      after: views(states),
      objectSize: 0,
    };
  }
  return {
    ...common,
    type: 'object',
    object: object.key,
    detail: object.isInline ? 'in its record, which the scan verifies' : '',
    parityBlocks: object.parityShards,
    dataBlocks: object.dataShards,
    before: views(object.before.map((state) => held[state])),
    after: views(object.after.map((state) => held[state])),
    objectSize: object.bytes,
  };
}

export const healRoutes: readonly AdminRoute[] = [
  { method: 'POST', path: 'background-heal/status', operation: backgroundStatus },
  { method: 'POST', path: 'heal/{path...}', operation: heal },
];
