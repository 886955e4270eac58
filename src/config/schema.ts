/**
 * The one schema: every setting as text or switch on the way in, its checked value on the way out.
 * Its messages complete the sentence `<name as written> …`.
 */
import { cpus } from 'node:os';
import { z } from 'zod';
import { limits } from '../base/index.js';
import { parseAddress, parseDurationMs, parseSize, parseSwitch } from './words.js';

/** Text that one of the parsers of `words.ts` understands. */
function parsed<T>(parse: (text: string) => T | null, what: string) {
  return z.string().transform((text, context): T => {
    const value = parse(text);
    if (value !== null) return value;
    context.addIssue({ code: 'custom', message: `is "${text}", which is not ${what}` });
    return z.NEVER;
  });
}

const domainPattern = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

function parseDomains(text: string): readonly string[] | null {
  const domains = text
    .split(',')
    .map((domain) => domain.trim().toLowerCase())
    .filter((domain) => domain !== '');
  if (domains.length === 0 || !domains.every((domain) => domainPattern.test(domain))) return null;
  // With one domain inside another, `a.s3.example.org` would have two meanings.
  const overlap = domains.some((one, index) =>
    domains.some((other, otherIndex) => index !== otherIndex && (one === other || one.endsWith(`.${other}`))),
  );
  return overlap ? null : domains;
}

function parseStorageClass(text: string): number | null {
  const match = /^EC:(\d{1,2})$/i.exec(text.trim());
  return match === null ? null : Number(match[1]);
}

function parseUrl(text: string): string | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  const isPlain =
    url.username === '' && url.password === '' && url.search === '' && url.hash === '' && url.pathname === '/';
  return (url.protocol === 'http:' || url.protocol === 'https:') && isPlain ? url.origin : null;
}

/** Pages may lie below a path of a host that has others too. */
function parsePagesUrl(text: string): string | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  const isPlain = url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || !isPlain) return null;
  return url.origin + url.pathname.replace(/\/+$/, '');
}

/** 0, as in MinIO: chosen by the number of drives. */
function parseSetSize(text: string): number | null {
  const count = /^\d{1,3}$/.test(text.trim()) ? Number(text) : 1;
  return count === 0 || (count >= 2 && count <= limits.setDrivesMax) ? count : null;
}

function parseThreads(text: string): number | null {
  const count = /^\d+$/.test(text.trim()) ? Number(text) : 0;
  return count >= 1 && count <= limits.threadsMax ? count : null;
}

function parseMemory(text: string): number | null {
  const bytes = parseSize(text);
  return bytes !== null && bytes >= limits.arenaBytesMin && bytes <= limits.arenaBytesMax ? bytes : null;
}

function parseReadCache(text: string): number | null {
  const bytes = text.trim() === '0' ? 0 : parseSize(text);
  return bytes !== null && bytes <= limits.readCacheBytesMax ? bytes : null;
}

export const settingsSchema = z.object({
  address: parsed(parseAddress, 'of the form HOST:PORT or :PORT').default({ host: '', port: 9000 }),
  region: z
    .string()
    .max(limits.regionCharsMax, `is longer than ${limits.regionCharsMax} characters`)
    .regex(/^[a-zA-Z][a-zA-Z0-9_-]*$/, 'may hold letters, digits, "-" and "_", and begins with a letter')
    .nullable()
    .default(null),
  domains: parsed(parseDomains, 'a list of domain names, none inside another').default([]),
  parity: parsed(parseStorageClass, 'of the form EC:N').nullable().default(null),
  setDriveCount: parsed(parseSetSize, `0, or a number from 2 to ${limits.setDrivesMax}`).nullable().default(null),
  serverUrl: parsed(parseUrl, 'a plain http:// or https:// URL without a path').nullable().default(null),
  pagesUrl: parsed(parsePagesUrl, 'an http:// or https:// URL without a user name, query or fragment')
    .nullable()
    .default(null),
  arePagesOn: parsed(parseSwitch, 'on or off').default(true),
  memoryBytes: parsed(parseMemory, 'a size from 32MiB to 4GiB').nullable().default(null),
  readCacheBytes: parsed(parseReadCache, 'a size up to 1TiB, or 0').nullable().default(null),
  threads: parsed(parseThreads, `a number from 1 to ${limits.threadsMax} (this machine has ${cpus().length} cores)`)
    .nullable()
    .default(null),
  httpLibrary: z.enum(['uws', 'node'], 'is neither uws nor node').default('uws'),
  durability: z.enum(['strict', 'relaxed'], 'is neither strict nor relaxed').default('strict'),
  reclaimDelayMs: parsed(parseReclaimDelay, 'a duration up to 24h, such as 10m').default(0),
  metricsAuth: z.enum(['jwt', 'public'], 'is neither jwt nor public').default('jwt'),
  indexDir: z.string().nullable().default(null),
  certsDir: z.string().nullable().default(null),
  shutdownGraceMs: parsed(parseDurationMs, 'a duration such as 10s or 1m30s').default(limits.shutdownGraceMs),
  logLevel: z
    .enum(['silent', 'error', 'warn', 'info', 'debug'], 'is none of silent, error, warn, info, debug')
    .default('info'),
});

function parseReclaimDelay(text: string): number | null {
  const delayMs = parseDurationMs(text);
  return delayMs === null || delayMs > limits.reclaimDelayMsMax ? null : delayMs;
}

export type SettingName = keyof z.infer<typeof settingsSchema>;
