/** What lies in the folder of an index (docs/format/index.md). */

export const runsName = 'runs';
/** The index could not be read, or is not all there, and is not looked at again. */
export const damagedName = 'damaged';
