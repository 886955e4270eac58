/** The anchors that are programs of their own: what of a PUT cannot be left out, and nothing else. */
import path from 'node:path';
import { outputOf } from '../load/load.js';
import type { Medium, Workspace } from '../workspace.js';

/** How much is stored, and where. */
export interface Stored {
  readonly bytes: number;
  readonly connections: number;
  readonly medium: Medium;
}

const MiB = 2 ** 20;

/** CPU microseconds per byte of the native pass with its writes. */
export async function nativePass(workspace: Workspace, one: Stored): Promise<number> {
  const folder = await workspace.makeFolder(one.medium, 'native-pass');
  try {
    const script = path.join(workspace.root, 'bench', 'anchor', 'native-pass.cjs');
    const streams = Math.min(16, one.connections);
    const objects = Math.max(streams, Math.ceil((256 * MiB) / one.bytes / streams) * streams);
    const args = [script, folder, String(streams), String(one.bytes), String(objects)];
    const child = workspace.start(workspace.pinning.server, process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { output, errors } = await outputOf(child);
    if (output === '') throw new Error(`the native pass could not be measured: ${errors.trim()}`);
    const { bytes, cpuMicros } = JSON.parse(output) as { bytes: number; cpuMicros: number };
    return cpuMicros / bytes;
  } finally {
    await workspace.removeFolder(folder);
  }
}

/** Objects a second of the program that keeps a file per shard. */
export async function fourFiles(workspace: Workspace, one: Stored, seconds: number): Promise<number> {
  const program = await workspace.compile('anchor/four-files.c');
  // New for every run and kept until the end: creating a file is slow where others were removed before.
  const folder = await workspace.makeFolder(one.medium, 'four-files');
  const args = [folder, String(one.connections), String(one.bytes), String(seconds)];
  const child = workspace.start(workspace.pinning.server, program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const { output, errors } = await outputOf(child);
  if (output === '') throw new Error(`the small-file anchor could not be measured: ${errors.trim()}`);
  const { objects, elapsedMicros } = JSON.parse(output) as { objects: number; elapsedMicros: number };
  return objects / (elapsedMicros / 1e6);
}
