/**
 * Question: how fast is each kernel on one core, beside the reference that everybody links?
 *
 * Estimate (limits.md: AVX2 machine, GB/s of object bytes): RS 4+2 13.5, 8+4 6.9; HighwayHash-256 12.3;
 * MD5 0.65; SHA-256 1.5; CRC 10–20; the whole PUT pass 0.54 unsigned, 0.40 signed. Expected ratio: 1.
 *
 * Result (Xeon with AVX-512 and GFNI): see docs/kernels.md. Coding and hashing of several shards at
 * once run at two to three times the references; MD5 bounds the pass of a single upload, and 16 uploads
 * in the lanes of one batch (`.x16`) cost a small part of 16 single ones.
 *
 * How: 1 MiB stripes that stay in cache, one thread; ours and the anchor in turns, medians of
 * bytes per CPU second of the thread.
 */
import type { BenchOptions, BenchRow } from '../row.js';
import { addonMeter, type Meter, withAnchorMeter } from './meter.js';

interface Subject {
  readonly name: string;
  readonly command: string;
  readonly anchorName: string;
  /** Another command for the anchor, or the addon's process itself as the anchor. */
  readonly anchorCommand?: string;
  readonly anchorIsNode?: boolean;
  /** Which of the path lists decides whether other paths are worth a row. */
  readonly kernel?: 'rs' | 'highwayHash' | 'crc';
}

const stripeBytes = 1 << 20;
const geometries = [
  [2, 2],
  [4, 2],
  [8, 4],
  [12, 4],
] as const;
/** Whole cache lines, as the engine cuts its stripes. */
const shardBytesOf = (k: number): number => 64 * Math.ceil(stripeBytes / k / 64);

function subjects(): Subject[] {
  const coding = geometries.flatMap(([k, m]) =>
    ['encode', 'reconstruct'].map((verb): Subject => ({
      name: `kernel.rs.${verb}.${k}+${m}`,
      command: `rs.${verb} ${k} ${m} ${shardBytesOf(k)}`,
      anchorName: 'ISA-L',
      kernel: 'rs',
    })),
  );
  const passes = [geometries[1], geometries[0]].flatMap(([k, m]) =>
    ['unsigned', 'signed', 'unsigned.x16', 'signed.x16'].map((kind): Subject => ({
      name: `pass.put.${k}+${m}${kind.replace('unsigned', '').replace(/^(?=signed)/, '.')}`,
      command: `pass.${kind} ${k} ${m} ${shardBytesOf(k)}`,
      anchorName: 'OpenSSL, ISA-L, libhighwayhash in turn',
    })),
  );
  const digests = ['md5', 'sha256'].map((name): Subject => ({
    name: `kernel.${name}`,
    command: `${name} ${stripeBytes}`,
    anchorName: 'node:crypto',
    anchorCommand: `node.${name} ${stripeBytes}`,
    anchorIsNode: true,
  }));
  const crcs = ['crc32', 'crc32c', 'crc64nvme'].map((name): Subject => ({
    name: `kernel.${name}`,
    command: `${name} ${stripeBytes}`,
    anchorName: name === 'crc64nvme' ? 'ISA-L (CRC64-ECMA)' : 'ISA-L',
    kernel: 'crc',
  }));
  const hashes = ['highwayhash256', 'highwayhash256.single'].map((name): Subject => ({
    name: `kernel.${name}`,
    command: `${name} ${stripeBytes}`,
    anchorName: 'libhighwayhash',
    kernel: 'highwayHash',
  }));
  return [...coding, ...hashes, ...digests, ...crcs, ...passes];
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

interface Effort {
  readonly rounds: number;
  readonly milliseconds: number;
}

async function measure(subject: Subject, name: string, ours: Meter, anchor: Meter, effort: Effort): Promise<BenchRow> {
  const values: number[] = [];
  const anchorValues: number[] = [];
  const reference = subject.anchorIsNode ? ours : anchor;
  for (let round = 0; round < effort.rounds; round++) {
    values.push(await ours.rate(subject.command, effort.milliseconds));
    anchorValues.push(await reference.rate(subject.anchorCommand ?? subject.command, effort.milliseconds));
  }
  const value = median(values);
  const anchorValue = median(anchorValues);
  const anchorRow = { name: subject.anchorName, value: anchorValue };
  return { name, unit: 'GB/s', value, anchor: anchorRow, ratio: value / anchorValue };
}

export interface KernelOptions extends BenchOptions {
  readonly wants: (name: string) => boolean;
}

type PathLists = Record<NonNullable<Subject['kernel']>, string[]>;

/** The other paths of this CPU, as rows like `kernel.rs.encode.4+2.avx2`. */
async function otherPathRows(all: readonly Subject[], anchor: Meter, effort: Effort, options: KernelOptions) {
  const best = addonMeter('');
  const available = JSON.parse(await best.ask('paths')) as PathLists;
  await best.close();
  const rows: BenchRow[] = [];
  const seen = new Set(Object.values(available).map((names) => names[0]));
  for (const cap of available.rs.slice(1)) {
    const meter = addonMeter(cap);
    try {
      const capped = JSON.parse(await meter.ask('paths')) as PathLists;
      const fresh = (kernel: keyof PathLists): boolean => !seen.has(`${kernel} ${capped[kernel][0] ?? ''}`);
      for (const subject of all.filter((each) => each.kernel && fresh(each.kernel))) {
        if (!subject.kernel || capped[subject.kernel][0] === available[subject.kernel][0]) continue;
        const name = `${subject.name}.${capped[subject.kernel][0] ?? ''}`;
        if (!options.wants(name)) continue;
        options.onProgress(name);
        rows.push(await measure(subject, name, meter, anchor, effort));
      }
      for (const kernel of Object.keys(capped) as (keyof PathLists)[]) seen.add(`${kernel} ${capped[kernel][0] ?? ''}`);
    } finally {
      await meter.close();
    }
  }
  return rows;
}

export async function kernelRows(options: KernelOptions): Promise<BenchRow[]> {
  const effort = options.quick ? { rounds: 7, milliseconds: 10 } : { rounds: 15, milliseconds: 40 };
  return withAnchorMeter(async (anchor) => {
    const rows: BenchRow[] = [];
    const ours = addonMeter('');
    try {
      for (const subject of subjects()) {
        if (!options.wants(subject.name)) continue;
        options.onProgress(subject.name);
        rows.push(await measure(subject, subject.name, ours, anchor, effort));
      }
    } finally {
      await ours.close();
    }
    const others = options.quick ? subjects().filter(({ name }) => !/8\+4|12\+4|2\+2/.test(name)) : subjects();
    return [...rows, ...(await otherPathRows(others, anchor, { ...effort, rounds: 3 }, options))];
  });
}
