import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/index.js';
import { PolicyPlugin, type PolicyQuestion } from '../../../src/identity/index.js';
import { brokenReplies, slowReplies, startPluginServer, type PluginServer } from '../../support/plugin-server.js';

const question: PolicyQuestion = {
  account: 'ann-key',
  groups: ['staff'],
  action: 's3:PutObject',
  bucket: 'bucket',
  key: 'a/b é',
  conditions: { SourceIp: ['127.0.0.1'] },
  isOwner: false,
  claims: new Map<string, string | readonly string[]>([
    ['department', 'ships'],
    ['on', ['a', 'b']],
  ]),
  isDenyOnly: false,
};
const logged: string[] = [];
let server: PluginServer;
let plugin: PolicyPlugin;
let monotonicMs = 0;

const pluginAt = (url: string) =>
  new PolicyPlugin({
    url,
    authToken: 'Bearer TOKEN',
    authorities: [],
    clock: { nowMs: () => 0, monotonicMs: () => monotonicMs },
    log: (_text, fields) => void logged.push(JSON.stringify(fields)),
  });

beforeEach(async () => {
  logged.length = 0;
  monotonicMs = 0;
  server = await startPluginServer();
  plugin = pluginAt(server.url);
});
afterEach(async () => {
  plugin.close();
  await server.stop();
});

describe('a policy plugin', () => {
  it('is asked in the form that Open Policy Agent has', async () => {
    server.answer = () => ({ body: { result: true } });
    expect(await plugin.decide(question)).toBe(true);
    const [call] = server.calls;
    expect(call).toMatchObject({
      method: 'POST',
      path: '/auth',
      headers: { authorization: 'Bearer TOKEN', 'content-type': 'application/json' },
    });
    expect(JSON.parse(call!.body)).toEqual({
      input: {
        account: 'ann-key',
        groups: ['staff'],
        action: 's3:PutObject',
        originalAction: 's3:PutObject',
        bucket: 'bucket',
        object: 'a/b é',
        conditions: { SourceIp: ['127.0.0.1'] },
        owner: false,
        claims: { department: 'ships', on: ['a', 'b'] },
        denyOnly: false,
      },
    });
  });

  it.each<[unknown, boolean]>([
    [{ result: true }, true],
    [{ result: false }, false],
    [{ result: { allow: true } }, true],
    [{ result: { allow: false } }, false],
    [{ result: { allow: true, why: 'a friend' }, decision_id: 'x' }, true],
    [{ result: 'true' }, false],
    [{ result: 1 }, false],
    [{ result: { allow: 'true' } }, false],
    [{ result: { allowed: true } }, false],
    [{ result: [true] }, false],
    [{ result: null }, false],
    [{ Result: true }, false],
    [{ allow: true }, false],
    [{}, false],
    [true, false],
  ])('that answers %j says %s', async (body, expected) => {
    server.answer = () => ({ body });
    expect(await plugin.decide(question)).toBe(expected);
  });

  it.each(Object.entries(brokenReplies))('that answers %s says no', async (_name, reply) => {
    server.answer = () => reply;
    expect(await plugin.decide(question)).toBe(false);
    expect(logged).toHaveLength(1);
  });

  it('that answers too slowly, or not at all, says no within its time', async () => {
    const begun = Date.now();
    await Promise.all(
      Object.values(slowReplies).map(async (reply) => {
        const slow = await startPluginServer();
        slow.answer = () => reply;
        expect(await pluginAt(slow.url).decide(question)).toBe(false);
        await slow.stop();
      }),
    );
    expect(Date.now() - begun).toBeGreaterThan(4_900);
    expect(Date.now() - begun).toBeLessThan(12_000);
  }, 20_000);

  it('that is down says no, and is not complained of at each request', async () => {
    await server.stop();
    for (let count = 0; count < 20; count++) expect(await plugin.decide(question)).toBe(false);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain('refuses connections');
    monotonicMs += 10_000;
    await plugin.decide(question);
    expect(logged[1]).toContain('"requests":20');
  });

  it('is asked by so many requests at once, and the others wait for their turn', async () => {
    const clocked = new PolicyPlugin({
      ...{ url: server.url, authToken: '', authorities: [], clock: systemClock },
      log: (_text, fields) => void logged.push(JSON.stringify(fields)),
    });
    let underWay = 0;
    let most = 0;
    server.answer = () => (response) => {
      most = Math.max(most, ++underWay);
      setTimeout(() => {
        underWay--;
        response.writeHead(200).end('{"result":true}');
      }, 5);
    };
    const verdicts = await Promise.all(Array.from({ length: 300 }, () => clocked.decide(question)));
    expect(verdicts.every((verdict) => verdict)).toBe(true);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(64);
    // Past what may wait at all, the answer is no at once.
    const flood = await Promise.all(Array.from({ length: 64 + 4096 + 10 }, () => clocked.decide(question)));
    expect(flood.slice(-10)).toEqual(Array.from({ length: 10 }, () => false));
    clocked.close();
  }, 20_000);
});
