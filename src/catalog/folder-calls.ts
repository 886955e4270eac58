/**
 * Calls on folders whose disks may hang, which holds up the thread that makes the call. They run on threads of the
 * runtime, and nobody waits for them longer than a while. What has not come back may still happen, at any time: the
 * folder is asked nothing more until it has.
 */

/** As long as an index waits for its disk. */
const waitMsDefault = 8_000;

/** By folder, for the whole process as its threads are. */
const hanging = new Map<string, number>();

/** A call on the folder has not come back in time, nor since. */
export function isSilent(folder: string): boolean {
  return hanging.has(folder);
}

/**
 * Rejects as the calls do, or when they have not come back in time. Between two of them `goOn` throws when nobody waits any
 * more: what comes later would surprise.
 */
export async function ask<T>(
  folder: string,
  calls: (goOn: () => void) => Promise<T>,
  waitMs = waitMsDefault,
): Promise<T> {
  const failure = new Error(`${folder} does not answer`);
  if (isSilent(folder)) throw failure;
  let isLate = false;
  const outcome = calls(() => {
    if (isLate) throw failure;
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      isLate = true;
      hanging.set(folder, (hanging.get(folder) ?? 0) + 1);
      const hasCome = (): void => {
        const left = (hanging.get(folder) ?? 1) - 1;
        if (left > 0) hanging.set(folder, left);
        else hanging.delete(folder);
      };
      outcome.then(hasCome, hasCome);
      reject(failure);
    }, waitMs);
  });
  try {
    return await Promise.race([outcome, late]);
  } finally {
    clearTimeout(timer);
  }
}
