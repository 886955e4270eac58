/** `granary fsck` and `granary inspect`: what they ask for, and how they say what was found. */
import { StartupError } from '../base/index.js';
import { expandDrives, readSettings, splitWords, type Environment } from '../config/index.js';
import type {
  BodyPlace,
  CheckedDrive,
  DriveDamage,
  CheckProgress,
  CheckReport,
  Checks,
  FsckReport,
  InspectReport,
  RecordCopy,
  ShardPlace,
  VersionPlace,
} from '../wiring/index.js';
import type { CheckInvocation, FsckInvocation, InspectInvocation } from './check-program.js';
import { Printer } from './printer.js';
import { printable, type Output, type Paint } from './terminal.js';

export interface CheckWorld {
  readonly environment: Environment;
  readonly workingFolder: string;
  readonly out: Output;
  readonly err: Output;
  readonly checks: Checks;
}

export type CheckExitCode = 0 | 1 | 2;

export async function runCheck(invocation: CheckInvocation, world: CheckWorld): Promise<CheckExitCode> {
  const printer = new Printer(world, world.environment, invocation.isJson);
  const progress = new ProgressBar(world.err, invocation.kind === 'fsck' && invocation.isQuiet);
  try {
    const drives = expandDrives(namedDrives(invocation.drives, world.environment), world.workingFolder).flat();
    if (drives.length === 0) {
      throw new StartupError('no drive is named', `Name the folders of the server: granary ${invocation.kind} …`);
    }
    return invocation.kind === 'fsck'
      ? await fsck(invocation, drives, world, printer, progress)
      : await inspect(invocation, drives, world, printer, progress);
  } catch (error) {
    progress.clear();
    printer.fail(error, invocation.isDebug);
    return 2;
  }
}

/** As the server takes them. */
function namedDrives(given: readonly string[], environment: Environment): readonly string[] {
  if (given.length > 0) return given;
  const volumes = readSettings(environment).get('VOLUMES');
  if (volumes === null) return [];
  const words = splitWords(volumes.value);
  if (words === null) throw new StartupError(`${volumes.name} has a quote that is not closed`, 'Close it.');
  return words;
}

async function fsck(
  asked: FsckInvocation,
  drives: readonly string[],
  { checks, out }: CheckWorld,
  printer: Printer,
  progress: ProgressBar,
): Promise<CheckExitCode> {
  const { indexDir, repair, rebuild } = asked;
  const found = await checks.fsck({ drives, indexDir, repair, rebuild, onProgress: (step) => progress.show(step) });
  progress.clear();
  const isClean = found.now.problems.length === 0;
  if (asked.isJson) out.write(`${JSON.stringify({ clean: isClean, ...found })}\n`);
  else out.write(asked.isQuiet ? problemLines(found.now, printer.paint) : fsckText(found, printer.paint));
  return isClean ? 0 : 1;
}

async function inspect(
  asked: InspectInvocation,
  drives: readonly string[],
  { checks, out }: CheckWorld,
  printer: Printer,
  progress: ProgressBar,
): Promise<CheckExitCode> {
  const { bucket, key, indexDir } = asked;
  const found = await checks.inspect({ drives, indexDir, bucket, key, onProgress: (step) => progress.show(step) });
  progress.clear();
  const isGood =
    found.versions.length > 0 &&
    found.versions.every((version) => version.bodies.every(({ isReadable }) => isReadable));
  out.write(asked.isJson ? `${JSON.stringify(found)}\n` : inspectText(found, printer.paint));
  return isGood ? 0 : 1;
}

// ---- fsck ----

function fsckText(found: FsckReport, paint: Paint): string {
  const { now, before } = found;
  const lines = [
    `${paint.bold('Deployment')} ${now.deploymentId}: ${count(now.drives.length, 'drive')}${setsText(now)}`,
    ...now.drives.map((drive, index) => driveLine(drive, now.damage[index], paint)),
    ...now.unused.map(
      ({ path, reason }) => `  ${printable(path)}  ${paint.yellow('is none of the drives')}; ${printable(reason)}`,
    ),
    `${paint.bold('Log')}     ${count(now.log.files, 'file')}, ${count(now.log.batches, 'copy of a batch', 'copies of batches')} verified, ${size(now.log.bytes)} read${tailText(now)}`,
    `${paint.bold('Blobs')}   ${count(now.blobs.bodies, 'object or part', 'objects and parts')}, ${count(now.blobs.shards, 'shard')} verified`,
    `${paint.bold('Index')}   ${indexText(now.index.state)}; ${count(now.buckets, 'bucket')}, ${count(now.objects, 'object')}`,
    ...damageLines(now),
  ];
  if (before !== null) {
    lines.push(
      `${paint.bold('Before')}  ${before.problems.length === 0 ? 'nothing was wrong' : before.problems.map(printable).join('; ')}`,
    );
    lines.push(`${paint.bold('Repair')}  ${repairText(found, before)}`);
  }
  const verdict =
    now.problems.length === 0
      ? `${paint.green('Nothing is wrong.')}\n`
      : problemLines(now, paint) + remedy(now, before);
  return `${lines.join('\n')}\n${verdict}`;
}

