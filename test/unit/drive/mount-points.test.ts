import { describe, expect, it } from 'vitest';
import { isMountPoint } from '../../../src/drive/index.js';
import { parseMountPoints } from '../../../src/drive/mount-points.js';

describe('mount points', () => {
  it('are the fifth field, with escapes undone', () => {
    const text = [
      '22 1 0:21 / /proc rw,nosuid shared:12 - proc proc rw',
      '29 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw',
      '30 29 8:17 / /mnt/my\\040disk rw - xfs /dev/sdb1 rw',
      '31 29 8:17 /sub /mnt/a\\011b\\134c rw - xfs /dev/sdb1 rw',
      '',
    ].join('\n');
    expect([...parseMountPoints(text)]).toEqual(['/proc', '/', '/mnt/my disk', '/mnt/a\tb\\c']);
  });

  it('are found on this machine', () => {
    expect(isMountPoint('/')).toBe(true);
    expect(isMountPoint('/proc')).toBe(true);
    expect(isMountPoint('/proc/self')).toBe(false);
  });
});
