import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { limits, StartupError } from '../../../src/base/index.js';
import { ServerSettings, type ServerSettingsOptions } from '../../../src/config/server-settings.js';
import { numberKey, parsedKey, textKey } from '../../../src/config/setting-key.js';
import { defineSubsystem } from '../../../src/config/subsystem.js';

const api = defineSubsystem({
  name: 'api',
  description: 'of requests',
  takesEffect: 'at once',
  keys: { max: numberKey('most', { initial: 5, min: 0, max: 100 }), origin: textKey('whose') },
  read: ({ max, origin }) => ({ max, origin }),
});
const site = defineSubsystem({
  name: 'site',
  description: 'of the place',
  takesEffect: 'at the next start',
  keys: { region: textKey('where', { environment: ['REGION'] }) },
  read: ({ region }) => region,
});
const hook = defineSubsystem({
  name: 'hook',
  description: 'of entries',
  hasTargets: true,
  takesEffect: 'at once',
  keys: {
    endpoint: parsedKey('url', 'where to', {
      parse: (text) => (text === '' || text.startsWith('http') ? text : undefined),
      expects: 'a URL',
      isRequired: true,
    }),
    auth_token: textKey('secret', { isSecret: true }),
    low: numberKey('least', { initial: 1, min: 0, max: 100 }),
    high: numberKey('most', { initial: 9, min: 0, max: 100 }),
  },
  check: ({ low, high }) => (low > high ? 'low exceeds high' : null),
  read: ({ endpoint, auth_token, low, high }, _facts, target) => ({ target, endpoint, token: auth_token, low, high }),
});

class World {
  readonly records = new Map<string, Uint8Array>();
  readonly logged: string[] = [];
  nowMs = 1_000_000;
  isFailing = false;
  #ids = 0;

  open(environment: Record<string, string> = {}, schema: ServerSettingsOptions['schema'] = [site, api, hook]) {
    return ServerSettings.open({
      schema,
      environment,
      records: {
        load: (visit) => {
          for (const [name, value] of [...this.records].sort()) visit(name, value);
          return Promise.resolve();
        },
        write: (changes) => {
          if (this.isFailing) return Promise.reject(new Error('no drive'));
          for (const { name, value } of changes) {
            if (value === null) this.records.delete(name);
            else this.records.set(name, value);
          }
          return Promise.resolve();
        },
      },
      facts: { sets: [{ driveCount: 4, parityShards: 2 }] },
      clock: { nowMs: () => this.nowMs++ },
      newId: () => `id-${this.#ids++}`,
      log: (text, fields) => this.logged.push(`${text} ${JSON.stringify(fields)}`),
    });
  }
}

let world: World;
let settings: ServerSettings;
beforeEach(async () => {
  world = new World();
  settings = await world.open();
});

