import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { limits } from '../../../src/base/index.js';
import { boundedFetch, type BoundedFetch } from '../../../src/identity/provider/bounded-fetch.js';
import { GraphDirectory } from '../../../src/identity/provider/graph-directory.js';
import { GraphTransport } from '../../../src/identity/provider/graph-transport.js';
import { startGraph, type DirectoryUser, type GraphServer } from '../../support/graph.js';

/** Microsoft Graph as a client: against a look-alike, with a clock that only waiting moves. */
let graph: GraphServer;
let clock: { ms: number; readonly monotonicMs: () => number };
let slept: number[];
let directory: GraphDirectory;
let asked: string[];
let alice: DirectoryUser;

beforeEach(async () => {
  graph = await startGraph();
  alice = graph.addUser('alice');
  clock = { ms: 1_000_000, monotonicMs: () => clock.ms };
  slept = [];
  asked = [];
  directory = directoryOf();
});
afterEach(() => graph.close());

function directoryOf(changes: { clientSecret?: string; clientId?: string; fetch?: BoundedFetch } = {}): GraphDirectory {
  const { tenantId, url } = graph;
  const fetch: BoundedFetch = (address, request) => {
    asked.push(address);
    return (changes.fetch ?? boundedFetch)(address, request);
  };
  return new GraphDirectory(
    new GraphTransport({
      settings: {
        provider: '_',
        tenantId,
        clientId: changes.clientId ?? graph.clientId,
        clientSecret: changes.clientSecret ?? graph.clientSecret,
        endpoints: { loginUrl: url, graphUrl: url },
      },
      fetch,
      clock,
      sleep: async (ms) => {
        slept.push(ms);
        clock.ms += ms;
      },
    }),
  );
}

const soon = () => clock.ms + limits.graphWaits.signInMs;
const user = () => directory.user(alice.id, soon());
const rejected = (kind: string, text: string | RegExp) => ({ kind, message: expect.stringMatching(text) as unknown });

test('groups are direct and through others, security and mail alike, without doubles', async () => {
  const inner = graph.addGroup('inner', alice);
  const middle = graph.addGroup('middle', inner);
  const outer = graph.addGroup('outer', middle, inner);
  graph.addGroup('of nobody');
  // Around in a circle.
  inner.members.add(outer.id);
  expect(await user()).toEqual({ state: 'enabled', groups: [inner.id, middle.id, outer.id].sort() });
  expect(graph.calls.map(({ method, target }) => `${method} ${target}`).sort()).toEqual([
    `GET /v1.0/users/${alice.id}?$select=accountEnabled`,
    `POST /v1.0/users/${alice.id}/getMemberGroups`,
  ]);
});

test('one application token serves until five minutes before its end', async () => {
  await user();
  await user();
  expect(graph.tokensGiven).toBe(1);
  clock.ms += (3599 - 300) * 1000 - 1;
  await user();
  expect(graph.tokensGiven).toBe(1);
  clock.ms += 1;
  // Side by side, they ask for one.
  await Promise.all([user(), user(), user()]);
  expect(graph.tokensGiven).toBe(2);
});

test('a token that Graph refuses is fetched once more, and not again and again', async () => {
  await user();
  graph.mischief.unauthorized = 1;
  expect(await user()).toMatchObject({ state: 'enabled' });
  expect(graph.tokensGiven).toBe(2);
  graph.mischief.unauthorized = 100;
  await expect(user()).rejects.toMatchObject(rejected('rejected', 'refuses the application token'));
  expect(graph.tokensGiven).toBeLessThanOrEqual(4);
});

