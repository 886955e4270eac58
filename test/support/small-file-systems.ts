/**
 * File systems of a given size in memory, mounted where nobody but the processes started within them sees them: they go
 * with the process that holds them, however a test ends. Takes root, or a kernel that lets others make namespaces.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SmallFileSystems {
  readonly folders: readonly string[];
  /** In front of a command that is to see them. */
  readonly within: readonly string[];
  /** The folder as anybody sees it. */
  seen(folder: string): string;
  close(): Promise<void>;
}

const lifeSeconds = 900;

export async function mountSmall(bytes: readonly number[]): Promise<SmallFileSystems> {
  const root = mkdtempSync(join(tmpdir(), 'granary-small-'));
  const folders = bytes.map((_, index) => join(root, `fs${index + 1}`));
  const isRoot = process.getuid?.() === 0;
  const mounts = folders.map(
    (folder, index) => `mkdir ${folder} && mount -t tmpfs -o size=${bytes[index]} tmpfs ${folder}`,
  );
  const script = `${mounts.join(' && ')} && echo mounted && exec sleep ${lifeSeconds}`;
  const holder = spawn('unshare', [...(isRoot ? ['-m'] : ['-Urm']), 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => holder.once('close', () => resolve()));
  const close = async (): Promise<void> => {
    holder.kill('SIGKILL');
    await ended;
    rmSync(root, { recursive: true, force: true });
  };
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const onText = (text: Buffer): void => {
      said += text.toString();
      if (said.includes('mounted')) resolve();
    };
    holder.stdout.on('data', onText);
    holder.stderr.on('data', onText);
    holder.once('error', reject);
    void ended.then(() => reject(new Error(`no file system could be mounted: ${said}; this needs root or namespaces`)));
  }).catch(async (error: unknown) => {
    rmSync(root, { recursive: true, force: true });
    throw error;
  });
  const pid = String(holder.pid);
  return {
    folders,
    within: ['nsenter', '-t', pid, ...(isRoot ? ['-m'] : ['-U', '--preserve-credentials', '-m'])],
    seen: (folder) => `/proc/${pid}/root${folder}`,
    close,
  };
}
