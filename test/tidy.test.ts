import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** The shape of the house: docs/design.md section 1 as tests. */
const root = dirname(import.meta.dirname);
const configFile = join(root, '.dependency-cruiser.cjs');
const cruiser = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');

interface Cruise {
  readonly summary: { readonly totalCruised: number; readonly violations: readonly Violation[] };
}
interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string };
}

function cruise(folder: string): Cruise {
  const args = [cruiser, '--config', join(folder, '.dependency-cruiser.cjs'), '--output-type', 'json', 'src'];
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  });
  if (!stdout.startsWith('{')) throw new Error(`dependency-cruiser: ${stderr}${stdout}`);
  return JSON.parse(stdout) as Cruise;
}

function sourceFiles(): string[] {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(root, 'src', name));
}

const rooms = readdirSync(join(root, 'src'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && readdirSync(join(root, 'src', entry.name)).length > 0)
  .map((entry) => entry.name);

describe('import directions', () => {
  let real: Cruise;
  beforeAll(() => {
    real = cruise(root);
  });

  test('every source file was looked at', () => {
    // A tool that reads nothing finds nothing: it did so with a compiler that it did not know.
    expect(real.summary.totalCruised).toBeGreaterThanOrEqual(sourceFiles().length);
    expect(sourceFiles().length).toBeGreaterThan(50);
  });

  test('no import goes against the table', () => {
    expect(real.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`)).toEqual([]);
  });

  test('every room is in the table', () => {
    const { forbidden } = createRequire(import.meta.url)(configFile) as { forbidden: readonly { name: string }[] };
    const listed = forbidden.map(({ name }) => name);
    expect(rooms.filter((room) => !listed.includes(`${room}-imports`))).toEqual([]);
  });

  test('every room has a door with a short sign on it, and no logic', () => {
    for (const room of rooms) {
      const door = join(root, 'src', room, 'index.ts');
      expect(existsSync(door), `${room} has a door`).toBe(true);
      const text = readFileSync(door, 'utf8');
      expect(text.startsWith('/**'), `${room}'s door has a header`).toBe(true);
      expect(text.slice(0, text.indexOf('*/')).split('\n').length, `${room}'s header`).toBeLessThanOrEqual(15);
      expect(text, `${room}'s door only exports`).not.toMatch(/^(export )?(async )?(function|class|const|let|var)\b/m);
    }
  });
});

describe('a planted import is caught', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'granary-tidy-'));
    cpSync(configFile, join(folder, '.dependency-cruiser.cjs'));
    cpSync(join(root, 'tsconfig.json'), join(folder, 'tsconfig.json'));
    writeFileSync(
      join(folder, 'package.json'),
      JSON.stringify({ type: 'module', dependencies: { 'uWebSockets.js': '1', piscina: '1', pino: '1' } }),
    );
    plantModules(folder);
    plant(folder, goodFiles);
    plant(folder, Object.fromEntries(badFiles.map(({ file, text }) => [file, text])));
    result = cruise(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  let result: Cruise;

  const goodFiles = {
    'base/index.ts': `export { one } from './one.js';`,
    'base/one.ts': `export const one = 1;`,
    'drive/index.ts': `export { two } from './two.js';`,
    'drive/two.ts': `import { one } from '../base/index.js';\nimport { readFileSync } from 'node:fs';\nexport const two = () => readFileSync(String(one));`,
    's3/index.ts': `export { put } from './put.js';`,
    's3/put.ts': `import { one } from '../base/index.js';\nimport type { Layer } from '../object/index.js';\nexport const put = (layer: Layer) => layer.size + one;`,
    'object/index.ts': `export type { Layer } from './layer.js';`,
    'object/layer.ts': `export interface Layer { size: number }`,
    // The other half of a circle, which is reported once.
    'object/circle-b.ts': `import { a } from './circle-a.js';\nexport const b = () => a;`,
    'wiring/index.ts': `export { put } from '../s3/index.js';\nexport { two } from '../drive/index.js';`,
    'main.ts': `import { put } from './wiring/index.js';\nput({ size: 1 });`,
  };

  const badFiles: readonly { readonly file: string; readonly text: string; readonly rule: string }[] = [
    { file: 'base/up.ts', text: `import { two } from '../drive/index.js';\ntwo();`, rule: 'base-imports' },
    {
      file: 'admin/sibling.ts',
      text: `import type { put } from '../s3/index.js';\nexport type P = typeof put;`,
      rule: 'admin-imports',
    },
    {
      file: 'sts/object.ts',
      text: `import type { Layer } from '../object/index.js';\nexport type L = Layer;`,
      rule: 'sts-imports',
    },
    {
      file: 's3/past-the-door.ts',
      text: `import type { Layer } from '../object/layer.js';\nexport type L = Layer;`,
      rule: 'use-the-door',
    },
    { file: 's3/dynamic.ts', text: `export const load = () => import('../drive/index.js');`, rule: 's3-imports' },
    { file: 's3/re-export.ts', text: `export { two } from '../drive/index.js';`, rule: 's3-imports' },
    {
      file: 'object/files.ts',
      text: `import { readFileSync } from 'node:fs';\nreadFileSync('x');`,
      rule: 'fs-in-drive',
    },
    {
      file: 'object/files-promises.ts',
      text: `import { readFile } from 'fs/promises';\nawait readFile('x');`,
      rule: 'fs-in-drive',
    },
    { file: 's3/sockets.ts', text: `import { App } from 'uWebSockets.js';\nApp();`, rule: 'uws-in-http' },
    { file: 'object/workers.ts', text: `import { Piscina } from 'piscina';\nnew Piscina();`, rule: 'piscina-in-pool' },
    {
      file: 'object/circle-a.ts',
      text: `import { b } from './circle-b.js';\nexport const a = () => b;`,
      rule: 'no-cycles',
    },
    { file: 'index.ts', text: `export { put } from './s3/index.js';`, rule: 'index-imports' },
    { file: 'drive/nowhere.ts', text: `import './not-there.js';`, rule: 'resolvable' },
    {
      file: 'identity/wire.ts',
      text: `import { put } from '../wiring/index.js';\nput({ size: 1 });`,
      rule: 'identity-imports',
    },
  ];

  test.each(badFiles)('$file breaks $rule', ({ file, rule }) => {
    const broken = result.summary.violations.filter(({ from }) => from === `src/${file}`).map((one) => one.rule.name);
    expect(broken).toContain(rule);
  });

  test('and the good ones pass', () => {
    const bad = badFiles.map(({ file }) => `src/${file}`);
    expect(result.summary.violations.filter(({ from }) => !bad.includes(from))).toEqual([]);
  });
});

