import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Digest, kernels, streamStateBytes } from '../../../src/native/index.js';
import { hex, newArena, seededBytes } from './support.js';

const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const amzDate = '20130524T000000Z';
const scope = '20130524/us-east-1/s3/aws4_request';
const signingKey = kernels.createSigningKey(secret, '20130524', 'us-east-1', 's3');
const stateAt = 0;
const otherStateAt = streamStateBytes;
const dataAt = 4096;

const raw = (signatures: string[]): Uint8Array => Buffer.from(signatures.join(''), 'hex');

/** The chunked upload examples of the S3 documentation: 65,536 and 1,024 times the letter a, then an empty chunk. */
const documented = {
  seedSignature: '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
  chunks: [
    'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
    '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
    'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
  ],
};
const documentedTrailer = {
  seedSignature: '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
  chunks: [
    'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
    '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
    '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
  ],
  block: 'x-amz-checksum-crc32c:sOO8/Q==\n',
  signature: 'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435',
};
const documentedEnds = [65_536, 66_560, 66_560];

interface SignedExample {
  readonly seedSignature: string;
  readonly chunks: string[];
}

function startDocumented(example: SignedExample): void {
  const bytes = newArena(1 << 18);
  bytes.fill(0x61, dataAt, dataAt + 66_560);
  const { seedSignature } = example;
  kernels.streamInit(stateAt, Digest.crc32c | Digest.md5, { signingKey, amzDate, scope, seedSignature });
}

/** Feeds the documented body in pieces that end at `cuts`, each with the chunks that end in it. */
function feedDocumented(example: SignedExample, cuts: number[]): number[] {
  let from = 0;
  return [...cuts, 66_560].map((to, index, all) => {
    const isLast = index === all.length - 1;
    const inside = documentedEnds.map((end, chunk) => ({ end, chunk })).filter(({ end }) => end > from || isLast);
    const ending = inside.filter(({ end }) => end <= to && end >= from);
    const ends = Float64Array.from(ending, ({ end }) => end - from);
    const signatures = raw(ending.map(({ chunk }) => example.chunks[chunk] ?? ''));
    const answer = kernels.streamUpdate(stateAt, dataAt + from, to - from, ends, signatures);
    from = to;
    return answer;
  });
}