describe('set', () => {
  test('takes effect at once, keeps what is not named, and lasts', async () => {
    expect(settings.read(api)).toEqual({ max: 5, origin: '' });
    expect(await settings.set('api max=7')).toEqual({ isInEffect: true });
    await settings.set('api origin=here and there');
    expect(settings.read(api)).toEqual({ max: 7, origin: 'here and there' });
    expect(settings.get('api')).toBe('api max=7 origin="here and there" \n');
    expect((await world.open()).read(api)).toEqual({ max: 7, origin: 'here and there' });
  });

  test('of what needs a start says so, and waits for one', async () => {
    expect(await settings.set('site region=eu\napi max=1')).toEqual({ isInEffect: false });
    expect(settings.read(site)).toBe('');
    expect(settings.read(api).max).toBe(1);
    expect(settings.get('site')).toBe('site region=eu \n');
    expect((await world.open()).read(site)).toBe('eu');
  });

  test('tells those who watch, once it is in effect', async () => {
    const seen: number[] = [];
    settings.watch(() => seen.push(settings.read(api).max));
    await settings.set('api max=8');
    expect(seen).toEqual([5, 8]);
    await expect(settings.set('api max=101')).rejects.toThrow();
    expect(seen).toEqual([5, 8]);
  });

  test.each([
    ['api max=101', 'api max is "101", which is not a number from 0 to 100.'],
    ['api max=1.5', 'which is not a number'],
    ['hook:a endpoint=ftp://x', 'hook endpoint is "ftp://x", which is not a URL.'],
    ['hook:a low=1', 'hook needs a value for endpoint while it is enabled.'],
    ['hook:a endpoint=http://x low=5 high=4', 'hook: low exceeds high.'],
    ['api origin=a\u0007b', 'control character'],
    ['hook:a endpoint=http://x auth_token=*redacted*', 'in place of a secret'],
    ['api origin=he"" max=\napi max=', 'two lines'],
    ['# nothing', 'Nothing to set'],
  ])('%j is refused and changes nothing: %s', async (text, part) => {
    await expect(settings.set(text)).rejects.toThrow(part);
    expect(world.records.size).toBe(0);
    expect(settings.read(api)).toEqual({ max: 5, origin: '' });
    expect(settings.history(10)).toEqual([]);
  });

  test('a wrong secret is not repeated', async () => {
    const secret = defineSubsystem({
      name: 'vault',
      description: 'of secrets',
      takesEffect: 'at once',
      keys: { key: parsedKey('string', 'secret', { parse: () => undefined, expects: 'a key', isSecret: true }) },
      read: () => null,
    });
    const refused = new World().open({ MINIO_VAULT_KEY: 'hunter2' }, [secret]);
    await expect(refused).rejects.toThrow('MINIO_VAULT_KEY is not a key');
    await expect(refused).rejects.not.toThrow('hunter2');
  });

  test('an empty value and the default are not stored', async () => {
    await settings.set('api max=7 origin=x');
    await settings.set('api max=5 origin=');
    expect(settings.get('api')).toBe('api max=5 origin= \n');
    expect(Buffer.from(world.records.get('config/current') ?? []).toString()).toBe('{"v":1,"settings":{}}');
  });

  test('what could not be stored does not take effect', async () => {
    world.isFailing = true;
    await expect(settings.set('api max=7')).rejects.toThrow('no drive');
    expect(settings.read(api).max).toBe(5);
    expect(settings.history(10)).toEqual([]);
    world.isFailing = false;
    await settings.set('api origin=x');
    expect(settings.read(api)).toEqual({ max: 5, origin: 'x' });
  });

  test('changes that come together are made one after the other', async () => {
    await Promise.all([
      settings.set('api max=7'),
      settings.set('api origin=x'),
      settings.set('hook:a endpoint=http://a'),
    ]);
    expect(settings.read(api)).toEqual({ max: 7, origin: 'x' });
    expect(settings.targets(hook).get('a')?.endpoint).toBe('http://a');
  });

  test('targets are bounded in number, and the whole in bytes', async () => {
    const lines = (count: number) => Array.from({ length: count }, (_, i) => `hook:t${i} endpoint=http://x`).join('\n');
    await settings.set(lines(limits.settingTargetsMax - 1));
    await expect(settings.set('hook:more endpoint=http://x')).rejects.toThrow('64 targets at most');
    const huge = `api origin=${'a'.repeat(limits.settingsBytesMax)}`;
    await expect(settings.set(huge)).rejects.toMatchObject({ code: 'XMinioAdminConfigTooLarge' });
  });
});

describe('the environment', () => {
  test('wins over what is stored, and shows as a comment', async () => {
    const live = await world.open({ MINIO_API_MAX: '20', GRANARY_API_ORIGIN: 'ours', MINIO_API_ORIGIN: 'theirs' });
    expect(live.read(api)).toEqual({ max: 20, origin: 'ours' });
    await live.set('api max=7');
    expect(live.read(api).max).toBe(20);
    expect(live.get('api')).toBe('# MINIO_API_MAX=20\n# MINIO_API_ORIGIN=ours\napi max=7 origin= \n');
    expect((await world.open()).read(api).max).toBe(7);
  });

  test('has other names for some, and targets at the end of others', async () => {
    const live = await world.open({
      MINIO_REGION: 'eu',
      MINIO_HOOK_ENABLE_First: 'on',
      MINIO_HOOK_ENDPOINT_First: 'http://first',
      MINIO_HOOK_AUTH_TOKEN_First: 'hunter2',
      MINIO_HOOK_ENDPOINT_off: 'http://off',
    });
    expect(live.read(site)).toBe('eu');
    expect([...live.targets(hook)]).toEqual([
      ['First', { target: 'First', endpoint: 'http://first', token: 'hunter2', low: 1, high: 9 }],
    ]);
    expect(live.get('hook:First')).toBe(
      '# MINIO_HOOK_ENABLE_First=on\n# MINIO_HOOK_ENDPOINT_First=http://first\n# MINIO_HOOK_AUTH_TOKEN_First=*redacted*\n' +
        'hook:First enable=off endpoint= low=1 high=9 \n',
    );
    expect(live.export()).toContain('# MINIO_HOOK_AUTH_TOKEN_First=hunter2\n');
  });

  test('is checked together with what is stored', async () => {
    const live = await world.open({ MINIO_HOOK_HIGH_a: '3' });
    await expect(live.set('hook:a endpoint=http://x low=4')).rejects.toThrow('low exceeds high');
    await live.set('hook:a endpoint=http://x low=2');
    // What the environment hides is checked as well: it will not hide it for ever.
    await expect(live.set('hook:a high=1000')).rejects.toThrow('hook high is "1000"');
  });

  test('that is wrong ends the start, with the name that was written', async () => {
    const refused = world.open({ MINIO_API_MAX: 'many' });
    await expect(refused).rejects.toThrow(StartupError);
    await expect(refused).rejects.toThrow('MINIO_API_MAX is "many"');
  });

  test('that makes stored settings wrong leaves those without effect, and says so', async () => {
    await settings.set('hook:a endpoint=http://x low=5');
    const live = await world.open({ MINIO_HOOK_HIGH_a: '3' });
    expect(live.targets(hook).size).toBe(0);
    expect(world.logged).toEqual([expect.stringContaining('low exceeds high')]);
    expect(live.get('hook:a')).toContain('low=5');
  });
});

