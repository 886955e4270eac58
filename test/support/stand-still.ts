import type { ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds; a thread that is within a call stops when it leaves it. */
const stopMsMax = 5_000;

/**
 * Stops a process until it gets SIGCONT. The signal alone is not enough: it returns before the threads of a process
 * have stopped, and one of them may answer once more.
 *
 * @throws {Error} when it does not stop, or is gone
 */
export async function standStill(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || !child.kill('SIGSTOP')) throw new Error('there is no process to stop');
  const deadlineMs = performance.now() + stopMsMax;
  while (!isStopped(child.pid)) {
    if (performance.now() > deadlineMs) throw new Error(`process ${child.pid} does not stop`);
    await delay(1);
  }
}

function isStopped(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((thread) => {
    const text = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    // The state follows the name of the program, which may hold any character.
    return text.charAt(text.lastIndexOf(')') + 2) === 'T';
  });
}