test('users who are gone or disabled are told apart from failures', async () => {
  alice.accountEnabled = false;
  expect(await user()).toEqual({ state: 'disabled' });
  graph.users.delete(alice.id);
  expect(await user()).toEqual({ state: 'gone' });
  // A 404 of something else than Graph.
  const lost = directoryOf({
    fetch: (url, request) =>
      url.includes('/v1.0/')
        ? Promise.resolve({ status: 404, headers: new Map(), body: Buffer.from('<html>not here</html>') })
        : boundedFetch(url, request),
  });
  await expect(lost.user(alice.id, soon())).rejects.toMatchObject(rejected('unavailable', 'answers 404'));
});

describe('more than 11,000 groups', () => {
  test('come by pages', async () => {
    graph.mischief.tooManyGroups = true;
    const groups = Array.from({ length: 7 }, (_, at) => graph.addGroup(`group ${at}`, alice));
    expect(await user()).toEqual({ state: 'enabled', groups: groups.map(({ id }) => id).sort() });
    expect(graph.calls.filter(({ target }) => target.includes('/transitiveMemberOf/'))).toHaveLength(4);
  });

  test('a next page at another address is not followed', async () => {
    const foreign = await startGraph();
    graph.mischief.tooManyGroups = true;
    for (let at = 0; at < 3; at++) graph.addGroup(`group ${at}`, alice);
    for (const link of [foreign.url, graph.url.replace('127.0.0.1', 'localhost'), graph.url.replace('//', '//a:b@')]) {
      graph.mischief.foreignNextLink = link;
      await expect(user()).rejects.toMatchObject(rejected('unavailable', 'another address'));
    }
    expect(foreign.calls).toEqual([]);
    expect(asked.every((url) => url.startsWith(`${graph.url}/`))).toBe(true);
    await foreign.close();
  });

  test('pages that never end do', async () => {
    graph.mischief.tooManyGroups = true;
    graph.mischief.endlessPages = true;
    graph.addGroup('one', alice);
    await expect(user()).rejects.toMatchObject(rejected('unavailable', 'more than'));
    expect(graph.calls.length).toBeLessThan(limits.graph.pages + 10);
  });
});

describe('a directory in trouble', () => {
  test('is waited for as long as it asks, a few times', async () => {
    await user();
    Object.assign(graph.mischief, { throttled: 1, retryAfter: 7 });
    expect(await user()).toMatchObject({ state: 'enabled' });
    expect(Math.max(...slept)).toBe(7000);
  });

  test('is not asked at all while it wants to be left alone for longer than anybody waits', async () => {
    await user();
    Object.assign(graph.mischief, { throttled: 2, retryAfter: 120 });
    await expect(user()).rejects.toMatchObject({ ...rejected('unavailable', 'too often'), retryAfterMs: 120_000 });
    const { length } = graph.calls;
    await expect(user()).rejects.toMatchObject(rejected('unavailable', 'asks to wait'));
    expect(graph.calls).toHaveLength(length);
    expect(slept).toEqual([]);
    graph.mischief.throttled = 0;
    clock.ms += 120_000;
    expect(await user()).toMatchObject({ state: 'enabled' });
  });

  test('that goes on failing is given up', async () => {
    graph.mischief.failing = 100;
    await expect(user()).rejects.toMatchObject(rejected('unavailable', 'answers 500'));
    // Two questions, three times each.
    expect(graph.calls.length).toBeLessThanOrEqual(6);
  });

  test.each([
    ['answers with less than JSON', { garbled: 2 }, 'another form'],
    ['answers with more than anybody reads', { flood: limits.graph.answerBytes + 1 }, 'more than'],
  ])('%s', async (_, mischief, text) => {
    Object.assign(graph.mischief, mischief);
    await expect(user()).rejects.toMatchObject(rejected('unavailable', text));
  });

  test('that is away', async () => {
    await graph.close();
    await expect(user()).rejects.toMatchObject(rejected('unavailable', 'refuses connections'));
  });

  test('that answers too late', async () => {
    await user();
    graph.mischief.delayMs = 2000;
    await expect(directory.user(alice.id, clock.ms + 200)).rejects.toMatchObject(rejected('unavailable', 'not answer'));
  });
});