function setsText({ sets }: CheckReport): string {
  const [first] = sets;
  if (sets.length === 1 && first !== undefined) {
    return `, ${first.dataShards} data and ${first.parityShards} parity shards`;
  }
  const shapes = sets.map(({ dataShards, parityShards }) => `${dataShards}+${parityShards}`);
  return ` in ${sets.length} sets: ${shapes.join(', ')}`;
}

/** What the next start does with the end of the log: ordinary after a server that was killed. */
function tailText({ log }: CheckReport): string {
  const finished = log.unfinished > 0 ? `; the next start finishes ${count(log.unfinished, 'batch', 'batches')}` : '';
  const dropped = log.dropped > 0 ? `; it drops ${count(log.dropped, 'unfinished batch', 'unfinished batches')}` : '';
  return finished + dropped;
}

function driveLine(
  { path, state, lacking, faults }: CheckedDrive,
  damage: DriveDamage | undefined,
  paint: Paint,
): string {
  const last = lacking === 1 ? 'the last batch, which' : `the last ${lacking} batches, which`;
  const wrong = damage === undefined ? [] : damageWords(damage);
  const current =
    lacking > 0
      ? paint.yellow(`holds all but ${last} the next start writes to it`)
      : wrong.length === 0
        ? paint.green('holds everything')
        : null;
  const words = {
    current,
    behind: paint.yellow('lacks some of the history'),
    unreadable: paint.red('its log cannot be read'),
    absent: paint.red('no drive here'),
  };
  const said = [words[state], ...wrong.map((one) => paint.red(one)), ...faults.map(printable)];
  return `  ${printable(path)}  ${said.filter((one) => one !== null).join('; ')}`;
}

function damageWords({ batches, badShards, missingShards }: DriveDamage): string[] {
  return [
    ...(batches > 0 ? [count(batches, 'damaged batch of its log', 'damaged batches of its log')] : []),
    ...(badShards > 0 ? [count(badShards, 'damaged shard')] : []),
    ...(missingShards > 0 ? [count(missingShards, 'missing shard')] : []),
  ];
}

function indexText(state: CheckReport['index']['state']): string {
  const words = {
    right: 'agrees with the logs',
    behind: 'is brought up to date by the next start',
    absent: 'is built by the next start',
    damaged: 'is damaged: it can be built anew from the logs',
    wrong: 'does not agree with the logs',
  };
  return words[state];
}

const listedMax = 20;

function damageLines({ blobs, log, orphans, drives, lostBuckets }: CheckReport): string[] {
  const pathsOf = (indexes: readonly number[]): string =>
    indexes.map((index) => printable(drives[index]?.path ?? '')).join(', ');
  const on = (indexes: readonly number[], what: string): string[] =>
    indexes.length === 0 ? [] : [`${what} on ${pathsOf(indexes)}`];
  const all = [...blobs.damaged, ...log.damaged];
  const damaged = all.slice(0, listedMax).map(({ bucket, key, file, offset, bad, missing, isReadable }) => {
    const where = [...on(bad, 'damaged'), ...on(missing, 'missing')].join('; ');
    const place = offset === null ? file : `${file} at ${offset}`;
    return `  ${printable(`${bucket}/${key}`)}  ${isReadable ? 'readable' : 'CANNOT BE READ'}, ${where} (${place})`;
  });
  const files = orphans.files
    .slice(0, listedMax)
    .map(({ position, name }) => `  ${name} on ${pathsOf([position])}: no record names it`);
  const buckets = lostBuckets
    .slice(0, listedMax)
    .map(
      ({ name, objects, versions }) =>
        `  ${name}  ${count(objects, 'object')} in ${count(versions, 'version')}, in a bucket that no record knows`,
    );
  const more = all.length + lostBuckets.length + orphans.count - damaged.length - buckets.length - files.length;
  return [...damaged, ...buckets, ...files, ...(more > 0 ? [`  … and ${more} more: see --json`] : [])];
}