describe('get', () => {
  test('leaves secrets out, an export does not', async () => {
    await settings.set('hook:a endpoint=http://a auth_token=Bearer hunter2 low=2');
    expect(settings.get('hook')).toBe(
      'hook enable=off endpoint= low=1 high=9 \nhook:a endpoint=http://a low=2 high=9 \n',
    );
    expect(settings.get('hook:')).toBe('hook enable=off endpoint= low=1 high=9 \n');
    expect(settings.get('hook:a')).not.toContain('hunter2');
    expect(settings.export()).toBe(
      'site region= \napi max=5 origin= \n# hook enable=off endpoint= auth_token= low=1 high=9 \n' +
        'hook:a endpoint=http://a auth_token="Bearer hunter2" low=2 high=9 \n',
    );
    expect(JSON.stringify(settings.history(10))).not.toContain('hunter2');
    expect(settings.history(10)[0]?.text).toBe('hook:a endpoint=http://a auth_token=*redacted* low=2 enable=on ');
  });

  test('shows a comment once there is one', async () => {
    await settings.set('api comment=why it is so');
    expect(settings.get('api')).toBe('api max=5 origin= comment="why it is so" \n');
  });

  test.each(['nothing', 'hook:none', 'site:x', '', 'api:_x'])('%j is refused', (words) => {
    expect(() => settings.get(words)).toThrow();
  });
});

describe('reset', () => {
  test('of keys, of a target, of a subsystem', async () => {
    await settings.set('api max=7 origin=x\nhook:a endpoint=http://a low=2');
    expect(await settings.reset('api max')).toEqual({ isInEffect: true });
    expect(settings.read(api)).toEqual({ max: 5, origin: 'x' });
    await settings.reset('api');
    expect(settings.read(api)).toEqual({ max: 5, origin: '' });
    await settings.reset('hook:a');
    expect(settings.targets(hook).size).toBe(0);
    await expect(settings.reset('hook:a')).rejects.toMatchObject({ code: 'XMinioConfigNotFoundError' });
    await expect(settings.reset('api nope')).rejects.toMatchObject({ code: 'XMinioConfigError' });
    await expect(settings.reset('')).rejects.toMatchObject({ code: 'XMinioConfigError' });
    expect(await settings.reset('site')).toEqual({ isInEffect: false });
  });

  test('that would leave something wrong is refused', async () => {
    await settings.set('hook:a endpoint=http://a');
    await expect(settings.reset('hook:a endpoint')).rejects.toThrow('needs a value for endpoint');
    expect(settings.targets(hook).size).toBe(1);
  });
});

describe('history', () => {
  test('restores what was set, in order, and forgets the entry', async () => {
    await settings.set('api max=1');
    await settings.set('api max=2 origin=b');
    await settings.set('site region=eu');
    const [first] = settings.history(10);
    expect(settings.history(10).map(({ text }) => text)).toEqual([
      'api max=1 ',
      'api max=2 origin=b ',
      'site region=eu ',
    ]);
    expect(settings.history(2)).toHaveLength(2);
    expect(await settings.restore(first?.id ?? '')).toEqual({ isInEffect: true });
    expect(settings.read(api)).toEqual({ max: 1, origin: 'b' });
    const again = await world.open();
    expect(again.history(10).map(({ text }) => text)).toEqual(['api max=2 origin=b ', 'site region=eu ']);
    await expect(again.restore(first?.id ?? '')).rejects.toMatchObject({ code: 'XMinioConfigNotFoundError' });
  });

  test('restores secrets, which it does not show', async () => {
    await settings.set('hook:a endpoint=http://a auth_token=hunter2');
    await settings.reset('hook:a');
    await settings.restore(settings.history(1)[0]?.id ?? '');
    expect(settings.targets(hook).get('a')?.token).toBe('hunter2');
  });

  test('is cleared in part or as a whole', async () => {
    for (const max of [1, 2, 3]) await settings.set(`api max=${max}`);
    const [, second] = settings.history(10);
    await settings.clearHistory(second?.id ?? '');
    expect(settings.history(10).map(({ text }) => text)).toEqual(['api max=1 ', 'api max=3 ']);
    await expect(settings.clearHistory('nope')).rejects.toMatchObject({ code: 'XMinioConfigNotFoundError' });
    await settings.clearHistory('all');
    await settings.clearHistory('all');
    expect((await world.open()).history(10)).toEqual([]);
    expect([...world.records.keys()]).toEqual(['config/current']);
  });

  test('is bounded: the oldest make room', async () => {
    for (let n = 0; n <= limits.settingsHistoryMax; n++) await settings.set(`api max=${n % 100}`);
    expect(settings.history(1000)).toHaveLength(limits.settingsHistoryMax);
    expect(settings.history(1000)[0]?.text).toBe('api max=1 ');
    expect(world.records.size).toBe(limits.settingsHistoryMax + 1);
  });
});

