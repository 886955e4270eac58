/** From what the operator typed to the folders that are served: expanded, absolute, distinct, not nested. */
import { resolve, sep } from 'node:path';
import { StartupError } from '../base/index.js';
import { expandEllipses, hasEllipses } from './ellipses.js';

/**
 * Groups of folders. As in MinIO, each argument is a group of its own when all of them have ellipses; else all of them
 * are one group. Each group is a pool of sets.
 */
export function expandDrives(given: readonly string[], workingFolder: string): readonly (readonly string[])[] {
  for (const argument of given) {
    if (argument === '') throw new StartupError('a drive argument is empty', 'Name a folder, such as /mnt/data.');
    if (/^[a-z]+:\/\//i.test(argument)) {
      throw new StartupError(
        `"${argument}" is a URL; this release serves the drives of its own machine`,
        'Name local folders, such as /mnt/drive{1...4}.',
      );
    }
    if (argument.includes('\0')) throw new StartupError('a drive argument holds a NUL byte', 'Name a folder.');
  }
  const expanded = given.map((argument) => expandEllipses(argument).map((path) => resolve(workingFolder, path)));
  const groups = given.every(hasEllipses) ? expanded : [expanded.flat()];
  const drives = groups.flat();
  drives.forEach((drive, index) => {
    if (drive === sep)
      throw new StartupError('the root folder / is named as a drive', 'Name a folder below it, such as /mnt/data.');
    if (drives.indexOf(drive) !== index) {
      throw new StartupError(`${drive} is named twice (${shorten(drives)})`, 'Name each folder once.');
    }
  });
  for (const outer of drives) {
    const inner = drives.find((drive) => drive.startsWith(outer + sep));
    if (inner !== undefined) {
      throw new StartupError(
        `the drive ${inner} lies inside the drive ${outer}`,
        'Name folders that do not contain each other.',
      );
    }
  }
  return groups;
}

/** The first few and the last: enough to see what an expansion came to. */
function shorten(paths: readonly string[]): string {
  if (paths.length <= 5) return paths.join(', ');
  return `${paths.slice(0, 3).join(', ')}, … ${paths[paths.length - 1] as string}`;
}
