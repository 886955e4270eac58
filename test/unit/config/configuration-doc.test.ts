import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { environmentName, type Subsystem } from '../../../src/config/subsystem.js';
import { subsystems } from '../../../src/config/subsystems/index.js';

/** docs/configuration.md has a row for every key, as the schema has it, and none beside. */
const text = readFileSync(join(import.meta.dirname, '../../../docs/configuration.md'), 'utf8');
const cells = (line: string) =>
  line
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim())
    .slice(1, -1);

function sectionOf(name: string): string {
  const start = text.indexOf(`\n## \`${name}\`\n`);
  return start < 0 ? '' : (text.slice(start + 1).split(/\n## /)[0] ?? '');
}

function rowsOf(name: string): string[][] {
  return sectionOf(name)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => cells(line).slice(0, 3));
}

function expected({ name, keys, hasTargets }: Subsystem): string[][] {
  return Object.entries(keys)
    .filter(([key]) => key !== 'comment')
    .map(([key, spec]) => [
      `\`${key}\`${spec.isSecret === true ? ' (secret)' : ''}`,
      spec.default === '' ? '' : `\`${spec.default}\``,
      [environmentName(name, key), ...(spec.environment ?? [])]
        .map((bare) => `\`MINIO_${bare}${hasTargets ? '[_TARGET]' : ''}\``)
        .join(', '),
    ]);
}

describe.each(subsystems.map((subsystem) => [subsystem.name, subsystem] as const))('%s', (name, subsystem) => {
  test('has its keys in the document, with default and names in the environment', () => {
    expect(rowsOf(name)).toEqual(expected(subsystem));
  });

  test('says when a change takes effect', () => {
    expect(sectionOf(name)).toContain(
      subsystem.isDynamic ? 'Takes effect at once.' : 'Takes effect at the next start.',
    );
  });
});

test('there is no section of something else', () => {
  const sections = [...text.matchAll(/^## `([^`]+)`$/gm)].map((match) => match[1]);
  expect(sections).toEqual(subsystems.map(({ name }) => name));
});