describe('streams of signed chunks', () => {
  it.each([[[]], [[1]], [[65_535]], [[65_537, 66_000]], [[17, 4_000, 65_500]]])(
    'accept the documented upload, cut at %j',
    (cuts) => {
      startDocumented(documented);
      expect(feedDocumented(documented, cuts)).toEqual([...cuts, 0].map(() => 1));
      expect(Buffer.from(kernels.streamDigest(stateAt, Digest.crc32c)).toString('base64')).toBe('sOO8/Q==');
    },
  );

  it('accept the documented upload with a signed trailer, and refuse another trailer', () => {
    startDocumented(documentedTrailer);
    expect(feedDocumented(documentedTrailer, [30_000])).toEqual([1, 1]);
    const signature = raw([documentedTrailer.signature]);
    expect(kernels.streamTrailerSignature(stateAt, Buffer.from(documentedTrailer.block), signature)).toBe(1);
    startDocumented(documentedTrailer);
    feedDocumented(documentedTrailer, [30_000]);
    const other = Buffer.from(documentedTrailer.block.replace('sOO8', 'sOO9'));
    expect(kernels.streamTrailerSignature(stateAt, other, signature)).toBe(0);
  });

  it.each([0, 1, 2])('refuse a wrong signature of chunk %i, and everything after it', (wrong) => {
    startDocumented(documented);
    const signatures = raw(documented.chunks);
    signatures[32 * wrong + 31]! ^= 1;
    const ends = Float64Array.from(documentedEnds);
    expect(kernels.streamUpdate(stateAt, dataAt, 66_560, ends, signatures)).toBe(0);
    expect(kernels.streamUpdate(stateAt, dataAt, 0, null, null)).toBe(0);
    const trailer = Buffer.from('x:y\n');
    expect(kernels.streamTrailerSignature(stateAt, trailer, new Uint8Array(32))).toBe(0);
  });

  it('refuse altered bytes, and chunks in another order', () => {
    startDocumented(documented);
    kernels.copyToArena(dataAt + 40_000, Buffer.from('b'), 0, 1);
    const ends = Float64Array.from(documentedEnds);
    expect(kernels.streamUpdate(stateAt, dataAt, 66_560, ends, raw(documented.chunks))).toBe(0);
    startDocumented(documented);
    const swapped = [documented.chunks[1] ?? '', documented.chunks[0] ?? '', documented.chunks[2] ?? ''];
    expect(kernels.streamUpdate(stateAt, dataAt, 66_560, ends, raw(swapped))).toBe(0);
  });

  it('are many in one update, or go on from one to the next, and are refused wherever one is wrong', () => {
    const seed = 1 + Math.floor(Math.random() * 2 ** 30);
    const content = seededBytes(150_000, seed);
    const lengths = Array.from(
      { length: 70 },
      (_, index) => ((index * 7919 + seed) % 4001) * (index % 5 === 0 ? 0 : 1),
    );
    const ends: number[] = [];
    const signatures: string[] = [];
    let previous = documented.seedSignature;
    let total = 0;
    for (const length of lengths) {
      const chunk = content.subarray(total, total + length);
      const hash = createHash('sha256').update(chunk).digest('hex');
      const emptyHash = createHash('sha256').digest('hex');
      const text = `AWS4-HMAC-SHA256-PAYLOAD\n${amzDate}\n${scope}\n${previous}\n${emptyHash}\n${hash}`;
      previous = kernels.sign(signingKey, text);
      total += length;
      ends.push(total);
      signatures.push(previous);
    }
    const bytes = newArena(1 << 18);
    bytes.set(content, dataAt);
    const feed = (cuts: readonly number[], given: readonly string[]): number[] => {
      const { seedSignature } = documented;
      kernels.streamInit(stateAt, Digest.sha256, { signingKey, amzDate, scope, seedSignature });
      let from = 0;
      let chunk = 0;
      return [...cuts, total].map((to, index, all) => {
        const first = chunk;
        const isLast = index === all.length - 1;
        while (chunk < ends.length && (ends[chunk]! < to || isLast)) chunk++;
        const inside = Float64Array.from(ends.slice(first, chunk), (end) => end - from);
        const answer = kernels.streamUpdate(stateAt, dataAt + from, to - from, inside, raw(given.slice(first, chunk)));
        from = to;
        return answer;
      });
    };
    const whole = createHash('sha256').update(content.subarray(0, total)).digest('hex');
    for (const cuts of [[], [total >> 1], [1, 5000, 5001, 70_000], [total]]) {
      expect(feed(cuts, signatures), `seed ${seed}, cut at ${cuts.join()}`).toEqual([...cuts, 0].map(() => 1));
      expect(hex(kernels.streamDigest(stateAt, Digest.sha256))).toBe(whole);
    }
    for (const wrong of signatures.keys()) {
      const given = signatures.map((signature, index) => (index === wrong ? '0'.repeat(64) : signature));
      expect(feed([total >> 1], given).at(-1), `seed ${seed}, chunk ${wrong}`).toBe(0);
    }
  });

  it('go through putPass as through streamUpdate', () => {
    startDocumented(documented);
    kernels.setHashKey(new Uint8Array(32));
    const shardBytes = 33_280;
    const args = [stateAt, dataAt, 66_560, 2, 1, shardBytes, 100_000, 140_000, 65_536, 1, 2, 0];
    const ends = Float64Array.from(documentedEnds);
    expect(kernels.putPass(Float64Array.from(args), ends, raw(documented.chunks))).toBe(1);
    startDocumented(documented);
    const signatures = raw(documented.chunks);
    signatures[0]! ^= 0x80;
    expect(kernels.putPass(Float64Array.from(args), ends, signatures)).toBe(0);
  });
});

describe('stream digests', () => {
  it('equal those of the whole, however the bytes are cut, and go on after a look', () => {
    const seed = 1 + Math.floor(Math.random() * 2 ** 30);
    const content = seededBytes(100_003, seed);
    const bytes = newArena(1 << 18);
    bytes.set(content, dataAt);
    kernels.streamInit(stateAt, 63, null);
    for (let at = 0, step = 1; at < content.length; step = (step * 3) % 7919) {
      const piece = Math.min(step, content.length - at);
      kernels.streamUpdate(stateAt, dataAt + at, piece, null, null);
      kernels.streamDigest(stateAt, Digest.md5);
      at += piece;
    }
    const expected = (name: string): string => createHash(name).update(content).digest('hex');
    expect(hex(kernels.streamDigest(stateAt, Digest.md5)), `seed ${seed}`).toBe(expected('md5'));
    expect(hex(kernels.streamDigest(stateAt, Digest.sha256)), `seed ${seed}`).toBe(expected('sha256'));
    expect(hex(kernels.streamDigest(stateAt, Digest.sha1)), `seed ${seed}`).toBe(expected('sha1'));
    for (const crc of [Digest.crc32, Digest.crc32c, Digest.crc64nvme]) {
      expect(kernels.streamDigest(stateAt, crc), `seed ${seed}`).toEqual(kernels.digest(crc, content));
    }
    for (const digest of Object.values(Digest)) {
      expect(kernels.streamDigestHex(stateAt, digest)).toBe(hex(kernels.streamDigest(stateAt, digest)));
    }
  });

  it('lie wholly in the arena: a copy of the state goes on by itself', () => {
    newArena(1 << 16);
    kernels.copyToArena(dataAt, Buffer.from('abcdef'), 0, 6);
    kernels.streamInit(stateAt, Digest.sha256, null);
    kernels.streamUpdate(stateAt, dataAt, 3, null, null);
    kernels.copyWithinArena(otherStateAt, stateAt, streamStateBytes);
    kernels.streamUpdate(stateAt, dataAt + 3, 3, null, null);
    const sha256 = (message: string): string => createHash('sha256').update(message).digest('hex');
    expect(hex(kernels.streamDigest(stateAt, Digest.sha256))).toBe(sha256('abcdef'));
    expect(hex(kernels.streamDigest(otherStateAt, Digest.sha256))).toBe(sha256('abc'));
  });
});

