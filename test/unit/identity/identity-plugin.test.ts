import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Refusal, systemClock } from '../../../src/base/index.js';
import { IdentityPlugin, type IdentityPluginOptions } from '../../../src/identity/index.js';
import { brokenReplies, slowReplies, startPluginServer, type PluginServer } from '../../support/plugin-server.js';

const roleArn = 'arn:minio:iam:us-east-1::role/idmp-provider';
const nowMs = Date.UTC(2026, 10, 24);
const logged: string[] = [];

let server: PluginServer;
let plugin: IdentityPlugin;
beforeEach(async () => {
  logged.length = 0;
  server = await startPluginServer();
  plugin = pluginAt(server.url);
});
afterEach(async () => {
  plugin.close();
  await server.stop();
});

function pluginAt(url: string, options: Partial<IdentityPluginOptions> = {}): IdentityPlugin {
  return new IdentityPlugin({
    url,
    authToken: 'Bearer TOKEN',
    roleArn,
    rolePolicies: ['gone', 'reading'],
    hasPolicy: (name) => name === 'reading',
    arePoliciesElsewhere: false,
    authorities: [],
    clock: { ...systemClock, nowMs: () => nowMs },
    log: (text, { cause = '' }) => void logged.push(`${text}: ${String(cause)}`),
    ...options,
  });
}

function identify(parameters: Record<string, string> = {}, durationSeconds: number | null = null, at = plugin) {
  const known = new Map(Object.entries({ Token: 'secret of ann', ...parameters }));
  const where = { remoteAddress: '127.0.0.1', secure: false, certificate: null };
  return at.identify({ parameters: known, durationSeconds, ...where });
}

async function refusal(parameters: Record<string, string> = {}, at = plugin): Promise<Refusal> {
  const outcome = await identify(parameters, null, at).then(
    () => null,
    (error: unknown) => error,
  );
  if (!(outcome instanceof Refusal)) throw new Error(`no refusal: ${String(outcome)}`);
  return outcome;
}

const grant = { user: 'ann', maxValiditySeconds: 3600, claims: { department: 'ships' } };