describe('import', () => {
  test('replaces everything', async () => {
    await settings.set('api max=7 origin=x\nhook:a endpoint=http://a');
    expect(await settings.import('api max=9\n')).toEqual({ isInEffect: false });
    expect(settings.read(api)).toEqual({ max: 9, origin: '' });
    expect(settings.targets(hook).size).toBe(0);
  });

  test('that is wrong in one line changes nothing', async () => {
    await settings.set('api max=7');
    await expect(settings.import('api max=9\nhook:a endpoint=nope')).rejects.toThrow('which is not a URL');
    expect(settings.read(api).max).toBe(7);
  });

  const text = fc.string({ unit: 'grapheme', maxLength: 12 });
  const step = fc.oneof(
    fc.tuple(fc.integer({ min: 0, max: 100 }), text).map(([max, origin]) => `api max=${max} origin=${origin}`),
    text.map((region) => `site region="${region}"`),
    fc
      .tuple(fc.constantFrom('', ':a', ':B-2'), fc.constantFrom('on', 'off'), text, text)
      .map(([target, enable, token, comment]) => {
        return `hook${target} enable=${enable} endpoint=http://x auth_token="${token}" comment=${comment}`;
      }),
    fc.constantFrom('reset api origin', 'reset hook:a', 'reset hook'),
  );

  test('property: an export, imported elsewhere, is the same settings and the same export', async () => {
    let changes = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        const from = await new World().open();
        for (const one of steps) {
          const change = one.startsWith('reset ') ? from.reset(one.slice(6)) : from.set(one);
          changes += await change.then(
            () => 1,
            () => 0,
          );
        }
        const to = await new World().open();
        await to.set('api max=99 origin=before\nhook:gone endpoint=http://gone');
        await to.import(from.export());
        expect(to.export()).toBe(from.export());
        expect(to.read(api)).toEqual(from.read(api));
        expect([...to.targets(hook)]).toEqual([...from.targets(hook)]);
        expect(to.get('site')).toBe(from.get('site'));
      }),
      { numRuns: 300 },
    );
    expect(changes).toBeGreaterThan(200);
  });
});

describe('help', () => {
  test('lists subsystems, keys, one key, and names in the environment', () => {
    expect(settings.help('', '', false).keysHelp.map(({ key }) => key)).toEqual(['site', 'api', 'hook']);
    expect(settings.help('hook', '', false)).toMatchObject({ subSys: 'hook', multipleTargets: true });
    expect(settings.help('hook', '', false).keysHelp.map(({ key, type, optional }) => [key, type, optional])).toEqual([
      ['enable', 'on|off', true],
      ['endpoint', 'url', false],
      ['auth_token', 'string', true],
      ['low', 'number', true],
      ['high', 'number', true],
      ['comment', 'sentence', true],
    ]);
    expect(settings.help('api', 'max', true).keysHelp).toMatchObject([{ key: 'MINIO_API_MAX' }]);
    expect(() => settings.help('api', 'nope', false)).toThrow('is not known');
    expect(() => settings.help('nope', '', false)).toThrow('unknown sub-system');
  });
});

describe('stored settings', () => {
  test('of another form end the start', async () => {
    world.records.set('config/current', Buffer.from('{"v":2,"settings":{}}'));
    await expect(world.open()).rejects.toThrow(StartupError);
  });

  test('of a subsystem that is not known here are kept for the release that wrote them', async () => {
    await settings.set('hook:a endpoint=http://a\napi max=3');
    const older = await world.open({}, [api]);
    await older.set('api max=4');
    expect(() => older.history(10)).not.toThrow();
    const newer = await world.open();
    expect(newer.targets(hook).get('a')?.endpoint).toBe('http://a');
    expect(newer.read(api).max).toBe(4);
  });
});