function problemLines({ problems }: CheckReport, paint: Paint): string {
  return problems.map((problem) => `${paint.red('WRONG:')} ${printable(problem)}\n`).join('');
}

/** What is different behind a repair. */
function repairText({ repairedShards, isIndexRebuilt, now }: FsckReport, before: CheckReport): string {
  const drives = now.drives.flatMap(({ path, state, faults }, index) => {
    const was = before.drives[index];
    if (was === undefined || state !== 'current') return [];
    if (was.absence === 'empty') return [`${printable(path)} filled from the others`];
    if (was.state !== 'current' || was.lacking > 0) return [`${printable(path)} brought up to date`];
    return was.faults.length > faults.length ? [`${printable(path)} put right`] : [];
  });
  const files = before.orphans.count - now.orphans.count;
  const leftovers = files > 0 ? [`${count(files, 'leftover file')} removed`] : [];
  const given = before.lostBuckets.length - now.lostBuckets.length;
  const names = given > 0 ? [`${count(given, 'bucket')} restored-… made for what lay in unknown ones`] : [];
  const how = isIndexRebuilt || before.index.state !== 'behind' ? 'built anew' : 'brought up to date';
  const isOther = isIndexRebuilt || before.index.state !== 'right';
  const index = isOther && now.index.state === 'right' ? [`the index ${how}`] : [];
  const written = `${count(repairedShards, 'shard or piece of a log', 'shards and pieces of logs')} written anew`;
  // Those are damaged for nobody who only reads.
  const isUnseen = before.problems.length === 0 && drives.length === 0;
  const shards = isUnseen ? `${written}: whether their disks had them could not be told` : written;
  const done = [...drives, ...leftovers, ...names, ...index, ...(repairedShards > 0 ? [shards] : [])];
  if (done.length > 0) return done.join('; ');
  return before.problems.length === 0 ? 'nothing was to be done' : 'nothing could be done';
}

