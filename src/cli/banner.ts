/** What a person sees when the server is up: where it listens, on what it stores, how to connect. */
import { networkInterfaces } from 'node:os';
import type { Config } from '../config/index.js';
import type { DriveReport, RunningServer, SetReport, StartReport } from '../wiring/index.js';
import { printable, type Paint } from './terminal.js';

/** The server's URLs, the one to try first at the front. */
export function serverUrls(config: Config, port: number): readonly string[] {
  const scheme = config.tls === null ? 'http' : 'https';
  const hosts =
    config.address.host === '' || config.address.host === '0.0.0.0' ? localAddresses() : [config.address.host];
  const urls = hosts.map((host) => `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`);
  return config.serverUrl === null ? urls : [config.serverUrl, ...urls];
}

function localAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const external = all.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address);
  return ['127.0.0.1', ...external];
}

/** What must not be missed where nobody reads the banner: drives that are away, and what that costs. */
export function stateWarnings(report: StartReport): readonly string[] {
  const drives = report.sets.flatMap((set) => set.drives);
  const away = drives
    .filter(({ state }) => state === 'offline' || state === 'catching-up')
    .map(({ path, state, note }) => ended(`Drive ${path} is ${stateWords[state]}${note === null ? '' : `: ${note}`}`));
  return report.readOnly ? [...away, `Too few drives are in service for writes: ${readOnlyText(report)}.`] : away;
}

/** Some notes end in a question. */
function ended(text: string): string {
  return text.endsWith('?') ? text : `${text}.`;
}

/** The rule: docs/engine.md, "Several sets". */
function readOnlyText({ sets }: StartReport): string {
  const names = sets.flatMap(({ canWrite }, index) => (canWrite ? [] : [`set ${index + 1}`]));
  if (names.length === sets.length) return 'the server is read-only';
  const are = names.length === 1 ? 'is' : 'are';
  return `${names.join(', ')} ${are} read-only, and until that ends no new key is taken; keys that lie in the other sets can be written`;
}

const stateWords = { online: 'online', formatted: 'new', 'catching-up': 'catching up', offline: 'offline' } as const;

/** Warnings are not part of it: they are printed before, on standard error. */
export function banner(config: Config, server: RunningServer, paint: Paint, tookMs: number): string {
  const { report } = server;
  const urls = serverUrls(config, server.port);
  const hasPools = report.sets.some(({ poolIndex }) => poolIndex > 0);
  const lines = [
    `${paint.bold(`Granary ${report.version}`)}  ${paint.dim('S3-compatible object store, Apache-2.0')}`,
    '',
    ...field('API', urls.join('  ')),
    ...field('Region', server.region),
    ...(server.siteName === '' ? [] : field('Site', printable(server.siteName))),
    ...server.roleArns.flatMap((arn, index) => field(index === 0 ? 'IAM roles' : '', arn)),
    ...field('Root user', printable(config.credentials.accessKey)),
    ...field('Deployment', report.deploymentId),
    ...report.sets.flatMap((set, index) =>
      setLines(set, report.sets.length > 1 ? `Set ${index + 1}` : 'Drives', hasPools, paint),
    ),
    ...(report.readOnly ? ['', paint.red(`Too few drives are there for writes: ${readOnlyText(report)}.`)] : []),
    '',
    ...connectLines(config, server.region, urls[0] as string, paint),
    '',
    paint.green(
      `Ready after ${tookMs < 1000 ? `${Math.round(tookMs)} ms` : `${(tookMs / 1000).toFixed(1)} s`}. Ctrl-C stops the server.`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function field(name: string, value: string): string[] {
  return [`  ${(name === '' ? '' : `${name}:`).padEnd(12)}${value}`];
}

function setLines(set: SetReport, name: string, hasPools: boolean, paint: Paint): string[] {
  const online = set.drives.filter(({ state }) => state === 'online' || state === 'formatted').length;
  const total = set.drives.length;
  const count = `${online} of ${total} online`;
  const pool = hasPools ? `, pool ${set.poolIndex + 1}` : '';
  return [
    ...field(name, `${online === total ? paint.green(count) : paint.yellow(count)}, ${layout(set)}${pool}`),
    ...set.drives.map((drive) => driveLine(drive, paint)),
    ...field('May fail', tolerance(set)),
    ...set.weakerClasses.flatMap(({ storageClass, mayFailForReads }) =>
      field('', `of large objects of ${storageClass}: ${drivesText(mayFailForReads)}`),
    ),
  ];
}

function layout(set: SetReport): string {
  return set.parityShards === 0 && set.dataShards === 1
    ? 'one copy, no redundancy'
    : `${set.dataShards} data + ${set.parityShards} parity`;
}

function driveLine(drive: DriveReport, paint: Paint): string {
  const state = drive.state === 'online' ? '' : stateWords[drive.state];
  const rest = [state, drive.note ?? ''].filter((text) => text !== '').map(printable);
  const mark =
    drive.state === 'offline' ? paint.red('✗') : drive.state === 'catching-up' ? paint.yellow('…') : paint.green('✓');
  return `${' '.repeat(14)}${mark} ${printable(drive.path)}${rest.length > 0 ? paint.dim(`  ${rest.join(': ')}`) : ''}`;
}

function tolerance({ mayFailForReads: reads, mayFailForWrites: writes }: SetReport): string {
  if (reads === writes) return reads === 0 ? 'no drive: losing one loses data' : drivesText(reads);
  return `${drivesText(reads)} with everything readable, ${writes === 0 ? 'none' : writes} with writes going on`;
}

function drivesText(count: number): string {
  return count === 0 ? 'no drive' : count === 1 ? '1 drive' : `${count} drives`;
}

function connectLines(config: Config, region: string, url: string, paint: Paint): string[] {
  const password = config.credentials.isDefault ? 'minioadmin' : '"$MINIO_ROOT_PASSWORD"';
  const user = config.credentials.isDefault ? 'minioadmin' : shellWord(config.credentials.accessKey);
  return [
    paint.bold('Connect'),
    `  mc alias set granary ${url} ${user} ${password}`,
    `  AWS_ACCESS_KEY_ID=${user} AWS_SECRET_ACCESS_KEY=${password} AWS_DEFAULT_REGION=${region} \\`,
    `    aws --endpoint-url ${url} s3 ls`,
  ];
}

function shellWord(text: string): string {
  return /^[\w.@%+:-]+$/.test(text) ? text : `'${text.replace(/'/g, `'\\''`)}'`;
}

/** The same for machines: one object. */
export function bannerRecord(config: Config, server: RunningServer, tookMs: number): Readonly<Record<string, unknown>> {
  const report: StartReport = server.report;
  return {
    event: 'started',
    version: report.version,
    api: serverUrls(config, server.port),
    port: server.port,
    region: server.region,
    ...(server.siteName !== '' && { site: server.siteName }),
    ...(server.roleArns.length > 0 && { roleArns: server.roleArns }),
    rootUser: config.credentials.accessKey,
    deploymentId: report.deploymentId,
    readOnly: report.readOnly,
    sets: report.sets,
    startMs: Math.round(tookMs),
  };
}