describe('streamUpdates', () => {
  const count = 21;
  const stateOf = (stream: number): number => (1 << 16) + streamStateBytes * stream;
  const dataOf = (stream: number): number => (1 << 18) + (1 << 15) * stream;

  it('do what as many calls of streamUpdate do, for streams of any length', () => {
    const seed = 1 + Math.floor(Math.random() * 2 ** 30);
    const bytes = newArena(1 << 20);
    bytes.set(seededBytes((1 << 15) * count, seed), dataOf(0));
    const hashes = Array.from({ length: count }, () => createHash('md5'));
    const all = Array.from({ length: count }, (_, stream) => stream);
    for (const stream of all) kernels.streamInit(stateOf(stream), Digest.md5 | Digest.crc32c, null);
    for (let round = 0; round < 4; round++) {
      const lengths = all.map((stream) => (stream * 1511 + round * 977) % (1 << 15));
      kernels.streamUpdates(
        Float64Array.from(all.flatMap((stream) => [stateOf(stream), dataOf(stream), lengths[stream] ?? 0])),
      );
      for (const stream of all)
        hashes[stream]?.update(bytes.subarray(dataOf(stream), dataOf(stream) + (lengths[stream] ?? 0)));
    }
    for (const stream of all) {
      expect(hex(kernels.streamDigest(stateOf(stream), Digest.md5)), `seed ${seed}`).toBe(
        hashes[stream]?.digest('hex'),
      );
    }
  });

  it('take at most 32 streams, each once, none with signing, and throw before any work', () => {
    const bytes = newArena(1 << 20);
    for (let stream = 0; stream < 33; stream++) kernels.streamInit(stateOf(stream), Digest.md5, null);
    const before = Buffer.from(bytes);
    const run = (stream: number): number[] => [stateOf(stream), dataOf(0), 100];
    const update = (numbers: number[]) => () => {
      kernels.streamUpdates(Float64Array.from(numbers));
    };
    expect(update([...run(0), ...run(1), ...run(0)])).toThrow('named once');
    expect(update(Array.from({ length: 33 }, (_, stream) => run(stream)).flat())).toThrow(RangeError);
    expect(update([...run(0), 1, 2])).toThrow(RangeError);
    expect(update([...run(0), stateOf(1), 1 << 20, 1])).toThrow(RangeError);
    expect(update([...run(0), 0, 0, 1])).toThrow('no stream was started');
    expect(Buffer.from(bytes).equals(before)).toBe(true);
    const seedSignature = 'a'.repeat(64);
    kernels.streamInit(stateOf(1), Digest.md5, { signingKey, amzDate, scope, seedSignature });
    expect(update([...run(0), ...run(1)])).toThrow('signing');
    expect(update([])).not.toThrow();
  });
});

