/** Which folders are the root of a mounted file system: the fifth field of /proc/self/mountinfo. */
import { readFileSync, readlinkSync } from 'node:fs';

/** The kernel writes space, tab, newline and backslash in a path as three octal digits. */
function unescapePath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

export function parseMountPoints(mountInfo: string): Set<string> {
  const points = new Set<string>();
  for (const line of mountInfo.split('\n')) {
    const point = line.split(' ')[4];
    if (point !== undefined) points.add(unescapePath(point));
  }
  return points;
}

/** `realPath` without symbolic links. Reads only /proc, which never waits for a disk. */
export function isMountPoint(realPath: string): boolean {
  return parseMountPoints(readFileSync('/proc/self/mountinfo', 'utf8')).has(realPath);
}

/** The path of an open descriptor as the kernel knows it. */
export function pathOfDescriptor(fd: number): string {
  return readlinkSync(`/proc/self/fd/${fd}`);
}
