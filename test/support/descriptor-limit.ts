/** Takes descriptors away from a process while it runs, and gives them back: `prlimit` of util-linux. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

/** From now on no descriptor of this number or above can be had. */
export function limitDescriptors(pid: number, count: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${count}:`]);
}

/** Runs it while this process can have no further descriptor: whoever gives them back has to be there before. */
export async function withoutDescriptors<T>(run: () => Promise<T> | T): Promise<T> {
  const { pid } = process;
  const limits = execFileSync('prlimit', ['--pid', String(pid), '--nofile', '--output', 'SOFT', '--noheadings']);
  const script = `prlimit --pid ${pid} --nofile=3: && echo && read line; prlimit --pid ${pid} --nofile=$1:`;
  const helper = spawn('sh', ['-c', script, 'sh', limits.toString().trim()], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(helper, 'exit');
  await once(helper.stdout, 'data');
  try {
    return await run();
  } finally {
    helper.stdin.end('\n');
    await ended;
  }
}
