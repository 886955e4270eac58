/** A real server under clients whose history is kept, and what befalls it meanwhile: one thing at a time. */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  CreateBucketCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  type BucketVersioningStatus,
} from '@aws-sdk/client-s3';
import { crashClient } from './crash-workload.js';
import type { FaultShim } from './fault-shim.js';
import type { Mode } from './history.js';
import { startServer, type KillableServer } from './killable-server.js';
import { filesBelow } from './running-engine.js';
import { standStill } from './stand-still.js';

export type Mishap =
  | 'kill'
  | 'pool'
  | 'stop'
  | 'pause'
  | 'drive away'
  | 'drive emptied'
  | 'damage'
  | 'drive hangs'
  | 'drive slow'
  | 'nothing';

/** Those whose history is kept. */
export interface StormClients {
  /** Nothing more is asked for. */
  isHeld: boolean;
  connect(url: string): void;
  /** A start with all drives has decided: what has not happened by now never will. */
  decided(): void;
  run(isOver: () => boolean): Promise<void>;
}

export interface StormOptions {
  readonly history: StormClients;
  readonly random: () => number;
  readonly buckets: Readonly<Record<string, Mode>>;
  /** Named on the command line; more of them may come at a later start. */
  readonly groups: readonly string[];
  /** A group that is named from the first `pool` on. */
  readonly added?: string;
  /** The drive that loses bytes, and those that go away, one at a time. */
  readonly damaged: string;
  readonly mayGo: readonly string[];
  readonly environment?: Record<string, string>;
  readonly within?: readonly string[];
  readonly shim?: FaultShim;
}

export class StormyServer {
  readonly log: string[] = [];
  #server: KillableServer | null = null;
  #output = '';
  #groups: readonly string[];

  constructor(private readonly options: StormOptions) {
    this.#groups = options.groups;
  }

  get output(): string {
    return this.#output + (this.#server?.output() ?? '');
  }

  async start(): Promise<void> {
    const { environment = {}, within = [], shim, history } = this.options;
    this.#server = await startServer(
      this.#groups,
      { MINIO_PROMETHEUS_AUTH_TYPE: 'public', ...environment, ...shim?.environment },
      within,
    );
    history.connect(this.#server.url);
    history.decided();
  }

  async makeBuckets(): Promise<void> {
    const s3 = crashClient(this.#server?.url ?? '');
    for (const [Bucket, mode] of Object.entries(this.options.buckets)) {
      await s3.send(new CreateBucketCommand({ Bucket }));
      const Resource = [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`];
      const Statement = [{ Effect: 'Allow', Principal: '*', Action: 's3:*', Resource }];
      const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
      await s3.send(new PutBucketPolicyCommand({ Bucket, Policy }));
      const statuses: Record<Mode, BucketVersioningStatus[]> = {
        unversioned: [],
        enabled: ['Enabled'],
        toggled: ['Enabled'],
        suspended: ['Enabled', 'Suspended'],
      };
      for (const Status of statuses[mode]) {
        await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status } }));
      }
    }
    s3.destroy();
  }

  /** Mishaps, one after the other, until then. */
  async storm(seconds: number, mishaps: readonly Mishap[]): Promise<void> {
    const { history, random } = this.options;
    const endMs = performance.now() + 1000 * seconds;
    let isOver = false;
    const clients = history.run(() => isOver);
    try {
      while (performance.now() < endMs) {
        await delay(300 + 1200 * random());
        const mishap = mishaps[Math.floor(random() * mishaps.length)] ?? 'nothing';
        this.log.push(`${performance.now().toFixed(0)} ${mishap}`);
        await this.#befall(mishap);
      }
    } finally {
      isOver = true;
      await clients;
    }
  }

  async #befall(mishap: Mishap): Promise<void> {
    const { random, shim, damaged, mayGo, added } = this.options;
    const server = this.#server;
    if (server === null) throw new Error('no server is running');
    const drive = mayGo[Math.floor(random() * mayGo.length)] ?? '';
    switch (mishap) {
      case 'nothing':
        return;
      case 'pool':
      case 'kill':
      case 'stop':
        if (mishap === 'pool' && added !== undefined) this.#groups = [...this.options.groups, added];
        if (mishap === 'kill') await server.kill();
        else await server.stop();
        this.#output = this.output.slice(-20_000);
        this.#server = null;
        await this.start();
        return;
      case 'pause':
        await standStill(server.process);
        await delay(300 + 2500 * random());
        server.process.kill('SIGCONT');
        return;
      case 'drive away':
        renameSync(drive, `${drive}.away`);
        await delay(3500 + 3000 * random());
        renameSync(`${drive}.away`, drive);
        await this.#whole();
        return;
      case 'drive emptied':
        renameSync(drive, `${drive}.away`);
        mkdirSync(drive);
        await delay(4000);
        rmSync(`${drive}.away`, { recursive: true });
        await this.#whole();
        return;
      case 'damage':
        damage(damaged, random);
        return;
      case 'drive hangs':
      case 'drive slow':
        if (shim === undefined) throw new Error('a drive hangs with a shim only');
        if (mishap === 'drive hangs')
          shim.plan({ mode: 'hang', after: 1, root: 1 + Math.floor(random() * shim.roots.length), kinds: 127 });
        else shim.plan({ mode: 'delay', after: 1, value: 300 + Math.floor(2000 * random()), root: 1 });
        await delay(mishap === 'drive hangs' ? 2000 + 12_000 * random() : 2500);
        shim.rest();
        await this.#whole();
    }
  }

  /** All drives are in use and have everything: the next mishap may be another's. */
  async #whole(): Promise<void> {
    const url = this.#server?.url ?? '';
    const { history } = this.options;
    for (let tries = 0; tries < 600; tries++) {
      // What others write meanwhile has to be brought to the drive as well.
      if (tries === 10) history.isHeld = true;
      const answer = await fetch(`${url}/minio/v2/metrics/cluster`)
        .then((one) => one.text())
        .catch(() => '');
      const figures = [
        ...answer.matchAll(/^minio_cluster_(?:drive_offline_total|health_erasure_set_healing_drives)\S* (\d+)/gm),
      ];
      if (figures.length > 1 && figures.every(([, count]) => count === '0')) {
        history.isHeld = false;
        return;
      }
      await delay(200);
    }
    throw new Error(`a drive did not come back: ${this.output.slice(-3000)}`);
  }

  async end(): Promise<void> {
    const code = await this.#server?.stop();
    this.#output = this.output;
    this.#server = null;
    if (code !== undefined && code !== 0) throw new Error(`the server ended with ${String(code)}`);
  }

  async kill(): Promise<void> {
    await this.#server?.kill();
    this.#server = null;
  }
}

/** Turns bytes over here and there in the blobs and the logs of a drive. */
function damage(drive: string, random: () => number): void {
  for (const file of filesBelow(drive)) {
    const isLog = file.endsWith('.log');
    if (!isLog && !file.includes('/blobs/')) continue;
    let fd: number;
    try {
      fd = openSync(file, 'r+');
    } catch (error) {
      // Blobs come and go.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw error;
    }
    const end = fstatSync(fd).size;
    for (let at = 4500; at < end; at += 50_000 + 400_000 * random()) {
      writeSync(fd, Buffer.from([0x11, 0xee, 0x77]), 0, 3, Math.floor(at));
    }
    closeSync(fd);
  }
}

export const numbered = (folder: string, letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => join(folder, `${letter}${index + 1}`));
