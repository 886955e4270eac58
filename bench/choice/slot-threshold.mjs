// `node --import .../slot-threshold.mjs dist/main.js …`: the server with another bound between objects that carry their
// shards in the log and those that have files of their own. SLOT_OBJECT_BYTES says which. Fails when there is no such bound.
import { register } from 'node:module';

const hooksQuery = '?hooks';
const bound = /^(export const slotObjectBytesMax = )[^;]+;/m;

if (!import.meta.url.endsWith(hooksQuery)) register(`${import.meta.url}${hooksQuery}`);

/** The loader's hook: runs in a thread of its own. */
export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  if (!url.endsWith('/dist/base/limits.js')) return loaded;
  const source = loaded.source.toString();
  const bytes = Number(process.env.SLOT_OBJECT_BYTES);
  if (!bound.test(source) || !Number.isSafeInteger(bytes)) throw new Error('the bound of slots cannot be replaced');
  return { ...loaded, source: source.replace(bound, `$1${bytes};`) };
}
