import { describe, expect, test } from 'vitest';
import { StartupError, limits } from '../../../src/base/index.js';
import { descriptorShares } from '../../../src/wiring/descriptor-shares.js';

describe('descriptors of the process', () => {
  test.each([
    [null, 4],
    [1_048_576, 4],
    [1_048_576, 512],
  ])('are no bound where there are plenty: %j with %i drives', (openFilesMax, drives) => {
    const shares = descriptorShares(openFilesMax, drives, 2);
    expect(shares).toMatchObject({
      connectionsMax: limits.httpConnectionsMax,
      logFilesMax: limits.logFilesOpenMax,
      warning: null,
    });
    expect(shares.blobsMax).toBeGreaterThan(600);
  });

  test.each([
    [256, 4],
    [1024, 4],
    [1024, 16],
    [4096, 32],
  ])('are never more than there are: %i with %i drives', (openFilesMax, drives) => {
    const { connectionsMax, logFilesMax, blobsMax, warning } = descriptorShares(openFilesMax, drives, 2);
    const ofDrives = drives * (logFilesMax + blobsMax + 7);
    expect(connectionsMax + ofDrives + 64).toBeLessThan(openFilesMax);
    expect(Math.min(connectionsMax, logFilesMax, blobsMax)).toBeGreaterThanOrEqual(4);
    if (connectionsMax < 1024) expect(warning).toContain(`no more than ${connectionsMax} connections`);
  });

  test('are too few by one', () => {
    const needed = 64 + 4 * 16 + 2 * 8 + 4 * 12;
    expect(descriptorShares(needed, 4, 2)).toMatchObject({ logFilesMax: 4, blobsMax: 4 });
    expect(() => descriptorShares(needed - 1, 4, 2)).toThrow(StartupError);
    expect(() => descriptorShares(needed - 1, 4, 2)).toThrow(`with 4 drives ${needed} are needed`);
  });
});