describe('putPasses', () => {
  const passCount = 20;
  const statesAt = 1 << 16;
  const stripesAt = 1 << 17;
  const stripeRoom = 1 << 15;
  const shardBytes = 10_000;
  const parityOf = (at: number): number => at + 2 * shardBytes;
  const hashesOf = (at: number): number => at + 3 * shardBytes;
  const stateOf = (pass: number): number => statesAt + streamStateBytes * pass;
  const argsOf = (pass: number): number[] => {
    const at = stripesAt + stripeRoom * pass;
    const dataBytes = 2 * shardBytes - 777 * pass;
    return [stateOf(pass), at, dataBytes, 2, 1, shardBytes, parityOf(at), hashesOf(at), 4096, 1, pass, 0];
  };

  /** Of 1,000 bytes and without a stream: 33 of them fit. */
  const smallArgsOf = (pass: number): number[] => {
    const at = stripesAt + 4096 * pass;
    return [-1, at, 1000, 2, 1, 500, at + 1000, at + 1500, 4096, 1, pass, 0];
  };

  function startStreams(seed: number): Uint8Array {
    const bytes = newArena(1 << 20);
    kernels.setHashKey(new Uint8Array(32));
    bytes.set(seededBytes(stripeRoom * passCount, seed), stripesAt);
    for (let pass = 0; pass < passCount; pass++) kernels.streamInit(stateOf(pass), Digest.md5 | Digest.sha256, null);
    return bytes;
  }
  const all = Array.from({ length: passCount }, (_, pass) => pass);
  const none = all.map(() => null);

  it('do what as many calls of putPass do', () => {
    const seed = 1 + Math.floor(Math.random() * 2 ** 30);
    const one = startStreams(seed);
    for (const pass of all) kernels.putPass(Float64Array.from(argsOf(pass)), null, null);
    const many = startStreams(seed);
    expect(kernels.putPasses(Float64Array.from(all.flatMap(argsOf)), none, none)).toEqual(all.map(() => 1));
    expect(Buffer.from(many).equals(Buffer.from(one)), `seed ${seed}`).toBe(true);
    for (const pass of all) {
      const [, at = 0, dataBytes = 0] = argsOf(pass);
      const md5 = createHash('md5')
        .update(many.subarray(at, at + dataBytes))
        .digest('hex');
      expect(hex(kernels.streamDigest(stateOf(pass), Digest.md5)), `seed ${seed} pass ${pass}`).toBe(md5);
    }
  });

  it('refuse one stream with a wrong signature and go on with the others', () => {
    const bytes = startStreams(3);
    const seedSignature = 'a'.repeat(64);
    kernels.streamInit(stateOf(7), Digest.md5, { signingKey, amzDate, scope, seedSignature });
    const ends = all.map((pass) => (pass === 7 ? Float64Array.of(100) : null));
    const signatures = all.map((pass) => (pass === 7 ? new Uint8Array(32) : null));
    const [, at = 0] = argsOf(7);
    const parityBefore = bytes.slice(parityOf(at), parityOf(at) + shardBytes);
    const answers = kernels.putPasses(Float64Array.from(all.flatMap(argsOf)), ends, signatures);
    expect(answers).toEqual(all.map((pass) => (pass === 7 ? 0 : 1)));
    expect(bytes.slice(parityOf(at), parityOf(at) + shardBytes)).toEqual(parityBefore);
  });

  it('take at most 32, each with its own stream, and throw before any work', () => {
    const bytes = startStreams(5);
    const before = Buffer.from(bytes);
    const twice = Float64Array.from([...argsOf(0), ...argsOf(0)]);
    expect(() => kernels.putPasses(twice, [null, null], [null, null])).toThrow('same stream');
    const wrong = Float64Array.from([...argsOf(0), ...argsOf(1).with(5, 2 ** 30)]);
    expect(() => kernels.putPasses(wrong, [null, null], [null, null])).toThrow(RangeError);
    const stateless = (count: number): Float64Array =>
      Float64Array.from(Array.from({ length: count }, (_, pass) => smallArgsOf(pass)).flat());
    expect(() => kernels.putPasses(stateless(33), Array(33).fill(null), Array(33).fill(null))).toThrow(RangeError);
    expect(() => kernels.putPasses(Float64Array.from(argsOf(0).slice(1)), [null], [null])).toThrow(RangeError);
    const notArray = null as unknown as null[];
    expect(() => kernels.putPasses(Float64Array.from(argsOf(0)), notArray, [null])).toThrow(TypeError);
    expect(Buffer.from(bytes).equals(before)).toBe(true);
    expect(kernels.putPasses(stateless(32), Array(32).fill(null), Array(32).fill(null))).toHaveLength(32);
    expect(kernels.putPasses(new Float64Array(0), [], [])).toEqual([]);
  });
});

describe('crcCombine', () => {
  it.each([Digest.crc32, Digest.crc32c, Digest.crc64nvme])('joins two values (digest %i)', (digest) => {
    const seed = 1 + Math.floor(Math.random() * 2 ** 30);
    const content = seededBytes(5000, seed);
    for (const cut of [0, 1, 8, 2500, 4999, 5000]) {
      const a = kernels.digest(digest, content.subarray(0, cut));
      const b = kernels.digest(digest, content.subarray(cut));
      const joined = kernels.crcCombine(digest, a, b, content.length - cut);
      expect(joined, `seed ${seed} cut ${cut}`).toEqual(kernels.digest(digest, content));
    }
  });
});