function plant(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, 'src', file)), { recursive: true });
    writeFileSync(join(folder, 'src', file), text);
  }
}

function plantModules(folder: string): void {
  for (const name of ['uWebSockets.js', 'piscina', 'pino']) {
    const place = join(folder, 'node_modules', name);
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'package.json'), JSON.stringify({ name, version: '1.0.0', main: 'index.js' }));
    writeFileSync(join(place, 'index.js'), '');
  }
}

describe('source text', () => {
  test.each([
    ['process.exit is called in main.ts only', /\bprocess\.exit\(/, ['main.ts']],
    ['nothing unfinished is left', /\b(TODO|FIXME|XXX|HACK)\b/, []],
    ['no test-only branch', /\bprocess\.env\b.*\b(VITEST|NODE_ENV)\b/, []],
    // The drive is the unit that fails and is replaced; one word for it (docs/design.md).
    ['a drive is called a drive', /\b(const|let|function|class|interface|type) \w*[dD]isks?\b/, []],
  ])('%s', (_, pattern, except) => {
    const found = sourceFiles()
      .map((file) => relative(join(root, 'src'), file))
      .filter((name) => !except.includes(name) && pattern.test(readFileSync(join(root, 'src', name), 'utf8')));
    expect(found).toEqual([]);
  });

  test('no file has the name of a drawer for leftovers', () => {
    const names = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
    expect(names.filter((name) => /(^|\/)(utils?|helpers?|common|misc)(\/|\.ts$|$)/.test(name))).toEqual([]);
  });
});