function remedy(now: CheckReport, before: CheckReport | null): string {
  const { blobs, log, index, orphans, drives, lostBuckets } = now;
  const isLost = blobs.unreadable + log.unreadableBodies + log.holes + log.unreadableBatches > 0;
  if (isLost)
    return 'Nothing of what cannot be read is removed: bring back drives or copies of them, and run it again.\n';
  const unusable = drives.filter(({ absence, state }) => absence === 'unusable' || state === 'unreadable');
  const isMendable =
    log.bad + blobs.badShards + blobs.missingShards + orphans.count + index.differences + lostBuckets.length > 0 ||
    index.state === 'damaged' ||
    drives.some(({ absence, state, faults }) =>
      absence === null ? state === 'behind' || (state === 'current' && faults.length > 0) : absence === 'empty',
    );
  const lines: string[] = [];
  if (drives.some(({ absence }) => absence === 'unnamed'))
    lines.push('Name the folders of all drives, or an empty folder in place of a drive that is gone.');
  if (unusable.length > 0) {
    const paths = unusable.map(({ path }) => printable(path)).join(', ');
    lines.push(`Bring back ${paths}, or put an empty folder there, which granary fsck --repair … fills.`);
  }
  if (isMendable && before !== null) lines.push('This is left after the repair.');
  if (isMendable && before === null) {
    const flags = index.state === 'wrong' ? '--rebuild --repair' : '--repair';
    lines.push(`To mend ${lines.length === 0 ? 'it' : 'the rest'}: granary fsck ${flags} …`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

// ---- inspect ----

function inspectText({ bucket, key, versions, drives }: InspectReport, paint: Paint): string {
  const name = paint.bold(printable(`${bucket}/${key}`));
  if (versions.length === 0) return `${name}: there is no such object\n`;
  return `${name}\n${versions.map((version) => versionText(version, drives, paint)).join('')}`;
}

function versionText(version: VersionPlace, drives: readonly CheckedDrive[], paint: Paint): string {
  const { versionId, isLatest, isDeleteMarker, bytes, etag, modifiedMs, copies, bodies } = version;
  const facts = isDeleteMarker ? 'delete marker' : `${size(bytes)} (${bytes} bytes), ETag ${etag}`;
  const head = `version ${printable(versionId)}${isLatest ? ' (latest)' : ''}: ${facts}, ${new Date(modifiedMs).toISOString()}\n`;
  const shown = isDeleteMarker ? [] : bodies;
  // Bytes in the record are not told apart from it.
  const isInRecord = shown.some(({ partNumber, kind }) => partNumber === null && kind === 'inline');
  const isAll = shown.every(({ kind }) => kind === 'none');
  const record = isInRecord ? '' : `  its record: ${copiesText(copies, drives, paint, isAll ? 'all' : 'wrong')}`;
  return head + shown.map((body) => bodyText(body, copies, drives, paint)).join('') + record;
}

function bodyText(
  body: BodyPlace,
  ofVersion: readonly RecordCopy[],
  drives: readonly CheckedDrive[],
  paint: Paint,
): string {
  const { partNumber, bytes, kind, dataShards, parityShards, shards, copies, isReadable } = body;
  const what = partNumber === null ? '' : `part ${partNumber}, ${size(bytes)}: `;
  if (kind === 'none') return `  ${what}no bytes\n`;
  const ofRecord = partNumber === null ? ofVersion : copies;
  if (kind === 'inline') return `  ${what}in its record, ${copiesText(ofRecord, drives, paint, 'all')}`;
  const place = kind === 'blob' ? 'blob files' : 'the log';
  const good = shards.filter(({ state }) => state === 'sound').length;
  const verdict = isReadable
    ? `${good} of ${shards.length} shards are good`
    : paint.red(`CANNOT BE READ: ${count(good, 'good shard')} of ${dataShards} that it takes`);
  const lines = shards.map((shard) => shardLine(shard, drives[shard.position]?.path ?? '', paint));
  // A record that is whole everywhere is not worth a line for each part.
  const isWhole = copies.every(({ state }) => state === 'sound');
  const record = isWhole ? '' : `    its record: ${copiesText(copies, drives, paint, 'wrong')}`;
  return `  ${what}${dataShards}+${parityShards} in ${place}, ${verdict}\n${lines.join('')}${record}`;
}

function shardLine({ shard, kind, ...place }: ShardPlace, drive: string, paint: Paint): string {
  return placeLine(`shard ${shard} (${kind})`, place, drive, paint);
}

/** How many copies of a record are good, and below it where each lies, or each that is not good. */
function copiesText(
  copies: readonly RecordCopy[],
  drives: readonly CheckedDrive[],
  paint: Paint,
  listed: 'all' | 'wrong',
): string {
  const good = copies.filter(({ state }) => state === 'sound').length;
  const lines = copies
    .filter(({ state }) => listed === 'all' || state !== 'sound')
    .map((copy) => placeLine('copy', copy, drives[copy.position]?.path ?? '', paint));
  return `${good} of ${copies.length} copies are good\n${lines.join('')}`;
}

function placeLine(
  what: string,
  { file, offset, bytes, state }: Omit<RecordCopy, 'position'>,
  drive: string,
  paint: Paint,
): string {
  const states = {
    sound: paint.green('good'),
    bad: paint.red('damaged'),
    missing: paint.red('missing'),
    unreachable: paint.yellow('drive not there'),
  };
  return `    ${what}: ${states[state]}  ${printable(`${drive}/${file}`)} at ${offset}, ${bytes} bytes\n`;
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit] ?? ''}`;
}

// ---- progress ----

const phases: Readonly<Record<CheckProgress['phase'], string>> = {
  history: 'reading the logs',
  log: 'verifying the logs',
  blobs: 'verifying blobs',
  files: 'looking for leftovers',
  index: 'comparing the index',
  repair: 'repairing',
};
const barCells = 30;
const redrawMs = 100;

/** One line on a terminal, drawn over; nothing elsewhere. */
export class ProgressBar {
  #drawnMs = 0;
  #phase: CheckProgress['phase'] | null = null;

  constructor(
    private readonly output: Output,
    private readonly isQuiet = false,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  show({ phase, done }: CheckProgress): void {
    if (!this.output.isTerminal || this.isQuiet) return;
    if (phase === this.#phase && this.nowMs() - this.#drawnMs < redrawMs) return;
    this.#phase = phase;
    this.#drawnMs = this.nowMs();
    const cells = Math.round((done ?? 0) * barCells);
    const bar =
      done === null ? '…' : `[${'#'.repeat(cells)}${'.'.repeat(barCells - cells)}] ${Math.floor(done * 100)} %`;
    this.output.write(`\r\u001b[K${phases[phase]} ${bar}`);
  }

  clear(): void {
    if (this.#phase !== null) this.output.write('\r\u001b[K');
    this.#phase = null;
  }
}
