// The checks beside the tests, as programs: `npm test` runs each, `npm run lint` runs them all.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './steps.mjs';

const node = (script, ...args) => ({ program: process.execPath, args: [join('node_modules', script), ...args] });

/** The C++ files that are ours. */
export function nativeSources() {
  return ['native', 'bench', 'test/native'].flatMap((folder) => {
    try {
      return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
        .filter((entry) => entry.isFile() && /\.(cc|h|c|cpp|hpp)$/.test(entry.name))
        .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
    } catch (error) {
      if (error.code === 'ENOENT') return [];
      throw error;
    }
  });
}

export function checks() {
  return [
    { title: 'Lint (eslint)', ...node('eslint/bin/eslint.js', '.', '--max-warnings', '0') },
    {
      title: 'Format of TypeScript (prettier)',
      ...node('prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'),
    },
    {
      title: 'Format of C++ (clang-format)',
      program: 'clang-format',
      args: ['--dry-run', '-Werror', '--style=file', ...nativeSources()],
    },
    { title: 'Types of the tests (tsc)', ...node('typescript/bin/tsc', '-p', 'test') },
    {
      title: 'Import directions (dependency-cruiser)',
      ...node('dependency-cruiser/bin/dependency-cruise.mjs', '--config', '.dependency-cruiser.cjs', 'src'),
    },
  ];
}