describe('an identity plugin', () => {
  it('is shown the token in the query, and its own credential in a header', async () => {
    plugin = pluginAt(`${server.url}?tenant=a%20b`);
    server.answer = () => ({ body: grant });
    await identify({ Token: 'a&b=c d+é' });
    const [call] = server.calls;
    expect(call).toMatchObject({ method: 'POST', path: '/auth', body: '' });
    expect([...call!.query]).toEqual([
      ['tenant', 'a b'],
      ['token', 'a&b=c d+é'],
    ]);
    expect(call!.headers.authorization).toBe('Bearer TOKEN');
    expect(call!.headers['content-length']).toBe('0');
  });

  it('names account, claims and role', async () => {
    server.answer = () => ({
      body: { ...grant, claims: { department: 'ships', level: 7, admin: false, on: ['a', 1] } },
    });
    expect(await identify()).toEqual({
      account: 'custom:ann',
      source: 'plugin',
      subject: 'custom:ann',
      policyNames: [],
      groups: [],
      claims: new Map<string, unknown>([
        ['department', 'ships'],
        ['level', 7],
        ['admin', false],
        ['on', ['a', 1]],
        ['sub', 'custom:ann'],
      ]),
      roleArn,
      provider: '_',
      expiresMs: nowMs + 3600_000,
    });
  });

  it.each([
    [3600, null, 3600],
    [3600, 900, 900],
    [3600, 7200, 3600],
    [900, null, 900],
    [31_536_000, null, 31_536_000],
  ])('of at most %d s, %s asked for, gives %d', async (maxValiditySeconds, asked, expected) => {
    server.answer = () => ({ body: { ...grant, maxValiditySeconds } });
    expect((await identify({}, asked)).expiresMs).toBe(nowMs + expected * 1000);
  });

  it.each<[unknown, [string, unknown][]]>([
    ['department=ships,level=7', [['department', 'ships'], ['level', '7']]], // prettier-ignore
    [' a = b , c=d=e ', [['a', 'b'], ['c', 'd=e']]], // prettier-ignore
    ['group=x,group=y,group=z', [['group', ['x', 'y', 'z']]]],
    ['empty=', [['empty', '']]],
    ['', []],
    [{}, []],
    [null, []],
    [undefined, []],
    [{ nested: { a: 1 }, none: null, mixed: [{}], kept: 'yes' }, [['kept', 'yes']]],
    // What this server says itself, in any spelling.
    ['exp=1,parent=root,sub=root,roleArn=x,tokenRevokeType=y,a=b', [['a', 'b']]],
    [{ EXP: 1, Parent: 'root', SUB: 'root', rolearn: 'x', accessKey: 'k', a: 'b' }, [['a', 'b']]],
    [{ sessionPolicy: 'x', 'sa-policy': 'y', ldapUser: 'z', ldapAttrib_mail: 'm', 'sessionPolicy-extracted': 'e' }, []],
    [{ ['__proto__']: 'x', constructor: 'y' }, [['constructor', 'y']]],
  ])('with claims %j says %j', async (claims, expected) => {
    server.answer = () => ({ body: { ...grant, claims } });
    const found = await identify();
    expect([...found.claims]).toEqual([...expected, ['sub', 'custom:ann']]);
  });

  it.each([
    ['ops', ['ops']],
    [
      ['ops', 'dev', 7],
      ['ops', 'dev'],
    ],
    [7, []],
  ])('with the claim groups %j is in %j', async (groups, expected) => {
    server.answer = () => ({ body: { ...grant, claims: { groups } } });
    expect((await identify()).groups).toEqual(expected);
  });

  it.each<[string, unknown]>([
    ['no user', { maxValiditySeconds: 3600 }],
    ['an empty user', { ...grant, user: '' }],
    ['a user with a control character', { ...grant, user: 'an\u0000n' }],
    ['a user with a line break', { ...grant, user: 'an\nn' }],
    ['a user between spaces', { ...grant, user: ' ann ' }],
    ['half a character', { ...grant, user: 'ann\ud800' }],
    ['a user that is a number', { ...grant, user: 7 }],
    ['a user that is too long', { ...grant, user: 'a'.repeat(513) }],
    ['no time', { user: 'ann' }],
    ['too short a time', { ...grant, maxValiditySeconds: 899 }],
    ['too long a time', { ...grant, maxValiditySeconds: 31_536_001 }],
    ['a negative time', { ...grant, maxValiditySeconds: -3600 }],
    ['part of a second', { ...grant, maxValiditySeconds: 1000.5 }],
    ['a time in text', { ...grant, maxValiditySeconds: '3600' }],
    ['claims that are a number', { ...grant, claims: 7 }],
    ['claims that are a list', { ...grant, claims: ['a=b'] }],
    ['a claim without a value', { ...grant, claims: 'a=b,c' }],
    ['a claim without a name', { ...grant, claims: '=b' }],
    ['a comma too many', { ...grant, claims: 'a=b,' }],
    ['an empty name', { ...grant, claims: { '': 'x' } }],
    ['a name with a control character', { ...grant, claims: { 'a\u0001': 'x' } }],
    ['a name that is too long', { ...grant, claims: { ['n'.repeat(257)]: 'x' } }],
    ['too many claims', { ...grant, claims: Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`c${i}`, i])) }],
    ['too many pairs', { ...grant, claims: Array.from({ length: 257 }, (_, i) => `c${i}=x`).join(',') }],
  ])('is at fault with %s', async (_name, body) => {
    server.answer = () => ({ body });
    expect(await refusal()).toMatchObject({
      code: 'InternalError',
      message: 'The identity plugin answered with what is no grant.',
    });
  });

  it.each(Object.entries(brokenReplies))('is at fault with %s', async (_name, reply) => {
    server.answer = () => reply;
    const { code, message } = await refusal();
    expect(code).toBe('InternalError');
    expect(message).toMatch(/^The identity plugin [^\n]{5,80}\.$/);
    expect(message).not.toContain('secret');
  });

  it('takes as many claims as it may have', async () => {
    const claims = Object.fromEntries(Array.from({ length: 256 }, (_, i) => [`c${i}`, i]));
    server.answer = () => ({ body: { ...grant, claims } });
    expect((await identify()).claims.size).toBe(257);
  });

  it('gives its reason for a no', async () => {
    const answers: [unknown, string][] = [
      [{ reason: 'Expired token' }, 'Expired token'],
      [{ reason: 'two\nlines\u0000' }, 'two lines'],
      [{ reason: 'x'.repeat(1000) }, 'x'.repeat(512)],
      [{ reason: '' }, 'The identity plugin refused the token.'],
      [{ reason: 7 }, 'The identity plugin refused the token.'],
      ['', 'The identity plugin refused the token.'],
      // However much it looks like a grant.
      [{ ...grant, reason: 'no' }, 'no'],
    ];
    for (const [body, message] of answers) {
      server.answer = () => ({ status: 403, body });
      expect(await refusal()).toMatchObject({ code: 'AccessDenied', message });
    }
  });

  it('is not asked for another role, without policies, or with too long a token', async () => {
    server.answer = () => ({ body: grant });
    expect(await refusal({ RoleArn: 'arn:minio:iam:us-east-1::role/other' })).toMatchObject({
      code: 'InvalidParameterValue',
    });
    expect(await refusal({ Token: 'x'.repeat(32 * 1024 + 1) })).toMatchObject({ code: 'InvalidParameterValue' });
    const without = pluginAt(server.url, { hasPolicy: () => false });
    expect(await refusal({}, without)).toMatchObject({
      code: 'InvalidParameterValue',
      message: 'None of the policies of the role (`gone,reading`) are defined.',
    });
    expect(server.calls).toEqual([]);
    await identify({ RoleArn: roleArn });
    // Whoever decides elsewhere needs no policies here.
    const elsewhere = pluginAt(server.url, { hasPolicy: () => false, arePoliciesElsewhere: true });
    await identify({}, null, elsewhere);
    expect(server.calls).toHaveLength(2);
  });

  it('says so when nobody is there, without the token', async () => {
    await server.stop();
    const { code, message } = await refusal();
    expect([code, message]).toEqual(['InternalError', 'The identity plugin refuses connections.']);
    await plugin.check();
    await plugin.check();
    expect(plugin.isReachable).toBe(false);
    // Once, and not at each look.
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain('refuses connections');
    server = await startPluginServer(server.port);
    await plugin.check();
    expect(plugin.isReachable).toBe(true);
    expect(logged[1]).toContain('can be reached again');
  });

  it('may take five seconds and no more', async () => {
    const begun = Date.now();
    await Promise.all(
      Object.entries(slowReplies).map(async ([name, reply]) => {
        const slow = await startPluginServer();
        slow.answer = () => reply;
        const answered = await refusal({}, pluginAt(slow.url));
        expect([name, answered.code, answered.message]).toEqual([
          name,
          'InternalError',
          'The identity plugin did not answer within 5 s.',
        ]);
        await slow.stop();
      }),
    );
    expect(Date.now() - begun).toBeGreaterThan(4_900);
    expect(Date.now() - begun).toBeLessThan(12_000);
  }, 20_000);

  it('has its calls counted by the minute', async () => {
    let now = nowMs;
    plugin = pluginAt(server.url, { clock: { ...systemClock, nowMs: () => now } });
    expect(plugin.statistics()).toMatchObject({ lastSuccessMs: null, lastFailureMs: null, minute: { count: 0 } });
    server.answer = () => ({ body: grant });
    await identify();
    server.answer = () => ({ status: 403, body: { reason: 'no' } });
    await refusal();
    server.answer = () => ({ status: 500 });
    await refusal();
    expect(plugin.statistics().minute.count).toBe(0);
    now += 60_000;
    const { minute, lastSuccessMs, lastFailureMs } = plugin.statistics();
    expect([lastSuccessMs, lastFailureMs]).toEqual([nowMs, nowMs]);
    expect(minute).toMatchObject({ count: 3, failedCount: 1 });
    expect(minute.roundTripMsAverage).toBeGreaterThan(0);
    expect(minute.roundTripMsMax).toBeGreaterThanOrEqual(minute.roundTripMsAverage);
    now += 60_000;
    expect(plugin.statistics().minute.count).toBe(0);
  });
});
