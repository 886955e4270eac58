/** Runs the load generator and reads its figures. */
import type { ChildProcess } from 'node:child_process';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Histogram } from '../statistics.js';
import type { Workspace } from '../workspace.js';
import { writePlan, type PlannedRequest } from './plan.js';
import type { Signer } from './sign.js';

export interface LoadTarget extends Signer {
  readonly address: string;
  readonly port: number;
  /** Null when the process is not known: then there are no CPU figures. */
  readonly pid: number | null;
}

export interface LoadOptions {
  readonly connections: number;
  /** New requests begin until then; without it, until the plan is at its end. */
  readonly seconds?: number;
  /** Begins again at the end of the plan. */
  readonly loops?: boolean;
  /** Every connection stops after so many bytes of its body, holds still, and is closed. */
  readonly cut?: { readonly bytes: number; readonly holdMs: number };
}

export interface LoadFigures {
  readonly requests: number;
  readonly errors: number;
  readonly firstError: string;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly elapsedMicros: number;
  readonly clientCpuMicros: number;
  readonly serverCpuMicros: number | null;
  readonly maxMicros: number;
  readonly histogram: Histogram;
}

/** Answers with a body of which every byte is compared, at the beginning of each run. */
const verifiedAnswers = 8;

let planNumber = 0;

/** A plan on disk that can be run several times. */
export class Plan {
  private constructor(
    private readonly workspace: Workspace,
    readonly target: LoadTarget,
    readonly file: string,
  ) {}

  static async write(
    workspace: Workspace,
    target: LoadTarget,
    folder: string,
    requests: readonly PlannedRequest[],
  ): Promise<Plan> {
    const file = path.join(folder, `plan-${planNumber++}`);
    await writePlan(file, target, requests);
    return new Plan(workspace, target, file);
  }

  async remove(): Promise<void> {
    await rm(this.file, { force: true });
  }

  /** Throws when a single request went wrong: figures of a failing server say nothing. */
  async run(options: LoadOptions): Promise<LoadFigures> {
    const program = await this.workspace.compile('load/load.cc');
    const { target } = this;
    const args = [this.file, '--host', target.address, '--port', String(target.port)];
    args.push('--connections', String(options.connections), '--verify', String(verifiedAnswers));
    if (options.seconds !== undefined) args.push('--seconds', String(options.seconds));
    if (options.loops === true) args.push('--loop');
    if (target.pid !== null) args.push('--pid', String(target.pid));
    if (options.cut !== undefined) args.push('--cut', String(options.cut.bytes), '--hold', String(options.cut.holdMs));
    const child = this.workspace.start(this.workspace.pinning.client, program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { output, errors } = await outputOf(child);
    if (output === '') throw new Error(`the load generator measured nothing: ${errors.trim()}`);
    const figures = JSON.parse(output) as LoadFigures;
    if (figures.errors > 0)
      throw new Error(
        `${figures.errors} of ${figures.requests + figures.errors} requests failed: ${figures.firstError}`,
      );
    return figures;
  }
}

export async function outputOf(child: ChildProcess): Promise<{ output: string; errors: string }> {
  let output = '';
  let errors = '';
  child.stdout?.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (errors += data.toString()));
  await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { output, errors };
}
