/** Keys that the web services which this server asks have in common. */
import { parsedKey } from '../setting-key.js';

const urlCharsMax = 2048;
const tokenCharsMax = 8192;

export function pluginUrlKey(description: string) {
  return parsedKey('url', description, {
    parse: parsePluginUrl,
    expects: `an http:// or https:// URL of at most ${urlCharsMax} characters without a user name and a fragment`,
  });
}

/** A credential of ours: the key is not shown anywhere. */
export function pluginTokenKey(description: string, isHiddenWhenEmpty: boolean) {
  return parsedKey('string', description, {
    parse: (text) => (text.length <= tokenCharsMax && /^[\x20-\x7e]*$/.test(text) ? text : undefined),
    expects: `a header value of at most ${tokenCharsMax} characters`,
    isSecret: true,
    ...(isHiddenWhenEmpty && { isHiddenWhenEmpty: true as const }),
  });
}

function parsePluginUrl(text: string): string | undefined {
  if (text === '') return text;
  if (text.length > urlCharsMax || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  // Credentials in it would be shown by `get`: they belong into the token.
  const isPlain = url.username === '' && url.password === '' && url.hash === '';
  // As it was written: the role is named by a hash of it.
  return isPlain && (url.protocol === 'http:' || url.protocol === 'https:') ? text : undefined;
}
