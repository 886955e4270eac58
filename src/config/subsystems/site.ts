/** `site`: name and region; and `region`, the older name of the latter. */
import { limits } from '../../base/index.js';
import { parsedKey } from '../setting-key.js';
import { defineSubsystem } from '../subsystem.js';

export interface SiteSettings {
  /** Empty: none. In audit and log entries, and in the banner. */
  readonly name: string;
  /** Empty: none is set. */
  readonly region: string;
}

export const regionPattern = /^[a-zA-Z][a-zA-Z0-9_-]*$/;

const regionReading = {
  parse: (text: string) =>
    text === '' || (regionPattern.test(text) && text.length <= limits.regionCharsMax) ? text : undefined,
  expects: `a name of at most ${limits.regionCharsMax} letters, digits, "-" and "_" that begins with a letter`,
};

export const siteSubsystem = defineSubsystem({
  name: 'site',
  description: 'label the server and its location',
  takesEffect: 'at the next start',
  keys: {
    name: parsedKey('string', 'name for the site e.g. "cal-rack0"', {
      parse: (text) => (/^[\w .-]{0,64}$/.test(text) ? text : undefined),
      expects: 'a name of at most 64 letters, digits, spaces, "_", "." and "-"',
    }),
    region: parsedKey('string', 'name of the location of the server e.g. "us-west-1"', regionReading),
  },
  read: ({ name, region }): SiteSettings => ({ name, region }),
});

export const regionSubsystem = defineSubsystem({
  name: 'region',
  description: 'label the location of the server (superseded by site, which wins)',
  takesEffect: 'at the next start',
  keys: {
    name: parsedKey('string', 'name of the location of the server e.g. "us-west-1"', {
      ...regionReading,
      environment: ['REGION'],
    }),
  },
  read: ({ name }) => name,
});
