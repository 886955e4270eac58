/** How many drives of a group make one set: as MinIO chooses it, the most that divide the group into equal sets. */
import { limits, StartupError } from '../base/index.js';

/** Of a set in a group of several: with one drive there would be nothing to rebuild from. */
export const setDrivesMin = 2;

/** Throws StartupError. `asked`: drives of a set, or null to choose. */
export function chooseSetSize(driveCount: number, asked: number | null): number {
  if (asked !== null) {
    if (asked === driveCount || (asked >= setDrivesMin && asked <= limits.setDrivesMax && driveCount % asked === 0)) {
      return asked;
    }
    throw new StartupError(
      `${driveCount} drives cannot be cut into sets of ${asked}`,
      `Set MINIO_ERASURE_SET_DRIVE_COUNT to one of ${sizesOf(driveCount).join(', ') || 'those that divide the drives'}, or leave it out.`,
    );
  }
  if (driveCount <= limits.setDrivesMax) return driveCount;
  const size = sizesOf(driveCount).at(-1);
  if (size === undefined) {
    throw new StartupError(
      `${driveCount} drives cannot be cut into equal sets of ${setDrivesMin} to ${limits.setDrivesMax}`,
      `Name a number of drives that one of ${setDrivesMin} to ${limits.setDrivesMax} divides, such as ${driveCount - 1} or ${driveCount + 1}.`,
    );
  }
  return size;
}

/** In rising order. */
function sizesOf(driveCount: number): number[] {
  const sizes: number[] = [];
  for (let size = setDrivesMin; size <= limits.setDrivesMax; size++) if (driveCount % size === 0) sizes.push(size);
  return sizes;
}