describe('an application that was set up wrongly', () => {
  test.each(['User.Read.All', 'Group.Read.All'])('the permission it lacks is named: %s', async (permission) => {
    graph.granted.delete(permission);
    const other = permission === 'User.Read.All' ? 'Group.Read.All' : 'User.Read.All';
    const failure = rejected(
      'rejected',
      new RegExp(`grant it ${permission}, as application permission with admin consent`),
    );
    await expect(user()).rejects.toMatchObject(failure);
    await expect(user()).rejects.not.toMatchObject({ message: expect.stringContaining(other) as unknown });
  });

  test('both permissions', async () => {
    graph.granted.clear();
    await expect(user()).rejects.toMatchObject(rejected('rejected', 'User.Read.All and Group.Read.All'));
    await expect(directory.groupsNamed('any', soon())).rejects.toMatchObject(rejected('rejected', 'Group.Read.All'));
    await expect(directory.groupNames([alice.id], soon())).rejects.toMatchObject(
      rejected('rejected', 'Group.Read.All'),
    );
  });

  test('a wrong secret is told, is not shown, and is not tried with every call', async () => {
    directory = directoryOf({ clientSecret: 'wrong~secret' });
    const failure = await user().catch((error: unknown) => error as Error);
    expect(failure).toMatchObject(rejected('rejected', 'AADSTS7000215.*secret is wrong'));
    expect(JSON.stringify(failure) + String((failure as Error).stack)).not.toContain('wrong~secret');
    const { length } = asked;
    await expect(user()).rejects.toMatchObject(rejected('rejected', 'AADSTS7000215'));
    expect(asked).toHaveLength(length);
    clock.ms += 10_001;
    await expect(user()).rejects.toMatchObject(rejected('rejected', 'AADSTS7000215'));
    expect(asked.length).toBeGreaterThan(length);
  });

  test('an unknown application, an expired secret, a code that nobody knows here', async () => {
    await expect(directoryOf({ clientId: 'other' }).user(alice.id, soon())).rejects.toMatchObject(
      rejected('rejected', 'AADSTS700016.*no application'),
    );
    for (const [code, text] of [
      [7000222, 'AADSTS7000222.*expired'],
      [123, /AADSTS123\)\.$/],
    ] as const) {
      graph.mischief.tokenError = { error: 'invalid_client', codes: [code], status: 401 };
      directory = directoryOf();
      await expect(user()).rejects.toMatchObject(rejected('rejected', text));
    }
    graph.mischief.tokenError = { error: 'temporarily_unavailable', codes: [], status: 503 };
    await expect(directoryOf().user(alice.id, soon())).rejects.toMatchObject(rejected('unavailable', 'answers 503'));
  });
});

describe('names', () => {
  test('with quotes, signs and letters of other scripts find their group', async () => {
    for (const name of ["O'Brien's group", 'a&b=c #1?', '100 % größer', 'имя', "' or 1 eq 1 or '"]) {
      const { id } = graph.addGroup(name);
      expect(await directory.groupsNamed(name, soon())).toEqual([{ id, name }]);
    }
    expect(await directory.groupsNamed("none' or displayName ne 'x", soon())).toEqual([]);
  });

  test('that several groups have give all of them, over pages', async () => {
    const ids = Array.from({ length: 5 }, () => graph.addGroup('twins').id);
    expect((await directory.groupsNamed('Twins', soon())).map(({ id }) => id).sort()).toEqual(ids.sort());
  });

  test('of ids, a thousand at a time', async () => {
    const known = graph.addGroup('known');
    const unknown = Array.from({ length: 1500 }, (_, at) => `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`);
    expect([...(await directory.groupNames([...unknown, known.id], soon()))]).toEqual([[known.id, 'known']]);
    expect(graph.calls.filter(({ target }) => target.includes('getByIds'))).toHaveLength(2);
  });
});
